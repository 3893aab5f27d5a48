"""MLX baselines inside a worker: the same call border as an executable of an engine."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from foundry.errors import UsageError
from foundry.program import Arrays
from ops import empty, registry
from ops.arrays import from_mlx, to_mlx
from ops.baselines import Bound
from ops.dtypes import numpy_dtype
from ops.spec import Op, Workload, dtype_of, present

_MOST_TOGETHER = 64
_BYTES_TOGETHER = 64 << 20
"""Results that wait for one evaluation stay below this, so that they do not fill the memory."""


class BaselineCall:
    """A baseline bound to inputs; calling it computes every output and waits."""

    def __init__(
        self, op: Op, workload: Workload, name: str, inputs: Mapping[str, NDArray[Any]]
    ) -> None:
        import mlx.core as mx

        self._op = op
        self._inputs = {t.name: to_mlx(inputs[t.name]) for t in present(op, workload)}
        self._arrays = tuple(self._inputs.values())
        self._function = _answered(op, workload, inputs) or op.bound_baseline(name, workload)
        self._results: tuple[Any, ...] = ()
        mx.eval(list(self._inputs.values()))
        self._evaluate = mx.eval

    def __call__(self) -> None:
        """Run once and wait."""
        self._evaluate(self.start())

    def start(self) -> tuple[Any, ...]:
        """The results of one call, not evaluated yet."""
        self._results = self._function(*self._arrays)
        return self._results

    def changed(self, inputs: Mapping[str, NDArray[Any]]) -> str | None:
        """The first of its inputs that is no longer as it was, in words."""
        for name, array in self._inputs.items():
            if from_mlx(array).tobytes() != inputs[name].tobytes():
                return f"{name} (the baseline's)"
        return None

    def outputs(self) -> Arrays:
        """Results of the latest call by output name."""
        names = [tensor.name for tensor in self._op.outputs]
        return {n: from_mlx(r) for n, r in zip(names, self._results, strict=True)}


def _answered(op: Op, workload: Workload, inputs: Mapping[str, NDArray[Any]]) -> Bound | None:
    """A stand-in for a baseline where an empty array leaves nothing to run."""
    known = empty.answer(op, workload, inputs)
    if known is None:
        return None
    pairs = zip(op.outputs, known, strict=True)
    arrays = tuple(to_mlx(v.astype(numpy_dtype(dtype_of(t, workload)))) for t, v in pairs)
    return lambda *_: arrays


class BaselineRotation:
    """Baseline calls over several sets of inputs, many to one evaluation of MLX's graph.

    A wait for MLX costs far more than a small op, and code that uses MLX does not wait after each.
    """

    def __init__(self, calls: Sequence[BaselineCall]) -> None:
        import mlx.core as mx

        self._evaluate = mx.eval
        self._next = itertools.cycle(calls)
        calls[0]()
        size = sum(a.nbytes for a in calls[0].outputs().values())
        self._together = max(1, min(_MOST_TOGETHER, _BYTES_TOGETHER // max(size, 1)))

    def run(self, count: int) -> None:
        """Make `count` calls and wait for all of them."""
        for start in range(0, count, self._together):
            together = min(self._together, count - start)
            self._evaluate([next(self._next).start() for _ in range(together)])


class EmptyRotation:
    """The smallest MLX operations, whose latency is what MLX itself costs."""

    def __init__(self) -> None:
        import mlx.core as mx

        self._evaluate = mx.eval
        self._scalar = mx.array(1.0)

    def run(self, count: int) -> None:
        """Make `count` operations and wait for all of them."""
        for start in range(0, count, _MOST_TOGETHER):
            together = min(_MOST_TOGETHER, count - start)
            self._evaluate([self._scalar + 1.0 for _ in range(together)])


def find_op(name: str, file: str) -> Op:
    """The op of that name, loading the user's file that defines it where necessary."""
    try:
        return registry.get(name)
    except UsageError:
        registry.load_file(Path(file))
        return registry.get(name)


def select_device(kind: str) -> None:
    """Point MLX at the kind of device that the engine runs on."""
    import mlx.core as mx

    mx.set_default_device(mx.cpu if kind == "cpu" else mx.gpu)
