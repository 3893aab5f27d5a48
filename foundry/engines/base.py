"""What every engine promises.

1. `Engine.build(program)` gives an `Executable`, or a `BuildFailure` when the kernel is at fault.
2. `Executable.bind(inputs)` gives a `Call`; calling it runs all launches once and waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from foundry.program import Arrays, BuildFailure, Device, Launch, Program, Size3, TensorSpec

__all__ = [
    "Arrays",
    "BuildFailure",
    "Call",
    "Device",
    "Engine",
    "Executable",
    "Launch",
    "LazyCall",
    "Program",
    "Reorderable",
    "Size3",
    "TensorSpec",
]
"""The contract whole: what an engine is given and gives back comes with it."""


class Call(Protocol):
    """A program bound to its input arrays."""

    def __call__(self) -> None:
        """Run every launch once and wait until all results are in memory."""

    def inputs(self) -> Arrays:
        """The inputs, read from the memory in which the kernel finds them."""

    def outputs(self) -> Arrays:
        """Results of the latest call, as arrays that later calls do not change."""


@runtime_checkable
class Reorderable(Protocol):
    """A call whose engine decides in which order threadgroups begin."""

    def run_in(self, order: int) -> None:
        """Run every launch once, threadgroups in another order.

        1 is from the last to the first; every other number shuffles in its own way.
        """


@runtime_checkable
class LazyCall(Protocol):
    """A call that MLX runs: a part of its graph, evaluated when somebody waits for it."""

    def start(self, after: Any) -> dict[str, Any]:
        """MLX arrays of the results, not evaluated yet.

        Args:
            after: An MLX array that must be there first; None: nothing.
        """

    def link(self, after: Any) -> dict[str, Any]:
        """The input through which `start` waits, alone."""

    def renew(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Take other inputs of the same shapes and dtypes."""

    def changed(self) -> str | None:
        """Name of an input that is no longer what it was given."""


class Executable(Protocol):
    """A built program."""

    def bind(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        poison: bool = False,
        over: Call | None = None,
    ) -> Call:
        """Attach inputs (exact shapes and dtypes of `Program.inputs`).

        With `poison`, outputs and temporaries that have no `init_value` start as NaN before each
        call, those without one as something that is not 0, so that an element nobody wrote is seen.

        With `over`, an earlier call of this executable, the two share the memory they write to
        where the engine decides that; what one leaves is what the other finds.
        """

    def forget(self, calls: Sequence[object]) -> None:
        """Leave no result of earlier calls anywhere that these calls could find it.

        What they write to, outputs and temporaries, then holds what `poison` would put there.
        """


@runtime_checkable
class Engine(Protocol):
    """Where kernels run."""

    name: str

    def unavailable(self) -> str | None:
        """None when usable here; otherwise one sentence: what is missing, and the fix."""

    def device(self) -> Device:
        """The device that `build` targets."""

    def build(self, program: Program) -> Executable | BuildFailure:
        """Compile. A kernel at fault is a `BuildFailure`; a broken toolchain raises
        `foundry.errors.EnvironmentUnusable`.
        """
