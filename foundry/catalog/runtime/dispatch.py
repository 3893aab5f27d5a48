"""The functions of the package: each call goes where `choice` sends it.

1. `arguments.match` holds the arguments to the op's axes.
2. `choice.choose` says which kernel serves this dtype, chip and shape, or why none does.
3. What follows from shapes, dtypes and numbers is decided once and kept; a call that was met before
   costs a look-up. Gradients come from the baseline, or from a backward kernel of the package.

A kernel is held to its checks on this machine before it answers its first call; the verdict is
kept (`learning.learnt`). Set the variable that `choice.DISPATCH_VARIABLE` names to `off` (always
the baseline) or `all` (every kernel where it was proven, also where it was never timed). It is read
when the package is imported.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from operator import attrgetter
from typing import Any

import mlx.core as mx

from . import choice
from .arguments import MatchedCall, Record, keeps_rules, match
from .bounds import deciding
from .checking import verdict_of
from .choice import Dispatch, Known, key_of
from .device import cache_file, catalog, identity
from .gradients import Backward
from .learning import learnt
from .learning.learnt import KernelVerdict, Learnt
from .learning.winning import Winning, winning
from .running import (
    MOST_KEPT,
    Answer,
    DecidedCall,
    Gradient,
    KernelAt,
    Run,
    ShippedBaseline,
    absent_in,
    with_kernel,
    without_a_run,
    without_kernels,
)
from .transforms import is_tracing_through

_PLAIN = (int, float, bool, mx.Dtype)
"""What decides a call by its value."""
_look = attrgetter("shape", "dtype")
_ARRAY, _GPU = mx.array, mx.gpu
_HAS_METAL = bool(mx.metal.is_available())
"""Without it nothing but the arguments decides: no kernel answers."""


def _look_if_given(array: Any) -> Any:
    return None if array is None else _look(array)


@dataclass(frozen=True)
class CatalogFunction:
    """One op of the catalog as a callable."""

    op: Mapping[str, Any]
    fallback: ShippedBaseline
    """What answers where no kernel does: the first baseline of the op."""
    kept: dict[Any, Answer] = field(default_factory=dict, repr=False, compare=False)
    """What is ready, by shapes, dtypes and numbers."""
    kernels_kept: dict[Any, Run | None] = field(default_factory=dict, repr=False, compare=False)
    """The same for those who ask for a kernel or nothing."""
    decided: dict[Any, DecidedCall] = field(default_factory=dict, repr=False, compare=False)
    """What both come from: one decision for all values of numbers that decide nothing."""

    def __call__(self, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> Any:
        """Run on arrays, in the op's order of inputs.

        Raises:
            ValueError: Dimensions, sizes or dtypes that the op does not take.
        """
        try:
            answer = self.kept[self.key(arrays, numbers)]
        except (KeyError, TypeError, AttributeError):
            answer = None  # beyond this block: what is wrong with a call is said alone
        if answer is None:
            arrays, answer = self._first(arrays, numbers)
        found = answer(*arrays)
        if type(found) is _ARRAY:
            return found
        return found[0] if len(found) == 1 else tuple(found)

    def kernel(
        self, arrays: Sequence[Any], numbers: Mapping[str, Any], *, exactly: bool
    ) -> Run | None:
        """The kernel that answers a call, None where the caller's own code should.

        Args:
            arrays: In the op's order of inputs.
            numbers: Parameters and sizes that no input shows; no arrays.
            exactly: In 16 bits only a kernel that gives the very bits of the code that it replaces.
        """
        try:
            key = (exactly, *self.key(arrays, numbers))
            return self.kernels_kept[key]
        except KeyError:  # not `in`: another thread may clear it in between
            pass
        except AttributeError:  # no array: the caller's own code knows what to make of it
            return None
        if len(self.kernels_kept) >= MOST_KEPT:
            self.kernels_kept.clear()
        found = self.kernels_kept[key] = self._kernel(arrays, numbers, exactly)
        return found

    def _kernel(
        self, arrays: Sequence[Any], numbers: Mapping[str, Any], exactly: bool
    ) -> Run | None:
        if not all(map(self._is_plain, self.op["inputs"], arrays)):
            return None
        try:
            return self._decided(arrays, numbers, exactly).kernel(self._params(numbers))
        except ValueError:
            return None  # the caller's own code says what is wrong

    def _decided(
        self, arrays: Sequence[Any], numbers: Mapping[str, Any], exactly: bool
    ) -> DecidedCall:
        """What was decided for other values of numbers that decide nothing, or is now."""
        decisive = {n: v for n, v in numbers.items() if n not in self.undecisive}
        key = (exactly, *self.key(arrays, decisive))
        found = self.decided.get(key)
        if found is None:
            if len(self.decided) >= MOST_KEPT:
                self.decided.clear()
            found = self._decide(match(self.op, arrays, numbers), exactly)
            self.decided[key] = found
        return found

    def _decide(self, call: MatchedCall, exactly: bool = False) -> DecidedCall:
        found, why = choice.serving(self.op, call, known(), exactly=exactly)
        shared = (call.sizes, absent_in(self.op, call), gradient_of(self.op["name"]))
        kernels = [KernelAt(self.op, self.fallback, kernel, *shared) for _, kernel in found]
        return DecidedCall(self.fallback, call.sizes, without_a_run(self.op, call), kernels, why)

    def idle(self) -> Counter[str]:
        """Why calls got no kernel, and how many kinds of calls by each reason."""
        return Counter(why for found in tuple(self.decided.values()) if (why := found.why_not()))

    def _params(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        return {name: numbers.get(name, like) for name, like in self.op["params"].items()}

    @cached_property
    def undecisive(self) -> frozenset[str]:
        """Parameters of which a choice asks no more than whether a kernel is proven for them."""
        return frozenset(self.op["params"]) - deciding(self.op)

    def key(self, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> tuple[Any, ...]:
        """What decides how a call is answered."""
        key = (*map(self.look, arrays), *numbers.values())
        if not _HAS_METAL:
            return key
        return (*key, is_tracing_through(), mx.default_device().type is _GPU)

    @cached_property
    def look(self) -> Callable[[Any], Any]:
        """What of an array decides how a call of its kind is answered."""
        return _look_if_given if any(t["flag"] for t in self.op["inputs"]) else _look

    def _first(self, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> tuple[Any, Answer]:
        """Make a call ready, and keep that where its arguments say all about it."""
        plain = all(type(number) in _PLAIN for number in numbers.values())
        if not plain or not all(map(self._is_plain, self.op["inputs"], arrays)):
            call = match(self.op, arrays, numbers)
            return call.arrays, self._decide(call).answer(call.sizes.params)
        answer = self._decided(arrays, numbers, exactly=False).answer(self._params(numbers))
        if len(self.kept) >= MOST_KEPT:
            self.kept.clear()
        self.kept[self.key(arrays, numbers)] = answer
        return arrays, answer

    @staticmethod
    def _is_plain(tensor: Record, given: Any) -> bool:
        """Whether an argument is what it stands for as it is."""
        return isinstance(given, mx.array) or (given is None and bool(tensor["flag"]))

    def choose(self, call: MatchedCall, *, exactly: bool = False) -> Dispatch:
        """The kernel for this call, or None and the reason."""
        return choice.choose(self.op, call, known(), exactly=exactly)

    def without_kernels(self, call: MatchedCall) -> Run:
        """What answers a call where no kernel serves it."""
        return without_kernels(self.op, self.fallback, call)

    def with_kernel(self, kernel: Record, call: MatchedCall) -> Run:
        """What answers a call by a kernel; gradients by a backward kernel where one wins."""
        return with_kernel(self.op, self.fallback, kernel, call, gradient_of(self.op["name"]))


def forget() -> None:
    """Decide every call anew, by what is on file now."""
    here.cache_clear()
    forget_decisions()


def forget_decisions() -> None:
    """Decide every call anew, by what is known in this process."""
    for reset in (_winning, gradient_of):
        reset.cache_clear()
    for function in functions().values():
        function.kept.clear()
        function.kernels_kept.clear()
        function.decided.clear()


@cache
def functions() -> Mapping[str, CatalogFunction]:
    """Every op of the package, by name."""
    fallbacks = importlib.import_module(".fallbacks", __package__)
    ops = ((op["name"], op) for op in catalog()["ops"])
    return {n: CatalogFunction(op, ShippedBaseline.of(op["fallback"], fallbacks)) for n, op in ops}


@cache
def gradient_of(name: str) -> Gradient:
    """How an op's gradients are found by backward kernels; None: the package has none for it."""
    ops = (op for op in catalog()["ops"] if op["gradient_of"] == name and op["kernels"])
    op = next(ops, None)
    if op is None:
        return None
    return Backward(op, functions()[name].op, functions()[op["name"]].kernel)


