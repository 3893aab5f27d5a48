"""Checks what this machine can run against what the judge expects of it.

The fallback of every op is held to the checks, once compiled too, and every kernel where Metal is
there. What is found of a kernel is kept: one that fails is off from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import mlx.core as mx

from .arguments import MatchedCall, Record
from .checking import call_of, is_empty, outcome, verdict_of
from .choice import distinct, key_of
from .device import chip
from .dispatch import CatalogFunction, gradient_of, here

_PATHS = ("empty", "fallback", "fallback, compiled")
"""What a check runs where it runs no kernel."""


@dataclass(frozen=True)
class KernelCheck:
    """One kernel, or one op's fallback, on one workload."""

    op: str
    path: str
    dtype: str
    axes: Mapping[str, int]
    passed: bool
    detail: str


def checks(functions: Mapping[str, CatalogFunction]) -> Iterator[KernelCheck]:
    """Run everything that can run here."""
    for name, function in functions.items():
        for record in function.op["checks"]:
            call = call_of(function.op, record)
            is_first = record is function.op["checks"][0]
            for path, run in _paths(function, call, is_first):
                detail = outcome(function.op, record, call, run)
                yield KernelCheck(name, path, call.sizes.dtype, call.sizes.axes, not detail, detail)
    keep_verdicts(functions)


def keep_verdicts(functions: Mapping[str, CatalogFunction]) -> None:
    """Find out anew, and keep, which kernels are right on this machine."""
    if chip() is None:
        return
    for function in functions.values():
        for kernel in distinct(function.op):
            found = verdict_of(function.op, function.fallback, kernel)
            here().judge(key_of(kernel), found)
    here().keep()


def summary(done: list[KernelCheck], functions: Mapping[str, CatalogFunction]) -> dict[str, Any]:
    """Counts and, honestly, what could not be tested here."""
    kernels = sum(len(distinct(f.op)) for f in functions.values())
    tested = {(c.op, c.path, c.dtype) for c in done if c.path not in _PATHS}
    untested = [] if chip() else [f"{kernels} kernels: Metal is not available on this machine"]
    uncompared = [
        f"{name}: {tensor['name']} may come out in more than one way ({tensor['match']})"
        for name, function in functions.items()
        for tensor in function.op["outputs"]
        if tensor["match"] not in ("close", "exact")
    ]
    return {
        "checks": len(done),
        "failed": [asdict(c) for c in done if not c.passed],
        "kernels": kernels,
        "kernels_tested": len(tested),
        "not_tested": [*untested, *uncompared, _gradients(functions)],
    }


def _gradients(functions: Mapping[str, CatalogFunction]) -> str:
    """Those that kernels give are checked as ops of their own."""
    shipped = ", ".join(name for name in functions if gradient_of(name) is not None)
    return "gradients: they come from the fallback" + (f", but for {shipped}" if shipped else "")


def _paths(
    function: CatalogFunction, call: MatchedCall, is_first: bool
) -> Iterator[tuple[str, Callable[[], Sequence[mx.array]]]]:
    if is_empty(call):
        yield "empty", partial(function.without_kernels(call), *call.arrays)
        return
    yield "fallback", partial(function.without_kernels(call), *call.arrays)
    if is_first:  # On a CPU, MLX starts a compiler for each.
        yield "fallback, compiled", partial(_compiled, function, call)
    if chip() is None:
        return
    for kernel in distinct(function.op):
        if kernel["dtype"] == call.sizes.dtype:
            yield kernel["hash"][:12], partial(_by_kernel, function, kernel, call)


def _by_kernel(function: CatalogFunction, kernel: Record, call: MatchedCall) -> Sequence[mx.array]:
    return function.with_kernel(kernel, call)(*call.arrays)


def _compiled(function: CatalogFunction, call: MatchedCall) -> Sequence[mx.array]:
    given = [at for at, array in enumerate(call.arrays) if array is not None]
    run = function.without_kernels(call)

    def traced(*present: mx.array) -> Sequence[mx.array]:
        found = dict(zip(given, present, strict=True))
        return run(*[found.get(at) for at in range(len(call.arrays))])

    results: Sequence[mx.array] = mx.compile(traced)(*(a for a in call.arrays if a is not None))
    return results
