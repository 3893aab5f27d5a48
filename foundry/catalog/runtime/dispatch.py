"""Calls the proven kernel where it is known to win, and the baseline everywhere else.

1. `arguments.match` holds the arguments to the op's axes.
2. `CatalogFunction.choose` says which kernel serves this dtype, chip and shape, or why none does.
3. What follows from shapes, dtypes and numbers is decided once and kept; a call that was met before
   costs a look-up. Gradients come from the baseline.

Set the environment variable that `DISPATCH_VARIABLE` names to `off` (always the baseline) or `all`
(every kernel where it was proven, also where it was never timed). It is read when the package is
imported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import mlx.core as mx

from .arguments import Array, MatchedCall, Sizes, dtype_in, dtype_of, match, shape_of
from .bounds import unproven
from .launching import ready, with_rules
from .transforms import is_tracing_through

HERE = Path(__file__).parent
DISPATCH_VARIABLE = f"{HERE.name.upper()}_DISPATCH"
MODE = os.environ.get(DISPATCH_VARIABLE, "auto")
Axes = Mapping[str, int]
Run = Callable[..., tuple[mx.array, ...]]
"""Takes the arrays as the caller gives them, in the op's order."""
_MOST_KEPT = 4096
"""Calls that an op remembers; a cache that grows makes new sizes at every step."""


_look = attrgetter("shape", "dtype")


def _look_if_given(array: Any) -> Any:
    return None if array is None else _look(array)


@dataclass(frozen=True)
class Dispatch:
    """Which path a call takes, and why."""

    kernel: Mapping[str, Any] | None
    why: str


@cache
def catalog() -> Mapping[str, Any]:
    """Everything this package knows: ops, kernels, records."""
    loaded: Mapping[str, Any] = json.loads((HERE / "catalog.json").read_text())
    return loaded


@cache
def chip() -> str | None:
    """Name of the Apple GPU, None without Metal."""
    if not mx.metal.is_available():
        return None
    return str(mx.device_info().get("device_name", "Apple GPU"))


