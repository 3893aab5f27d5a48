"""What answers a call once its path is known: a kernel, the fallback, or a value without a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import mlx.core as mx

from .arguments import Array, MatchedCall, Record, Sizes, dtype_in, dtype_of, shape_of
from .bounds import numbers_unproven
from .launching import LaunchPlan, planned, with_rules

MOST_KEPT = 4096
"""Calls that an op remembers; a cache that grows makes new sizes at every step."""
Run = Callable[..., Sequence[mx.array]]
"""Takes the arrays as the caller gives them, in the op's order."""
Answer = Callable[..., mx.array | Sequence[mx.array]]
"""The same; what gives one array may give it alone."""
Filled = Callable[[], list[mx.array]]
"""Gives outputs without a run."""
Gradient = Callable[..., Any] | None
"""Takes names and values of the present inputs, parameters, outputs and their gradients, and gives
those of the inputs; None where no backward kernel serves the call."""


@dataclass(frozen=True)
class ShippedBaseline:
    """A way to compute an op in plain MLX."""

    name: str
    function: Callable[..., Any]
    """Takes the arrays in the op's order, and the numbers by name."""
    numbers: tuple[str, ...]
    """Parameters, sizes and dtypes that it asks for."""
    folds: bool
    """Whether leading dimensions have to be folded for it."""

    @classmethod
    def of(cls, record: Record, functions: Any) -> ShippedBaseline:
        """A baseline on record, out of the module that holds its function."""
        function = getattr(functions, record["function"])
        return cls(record["name"], function, tuple(record["numbers"]), record["folds"])


def without_kernels(op: Record, baseline: ShippedBaseline, call: MatchedCall) -> Run:
    """What answers a call where no kernel serves it."""
    return _by_baseline(baseline, call.sizes, without_a_run(op, call))


def _by_baseline(baseline: ShippedBaseline, sizes: Sizes, filled: Filled | None) -> Run:
    if filled:
        return lambda *_: sizes.unfold(filled())
    run = plain(baseline, sizes)
    if not (baseline.folds and sizes.are_folded):
        return run
    return lambda *arrays: sizes.unfold(run(*sizes.fold(arrays)))


@dataclass(frozen=True)
class KernelAt:
    """A kernel at the sizes of some call; the values of parameters are open.

    An offset is another at every token: what sizes decide is decided once. No array is held, which
    may be a whole cache of keys.
    """

    op: Record
    fallback: ShippedBaseline
    """Its derivative is the kernel's, where `gradient` gives none."""
    kernel: Record
    sizes: Sizes
    absent: frozenset[str]
    """Optional inputs that are not given."""
    gradient: Gradient = None
    """Gradients by a backward kernel."""

    @cached_property
    def plan(self) -> LaunchPlan:
        """Its launches."""
        return planned(self.op, self.kernel, self.sizes, self.absent)

    def run(self, params: Mapping[str, Any]) -> Run:
        """What answers calls with some values of the parameters."""
        given = self.sizes
        sizes = Sizes(given.axes, dict(params), given.types, given.lead, given.folds)
        names = tuple(t["name"] for t in self.op["inputs"] if t["name"] not in self.absent)
        by_kernel = None if self.gradient is None else partial(self.gradient, names, params)
        run = with_rules(self.plan.ready(params), self._plain_of_present(sizes), by_kernel)
        if not self.absent and not sizes.are_folded:
            return run
        return lambda *arrays: sizes.unfold(run(*[a for a in sizes.fold(arrays) if a is not None]))

    def _plain_of_present(self, sizes: Sizes) -> Run:
        run = plain(self.fallback, sizes)
        holes = [tensor["name"] in self.absent for tensor in self.op["inputs"]]

        def run_present(*present: mx.array) -> Sequence[mx.array]:
            others = iter(present)
            return run(*(None if hole else next(others) for hole in holes))

        return run_present if any(holes) else run


@dataclass(frozen=True)
class DecidedCall:
    """All about a call but the values of parameters that decide nothing, as `KernelAt`."""

    fallback: ShippedBaseline
    sizes: Sizes
    """Of the call; its parameters are those of the first one."""
    filled: Filled | None
    """The outputs where an array is empty and nothing needs to run."""
    kernels: Sequence[KernelAt]
    """Those that may answer, the best first."""
    why: str = ""
    """Why there are no more."""

    def why_not(self) -> str:
        """Why no kernel answered the first such call; empty when one did."""
        said = [numbers_unproven(at.kernel, self.sizes.params) for at in self.kernels]
        return "" if "" in said else next(iter(said), self.why)

    def kernel(self, params: Mapping[str, Any]) -> Run | None:
        """The best kernel that is proven for some values of the parameters."""
        fitting = (at for at in self.kernels if not numbers_unproven(at.kernel, params))
        found = next(fitting, None)
        return None if found is None else found.run(params)

    def answer(self, params: Mapping[str, Any]) -> Answer:
        """That kernel, or the baseline with nothing around it that is not needed."""
        if (run := self.kernel(params)) is not None:
            return run
        sizes = replace(self.sizes, params=dict(params))
        if self.filled or (self.fallback.folds and sizes.are_folded):
            return _by_baseline(self.fallback, sizes, self.filled)
        return _with_numbers(self.fallback, sizes)


def with_kernel(
    op: Record,
    fallback: ShippedBaseline,
    kernel: Record,
    call: MatchedCall,
    gradient: Gradient = None,
) -> Run:
    """What answers a call by a kernel; see `KernelAt`."""
    return KernelAt(op, fallback, kernel, call.sizes, absent_in(op, call), gradient).run(
        call.sizes.params
    )


def absent_in(op: Record, call: MatchedCall) -> frozenset[str]:
    """Optional inputs that a call does not give."""
    pairs = zip(op["inputs"], call.arrays, strict=True)
    return frozenset(tensor["name"] for tensor, array in pairs if array is None)


def plain(baseline: ShippedBaseline, sizes: Sizes) -> Run:
    """A baseline with its numbers given."""
    function, one = _with_numbers(baseline, sizes), mx.array

    def run(*arrays: Array) -> tuple[mx.array, ...]:
        found = function(*arrays)
        return (found,) if isinstance(found, one) else tuple(found)

    return run


def _with_numbers(baseline: ShippedBaseline, sizes: Sizes) -> Callable[..., Any]:
    types = {name: dtype_of(dtype) for name, dtype in sizes.types.items()}
    names = {**sizes.axes, **sizes.params, **types, "dtype": types["T"]}
    numbers = {name: names[name] for name in baseline.numbers}
    return partial(baseline.function, **numbers) if numbers else baseline.function


def without_a_run(op: Record, call: MatchedCall) -> Filled | None:
    """The outputs where an array is empty and nothing needs to run, None where it must."""
    shapes = [shape_of(tensor, call.sizes) for tensor in op["outputs"]]
    over_nothing = op["over_nothing"]
    if all(0 in shape for shape in shapes):
        return partial(_filled, op, shapes, [0] * len(shapes), call.sizes)
    if all(a is None or a.size for a in call.arrays) or over_nothing == "computed":
        return None
    if over_nothing is None:
        raise ValueError(f"{op['name']}: an input is empty; no value is defined for that")
    return partial(_filled, op, shapes, over_nothing, call.sizes)


def _filled(
    op: Mapping[str, Any], shapes: list[list[int]], values: Sequence[Any], sizes: Sizes
) -> list[mx.array]:
    kinds = [dtype_in(tensor, sizes) for tensor in op["outputs"]]
    return list(map(mx.full, shapes, values, kinds))
