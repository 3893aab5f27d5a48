"""Faults that are planted into proven kernels, for a model to learn to repair. Pure.

Each is one slip of the kind that people and models make, at one place of the text: a header that
does not parse, a name of another GPU language, an access beyond an array, a barrier that is gone, a
loop without end, and every bug that the judge is tested with. What becomes of it the judge says; a
slip that does no harm is one more kernel that is right.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from foundry.judge.attacks.operators import OPERATORS, uncommented

BODY = "// --- body ---"


@dataclass(frozen=True)
class PlantedFault:
    """One kind of slip: a match of a pattern is replaced."""

    name: str
    why: str
    """What is wrong then, as one clause."""
    pattern: re.Pattern[str]
    """Its group `bug` is what changes."""
    replacement: str
    """Takes the place of `bug`; `{}` stands for what it was."""
    header: bool = False
    """Changes the launch block, not the code."""

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it could be planted."""
        searched = text if self.header else uncommented(text)
        yield from (found.span("bug") for found in self.pattern.finditer(searched))

    def plant(self, text: str, number: int) -> str | None:
        """The text with the slip at one of its places; None where it has none."""
        spans = list(self.places(text))
        if not spans:
            return None
        start, end = spans[number % len(spans)]
        return text[:start] + self.replacement.format(text[start:end]) + text[end:]


def _written(
    name: str, why: str, pattern: str, replacement: str, *, header: bool = False
) -> PlantedFault:
    return PlantedFault(name, why, re.compile(pattern, re.MULTILINE), replacement, header)


_INDEX = r"\b(?:float|T)\(\w+\[(?P<bug>[^\[\]]+)\]\)"
_STEP = r"\bfor \([^;()]*;[^;]*; \w+ \+= (?P<bug>\w+)\)"
FAULTS: tuple[PlantedFault, ...] = (
    _written(
        "unknown_key", "a key is misspelt", r"^(?P<bug>threadgroup) = ", "threads", header=True
    ),
    _written("no_marker", "the body is not marked", rf"^(?P<bug>{BODY})$", "", header=True),
    _written("open_comment", "the header is not closed", r"^(?P<bug>\*/)$", "", header=True),
    _written(
        "unknown_axis",
        "an axis has another name",
        r'^grid = \["(?P<bug>[a-z]\w*)',
        "{}_count",
        header=True,
    ),
    _written("no_semicolon", "a statement does not end", r"[\w)\]](?P<bug>;)$", ""),
    _written("no_brace", "a block does not end", r"^\s*(?P<bug>\})$", ""),
    _written(
        "undeclared",
        "a variable is used under another name",
        r"\b(?:float|uint|int) (?P<bug>\w+) =",
        "{}_value",
    ),
    _written("c_function", "a function of C", r"\b(?P<bug>exp|sqrt|log|tanh|fabs)\(", "{}f"),
    _written(
        "cuda_barrier",
        "a barrier of CUDA",
        r"(?P<bug>\bthreadgroup_barrier\([^()]*\))",
        "__syncthreads()",
    ),
    _written(
        "cuda_simd", "a function of CUDA", r"(?P<bug>\bsimd_(?:sum|max|min)\()", "__reduce_sync("
    ),
    _written(
        "cuda_shared",
        "an address space of CUDA",
        r"^\s*(?P<bug>threadgroup) \w+ \w+\[",
        "__shared__",
    ),
    _written(
        "cuda_index",
        "an index of CUDA",
        r"(?P<bug>\bthread_position_in_grid\.x)",
        "(blockIdx.x * blockDim.x + threadIdx.x)",
    ),
    _written(
        "typed_pointer", "a double where Metal has none", r"\b(?P<bug>float) \w+ = 0", "double"
    ),
    _written("reads_beyond", "reads one element further", _INDEX, "{} + 1"),
    _written("reads_before", "reads one element earlier", _INDEX, "{} - 1"),
    _written(
        "writes_beyond", "writes one element further", r"\bout\w*\[(?P<bug>[^\[\]]+)\] = ", "{} + 1"
    ),
    _written(
        "includes_end", "a loop runs one step too far", r"\bfor \([^;]*; \w+ (?P<bug><) ", "<="
    ),
    _written("no_guard", "threads beyond the end go on", r"(?P<bug>\bif \([^;{}]*\) return;)", ""),
    _written(
        "inverted_guard",
        "the wrong threads return",
        r"\bif \(\w+ (?P<bug>>=) [^;{}]*\) return;",
        "<",
    ),
    _written("uninitialised", "a sum starts from nothing", r"\bfloat \w+(?P<bug> = 0\.0f);", ""),
    _written("endless", "a loop makes no step", _STEP, "0"),
    _written(
        "half_sum", "a sum is kept in half precision", r"^\s*(?P<bug>float) \w+ = 0\.0f;", "half"
    ),
    _written("wrong_lane", "another lane writes", r"\blane == (?P<bug>0)\b", "40"),
    *(PlantedFault(one.name, one.why, one.pattern, one.replacement) for one in OPERATORS),
)
"""Every kind of slip."""


def planted(text: str, number: int) -> Iterator[tuple[PlantedFault, str]]:
    """Faults that have a place in a kernel file, each planted once, in an order of `number`."""
    for fault in random.Random(number).sample(FAULTS, len(FAULTS)):
        broken = fault.plant(text, number)
        if broken is not None and broken != text:
            yield fault, broken