@dataclass(frozen=True)
class CatalogFunction:
    """One op of the catalog as a callable."""

    op: Mapping[str, Any]
    fallback: Callable[..., Any]
    """Takes the arrays in the op's order and, by name, the numbers that its record lists."""
    kept: dict[Any, Run] = field(default_factory=dict, repr=False, compare=False)
    """What is ready, by shapes, dtypes and numbers."""

    def __call__(self, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> Any:
        """Run on arrays, in the op's order of inputs.

        Raises:
            ValueError: Dimensions, sizes or dtypes that the op does not take.
        """
        try:
            run = self.kept[(is_tracing_through(), *map(self.look, arrays), *numbers.values())]
        except (KeyError, TypeError, AttributeError):
            arrays, run = self._first(arrays, numbers)
        outputs = run(*arrays)
        return outputs[0] if len(outputs) == 1 else outputs

    @cached_property
    def look(self) -> Callable[[Any], Any]:
        """What of an array decides how a call of its kind is answered."""
        return _look_if_given if any(t["flag"] for t in self.op["inputs"]) else _look

    def _first(self, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> tuple[Any, Run]:
        """Make a call ready, and keep that where its arguments say all about it."""
        call = match(self.op, arrays, numbers)
        run = self.ready(call)
        plain = all(type(number) in (int, float, bool) for number in numbers.values())
        if plain and all(a is None or isinstance(a, mx.array) for a in arrays):
            if len(self.kept) >= _MOST_KEPT:
                self.kept.clear()
            self.kept[(is_tracing_through(), *map(self.look, arrays), *numbers.values())] = run
        return call.arrays, run

    def ready(self, call: MatchedCall) -> Run:
        """What answers this call, and every other of its shapes, dtypes and numbers."""
        kernel = self.choose(call).kernel
        return self.without_kernels(call) if kernel is None else self.with_kernel(kernel, call)

    def without_kernels(self, call: MatchedCall) -> Run:
        """What answers a call where no kernel serves it."""
        sizes = call.sizes
        if filled := self._without_a_run(call):
            return lambda *_: sizes.unfold(filled())
        plain = self._plain(sizes)
        if not self.op["fallback"]["folds"]:
            return plain
        return lambda *arrays: sizes.unfold(plain(*sizes.fold(arrays)))

    def with_kernel(self, kernel: Mapping[str, Any], call: MatchedCall) -> Run:
        """What answers a call by a kernel; its derivative is the fallback's."""
        sizes, plain = call.sizes, self._plain(call.sizes)
        holes = [array is None for array in call.arrays]
        names = [tensor["name"] for tensor in self.op["inputs"]]
        absent = frozenset(name for name, hole in zip(names, holes, strict=True) if hole)

        def plain_of_present(*present: mx.array) -> tuple[mx.array, ...]:
            others = iter(present)
            return plain(*(None if hole else next(others) for hole in holes))

        run = with_rules(ready(self.op, kernel, sizes, absent), plain_of_present)
        if not absent and not any(sizes.folds):
            return run
        return lambda *arrays: sizes.unfold(run(*[a for a in sizes.fold(arrays) if a is not None]))

    def choose(self, call: MatchedCall) -> Dispatch:
        """The kernel for this call, or None and the reason."""
        if MODE == "off":
            return Dispatch(None, f"{DISPATCH_VARIABLE}=off")
        if chip() is None:
            return Dispatch(None, "Metal is not available on this machine")
        if is_tracing_through():
            return Dispatch(None, "traced by a transformation that cannot pass through a kernel")
        if not all(a is None or a.size for a in call.arrays):
            return Dispatch(None, "an input is empty")
        if all(0 in shape_of(t, call.sizes) for t in self.op["outputs"]):
            return Dispatch(None, "every output is empty")
        why = f"no kernel for {call.sizes.dtype}"
        for kernel in self.op["kernels"]:
            if kernel["dtype"] == call.sizes.dtype and self._same_dtypes(call):
                timed = "" if MODE == "all" else unfit(kernel, call.sizes.axes)
                reason = timed or unproven(self.op, kernel, call.sizes)
                if not reason:
                    return Dispatch(kernel, f"kernel {kernel['hash'][:12]}")
                why = reason
        return Dispatch(None, why)

    def _plain(self, sizes: Sizes) -> Callable[..., tuple[mx.array, ...]]:
        """The fallback with its numbers given."""
        types = {name: dtype_of(dtype) for name, dtype in sizes.types.items()}
        names = {**sizes.axes, **sizes.params, **types, "dtype": types["T"]}
        numbers = {name: names[name] for name in self.op["fallback"]["numbers"]}
        fallback, one = self.fallback, mx.array

        def run(*arrays: Array) -> tuple[mx.array, ...]:
            found = fallback(*arrays, **numbers)
            return (found,) if isinstance(found, one) else tuple(found)

        return run

    def _without_a_run(self, call: MatchedCall) -> Callable[[], list[mx.array]] | None:
        """The outputs where an array is empty and nothing needs to run, None where it must."""
        shapes = [shape_of(tensor, call.sizes) for tensor in self.op["outputs"]]
        over_nothing = self.op["over_nothing"]
        if all(0 in shape for shape in shapes):
            return partial(self._filled, shapes, [0] * len(shapes), call.sizes)
        if all(a is None or a.size for a in call.arrays) or over_nothing == "computed":
            return None
        if over_nothing is None:
            raise ValueError(f"{self.op['name']}: an input is empty; no value is defined for that")
        return partial(self._filled, shapes, over_nothing, call.sizes)

    def _filled(
        self, shapes: list[list[int]], values: Sequence[Any], sizes: Sizes
    ) -> list[mx.array]:
        kinds = [dtype_in(tensor, sizes) for tensor in self.op["outputs"]]
        return list(map(mx.full, shapes, values, kinds))

    def _same_dtypes(self, call: MatchedCall) -> bool:
        """Whether every array has the dtype that the kernel was proven for."""
        pairs = zip(self.op["inputs"], call.arrays, strict=True)
        return all(a is None or a.dtype == dtype_in(t, call.sizes) for t, a in pairs)


def unfit(kernel: Mapping[str, Any], axes: Axes) -> str:
    """Why a kernel may not serve these sizes on this chip; empty when it may."""
    record = kernel["record"]
    if record["device_kind"] != "metal":
        return f"timed on {record['device_name']} ({record['device_kind']}), never on an Apple GPU"
    if record["device_name"] != chip():
        return f"timed on {record['device_name']}, this is {chip()}"
    if record["status"] != "faster":
        return "proven, but not faster than the baseline"
    for region in record["regions"]:
        if all(low <= axes[name] <= high for name, (low, high) in region.items()):
            return ""
    return "outside the shapes it was timed in"
