"""What is said of a launch that was ended: kernel, sizes, and the line where it can be found.

A plain run knows that it ended and why, not where. The sanitizer runs the same kernel on the same
arrays, with every access checked, and tells the thread, the index and the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from foundry.errors import EnvironmentUnusable
from foundry.msl.frontend.signature import Captured
from foundry.msl.run.builder import Text
from foundry.msl.run.runtime import Ending, LaunchEnded
from foundry.msl.sanitizer import Finding, FindingKind, sanitize
from foundry.program import Launch, Program, TensorSpec

_CAUSES = {
    Ending.WILD_ADDRESS: FindingKind.OUT_OF_BOUNDS,
    Ending.OUT_OF_STACK: FindingKind.STACK_OVERFLOW,
    Ending.ENDLESS: FindingKind.RUNAWAY_LOOP,
}
_MOST_BYTES = 256 << 20
_LIMIT_S, _ENDLESS_LIMIT_S = 5.0, 0.5
"""Of the repetition. One that is known to be endless need not be waited for."""


@dataclass(frozen=True)
class EndedLaunch:
    """A launch that was ended, and all that it takes to repeat it."""

    name: str
    text: Text
    inputs: Mapping[str, NDArray[Any]]
    outputs: tuple[TensorSpec, ...]
    init_value: float | None
    error: LaunchEnded

    @property
    def sentence(self) -> str:
        """What happened, to which launch of which kernel, and the line where it is known."""
        captured = self.text.captured
        said = (
            f"kernel '{self.name}', launched with grid {captured.grid} and threadgroup"
            f" {captured.threadgroup}, was ended: {self.error}"
        )
        cause = self._cause()
        return f"{said}; {cause.message}" if cause else said

    def _cause(self) -> Finding | None:
        """The finding that explains it, when there is one; else the first."""
        ending = self.error.ending
        if not self._can_be_repeated():
            return None
        inputs = tuple(
            TensorSpec(name, array.shape, str(array.dtype)) for name, array in self.inputs.items()
        )
        try:
            report = sanitize(
                self._program(inputs),
                self.inputs,
                time_limit_s=_ENDLESS_LIMIT_S if ending is Ending.ENDLESS else _LIMIT_S,
                capture=self._captured,
            )
        except EnvironmentUnusable:
            return None
        first = next(iter(report.findings), None)
        wanted = _CAUSES.get(ending)
        return next((found for found in report.findings if found.kind is wanted), first)

    def _can_be_repeated(self) -> bool:
        """The sanitizer lays arrays out in rows, and needs many times their memory."""
        arrays = self.inputs.values()
        small = sum(array.nbytes for array in arrays) <= _MOST_BYTES
        return small and all(array.flags.c_contiguous for array in arrays)

    def _program(self, inputs: tuple[TensorSpec, ...]) -> Program:
        captured = self.text.captured
        launch = Launch(
            self.name,
            tuple(self.inputs),
            self.outputs,
            self.text.source,
            captured.grid,
            captured.threadgroup,
            self.text.header,
            init_value=self.init_value,
            math_mode=self.text.math_mode,
        )
        return Program(inputs, tuple(spec.name for spec in self.outputs), (launch,))

    def _captured(self, launch: Launch, inputs: object) -> Captured:
        return self.text.captured
