"""Axes: the sizes of an op, each with the rule that its sizes keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A named size of an op."""

    name: str
    multiple_of: int = 1
    """Every size is a multiple of it: 32 for a row of quantised groups of 32."""
    least: int = 0
    """No size is smaller."""
    values: tuple[int, ...] = ()
    """The only sizes there are; empty: every size that the other two fields allow."""
    compiled: bool = False
    """Whether kernels take it as a compile-time constant: every further size is a build."""
    tried_to: int = 0
    """Largest size that kernels are tried with where every size is a build, for what is compiled in
    decides how much memory they declare; 0: the largest that the op lists."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The rule as conditions, as they stand in prompts: `k % 32 == 0`."""
        return tuple(self._conditions())

    def _conditions(self) -> Iterator[str]:
        if self.values:
            yield f"{self.name} in {{{', '.join(map(str, self.values))}}}"
        if self.multiple_of > 1:
            yield f"{self.name} % {self.multiple_of} == 0"
        if self.least > 0:
            yield f"{self.name} >= {self.least}"

    def refusal(self, size: int) -> str:
        """Why a size breaks the rule, in words; empty where it does not."""
        return next(self._refusals(size), "")

    def _refusals(self, size: int) -> Iterator[str]:
        if size < 0:
            yield f"{self.name} is {size}; sizes are >= 0"
        if self.values and size not in self.values:
            yield f"{self.name} is {size}; {self.name} is one of {', '.join(map(str, self.values))}"
        if size % self.multiple_of:
            yield f"{self.name} is {size}; {self.name} is a multiple of {self.multiple_of}"
        if size < self.least:
            yield f"{self.name} is {size}; {self.name} is at least {self.least}"


def axes(*named: str | Axis) -> tuple[Axis, ...]:
    """Axes in order; text names axes of any size, separated by spaces.

    `axes("rows cols", Axis("k", compiled=True))` are three.
    """
    return tuple(_axes(named))


def _axes(named: tuple[str | Axis, ...]) -> Iterator[Axis]:
    for axis in named:
        if isinstance(axis, str):
            yield from map(Axis, axis.split())
        else:
            yield axis
