"""The two sides of a measurement inside a worker: batches of calls, run when they are told to.

1. `ready` prepares a batch outside of the clock: what its calls write to holds no earlier result.
2. `run` makes the calls. Those of an engine that waits after each (cpu) follow one another. Those
   that MLX runs are built lazily and evaluated with one wait, as programs do.
3. On a GPU calls without a dependence overlap, so each takes an input from the one before: the
   smallest is copied under a condition that reads the former result (`linked`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from foundry.engines.base import Call, Executable, LazyCall
from foundry.harness.measuring.buffers import Buffers
from foundry.program import Arrays

_THREADS = "FOUNDRY_CPU_THREADS"


class Side(Protocol):
    """Something that is run in batches."""

    nodes: int

    def ready(self, calls: int, *, keep: bool = False) -> None:
        """Prepare a batch, and leave nothing of earlier ones unless it is to be kept."""

    def run(self) -> None:
        """Run it and wait."""

    def renew(self, sets: Sequence[Arrays]) -> None:
        """Put other inputs in the place of those it has."""

    def left(self, calls: Sequence[int]) -> tuple[Arrays, ...]:
        """Outputs of some calls of the latest batch."""

    def changed(self) -> str | None:
        """An input that is not as it was, in words."""


class WaitingSide:
    """Calls of an engine that wait, each with memory of its own to write to.

    Args:
        executable: What to call.
        sets: Inputs that calls take turns with.
        slots: Calls of a batch, at most.
    """

    nodes = 0

    def __init__(self, executable: Executable, sets: Sequence[Arrays], slots: int) -> None:
        self._executable = executable
        self._sets = list(sets)
        self._buffers = [Buffers(s) for s in sets]
        filled = [buffer.fill(s) for buffer, s in zip(self._buffers, sets, strict=True)]
        with _one_thread():
            self._calls = [executable.bind(filled[i % len(filled)]) for i in range(slots)]
        self._batch: Sequence[Call] = ()

    def ready(self, calls: int, *, keep: bool = False) -> None:
        """Prepare a batch."""
        self._batch = self._calls[:calls]
        if not keep:
            self._executable.forget(self._batch)

    def run(self) -> None:
        """Run it."""
        for call in self._batch:
            call()

    def renew(self, sets: Sequence[Arrays]) -> None:
        """Put other inputs in the place of those it has."""
        self._sets = list(sets)
        for buffer, inputs in zip(self._buffers, sets, strict=True):
            buffer.fill(inputs)

    def left(self, calls: Sequence[int]) -> tuple[Arrays, ...]:
        """Outputs of some calls of the latest batch."""
        return tuple(self._batch[number].outputs() for number in calls)

    def changed(self) -> str | None:
        """An input that is not as it was, in words."""
        for call, buffer, inputs in zip(self._calls, self._buffers, self._sets, strict=False):
            if name := buffer.changed(call, inputs):
                return name
        return None


class LazySide:
    """Calls that MLX runs: built one after the other, evaluated with one wait.

    Args:
        calls: One for each set of inputs.
        chained: Whether each takes an input from the one before.
        links: Make no calls, but what chains them alone.
        executable: What they are calls of; None for a baseline.
    """

    def __init__(
        self,
        calls: Sequence[LazyCall],
        *,
        chained: bool,
        links: bool = False,
        executable: Executable | None = None,
    ) -> None:
        import mlx.core as mx

        self._evaluate = mx.eval
        self._calls = calls
        self._chained = chained
        self._links = links
        self._executable = executable
        self._count = 0
        self._results: list[dict[str, Any]] = []
        self.nodes = count_nodes(list(calls[0].start(None).values()))

    def ready(self, calls: int, *, keep: bool = False) -> None:
        """Prepare a batch."""
        self._results, self._count = [], calls
        if self._executable is not None and not keep:
            self._executable.forget([self._call(number) for number in range(calls)])

    def run(self) -> None:
        """Build it, and wait for all of it."""
        after: Any = None
        for number in range(self._count):
            call = self._call(number)
            found = call.link(after) if self._links else call.start(after)
            self._results.append(found)
            if self._chained:
                after = next(iter(found.values()))
        self._evaluate(self._results)

    def renew(self, sets: Sequence[Arrays]) -> None:
        """Put other inputs in the place of those it has."""
        for call, inputs in zip(self._calls, sets, strict=True):
            call.renew(inputs)

    def left(self, calls: Sequence[int]) -> tuple[Arrays, ...]:
        """Outputs of some calls of the latest batch."""
        from ops.arrays import from_mlx

        return tuple(
            {name: from_mlx(array) for name, array in self._results[number].items()}
            for number in calls
        )

    def changed(self) -> str | None:
        """An input that is not as it was, in words."""
        return next((name for name in (call.changed() for call in self._calls) if name), None)

    def _call(self, number: int) -> LazyCall:
        return self._calls[number % len(self._calls)]


def count_nodes(arrays: Sequence[Any]) -> int:
    """Operations in the graph of arrays that are not evaluated yet."""
    import io

    import mlx.core as mx

    text = io.StringIO()
    mx.export_to_dot(text, *arrays)
    return text.getvalue().count("shape=rectangle")


@contextmanager
def _one_thread() -> Iterator[None]:
    """What is bound meanwhile uses one processor, as MLX does, whatever the machine has."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
