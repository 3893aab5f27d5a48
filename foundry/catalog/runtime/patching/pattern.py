"""What a pattern is: a place in a model's code that an op of the package serves.

A pattern is handed the `__call__` of a class of layers and gives a new one, or None where the class
is not what it looks for. A new `__call__` asks for a kernel at every call and runs the layer's own
code where there is none, so that a layer that no kernel serves computes what it always did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal

from ..dispatch import CatalogFunction
from ..running import Run

Mode = Literal["stable", "fast", "edge"]
MODES: tuple[Mode, ...] = ("stable", "fast", "edge")
"""`stable`: greedy decoding gives the same tokens. `fast`: sums may be taken in another order.
`edge`: the products of weights too, which are most of a model's arithmetic."""
Call = Callable[..., Any]


@dataclass(frozen=True)
class Serving:
    """The kernels of the package, as patterns ask for them."""

    functions: Mapping[str, CatalogFunction]
    exactly: bool
    """In 16 bits only kernels that give the very bits of the code that they replace."""

    def kernel(
        self, op: str, arrays: Sequence[Any], numbers: Mapping[str, Any] | None = None
    ) -> Run | None:
        """The kernel for a call, None where the layer's own code should run."""
        return self.functions[op].kernel(arrays, numbers or {}, exactly=self.exactly)


@dataclass(frozen=True)
class ModelPattern:
    """One pattern."""

    name: str
    mode: Mode
    """The first mode that has it; later ones have it too."""
    ops: tuple[str, ...]
    """What it is served by; one of them in the package is enough."""
    swap: Callable[[type, FunctionType, Serving], Call | None]
    """From a class, its present `__call__`, and the kernels, to a new `__call__`."""
