"""Kernels of a later round, over the arrays of `adversarial_kernels`, kept as text.

`== name (int32, set, atomic)` begins one: the dtype of `out`, whether it starts with zeros, whether
it is atomic. Its body follows, and its header behind `-- header`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from adversarial_kernels import Case

_HEAD = re.compile(r"(?m)^== (?P<name>[^(\n]*[^(\n ])(?: \((?P<options>[^)]*)\))?\n")
_DTYPES = {"int32", "uint32"}


def cases(name: str) -> dict[str, Case]:
    """The kernels of a file beside this one, by name."""
    return dict(_read((Path(__file__).parent / name).read_text()))


def _read(text: str) -> Iterator[tuple[str, Case]]:
    heads = list(_HEAD.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    for head, end in zip(heads, ends, strict=True):
        source, _, header = text[head.end() : end].partition("-- header\n")
        options = set((head["options"] or "").split(", ")) - {""}
        dtype = next(iter(options & _DTYPES), "float32")
        start = 0.0 if "set" in options else None
        yield head["name"], Case(source, header, dtype, start, "atomic" in options)
