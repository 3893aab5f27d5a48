"""What the sanitizer reports: kinds, findings, and the sentence for each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from foundry.errors import LaunchFailed

if TYPE_CHECKING:
    from foundry.msl.counters import Counters


class FindingKind(StrEnum):
    """What is wrong with an access, a barrier or a launch."""

    OUT_OF_BOUNDS = "out_of_bounds"
    """An access beside its buffer or threadgroup array."""
    UNINITIALISED_READ = "uninitialised_read"
    """A read of memory that nothing has written."""
    DATA_RACE = "data_race"
    """Two threads, one address, at least one write, no barrier between."""
    BARRIER_DIVERGENCE = "barrier_divergence"
    """A threadgroup barrier that not all threads reach."""
    SIMD_DIVERGENCE = "simd_divergence"
    """A SIMD-group operation that not all lanes reach."""
    INPUT_WRITE = "input_write"
    """A write to an input, whose memory other arrays may share."""
    MISALIGNED = "misaligned_access"
    """A vector read or written at an address its type may not have."""
    UNWRITTEN_OUTPUT = "unwritten_output"
    """Elements of an output that no thread wrote."""
    THREADGROUP_MEMORY = "threadgroup_memory"
    """More than 32 KiB of threadgroup memory."""
    TOO_MANY_THREADS = "too_many_threads"
    """More than 1,024 threads in a threadgroup."""
    RUNAWAY_LOOP = "runaway_loop"
    """Still running at the time limit."""
    STACK_OVERFLOW = "stack_overflow"
    """A thread that uses more stack than there is."""


@dataclass(frozen=True)
class Finding:
    """One fault, with the thread and the line that it happened on."""

    kind: FindingKind
    sentence: str
    """What happened, fit for a terminal and a prompt; without the line."""
    buffer: str | None = None
    """Name of the array in the kernel."""
    index: int | None = None
    """Element of the array; below 0 or beyond the size when out of bounds."""
    size: int | None = None
    """Elements the array has."""
    access: str | None = None
    """`read`, `write` or `atomic`."""
    thread: tuple[int, int, int] | None = None
    """`thread_position_in_grid`."""
    other_thread: tuple[int, int, int] | None = None
    """The second thread of a race."""
    other_line: tuple[str, int] | None = None
    """Part and line of the second access of a race."""
    part: str | None = None
    """`header` or `source`."""
    part_line: int | None = None
    """Line in that part, from 1."""
    text: str = ""
    """That line of the kernel."""
    launch: int = 0
    """Which launch of the kernel, from 0."""
    count: int = 1
    """How often it happened."""

    @property
    def line(self) -> int | None:
        """Line in its part, from 1."""
        return self.part_line

    @property
    def message(self) -> str:
        """The sentence with its line, fit for a prompt."""
        if self.part_line is None:
            return self.sentence
        launch = f"launch {self.launch + 1}, " if self.launch else ""
        return f"{self.sentence} [{launch}{self.part}:{self.part_line}: `{self.text.strip()}`]"


@dataclass(frozen=True)
class Report:
    """Everything the sanitizer says of one program on one set of inputs."""

    findings: tuple[Finding, ...] = ()
    build_log: str | None = None
    """The compiler's words when the program does not build; nothing ran then."""
    run_s: float = 0.0
    """How long the launches ran, without building and setting up."""
    count: Callable[[], Counters] | None = field(default=None, repr=False, compare=False)
    """Runs the program once more, to count."""

    @functools.cached_property
    def counters(self) -> Counters:
        """What the program's SIMD-groups do: counted when first asked for, in a run of its own.

        Raises:
            LaunchFailed: It has findings, or does not build.
        """
        if self.findings or self.build_log is not None or self.count is None:
            raise LaunchFailed("a program that the sanitizer condemns is not counted")
        return self.count()
