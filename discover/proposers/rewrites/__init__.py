"""Source-level rewrites of a kernel: one per file, found by being here. Pure.

A rewrite is a module with `variants(kernel, op)`: every way to apply it once. It need not prove
that the result is right or faster; the judge does. It must not break what it does not understand:
where a pattern is not exactly known, there is no variant.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

from foundry.kernel import Kernel
from ops.spec import Op


@dataclass(frozen=True)
class Variant:
    """A rewritten kernel, and in a few words what was done."""

    label: str
    kernel: Kernel


Rewrite = Callable[[Kernel, Op], Iterator[Variant]]


@cache
def all_rewrites() -> Mapping[str, Rewrite]:
    """Every rewrite by the name of its file."""
    found: dict[str, Rewrite] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "variants"):
            found[info.name] = cast(Rewrite, module.variants)
    return found