@cache
def here() -> Learnt:
    """What was learnt of this machine."""
    axes = {key: op["axes"] for (key, _), (op, _) in _kernels().items()}
    return learnt.read(cache_file(), identity(), axes)


@cache
def known() -> Known:
    """What is known of kernels on this machine."""
    return Known(verdict, lambda kernel: _winning(*_names(kernel)))


def _names(kernel: Record) -> tuple[str, str]:
    """What tells a kernel and its record apart: one kernel may have been timed on two devices."""
    return key_of(kernel), kernel["record"]["device_id"]


@cache
def _winning(key: str, device_id: str) -> Winning:
    op, kernel = _kernels()[key, device_id]
    return winning(kernel, here().points.get(key, ()), partial(keeps_rules, op))


@cache
def _kernels() -> Mapping[tuple[str, str], tuple[Record, Record]]:
    return {_names(kernel): (op, kernel) for op in catalog()["ops"] for kernel in op["kernels"]}


def verdict(op: Record, kernel: Record) -> KernelVerdict:
    """Whether a kernel is right on this machine: as it is on file, or found out now."""
    found = here().verdicts.get(key_of(kernel))
    if found is None:
        found = verdict_of(op, functions()[op["name"]].fallback, kernel)
        here().judge(key_of(kernel), found)
        here().keep()
    return found
