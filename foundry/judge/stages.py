"""Building, and what all stages share: the walk of a candidate, limits, how it stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Build, Crash, Timeout
from foundry.harness.processes.pool import Lease
from foundry.harness.processes.turns import Turn
from foundry.judge import execution, wording
from foundry.judge.candidate import Candidate, Failed, Pace, Target
from foundry.judge.disturbed import Disturbed
from foundry.judge.options import JudgeOptions
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.references import References
from foundry.judge.sources import groups_of
from foundry.judge.verdict import Status
from foundry.program import Program
from ops.spec import Op

_START_S = 2.0
_PER_ELEMENT_S = 1e-5
"""And per thread: many threads may share an element."""


@dataclass(frozen=True)
class Walk:
    """One candidate with the worker it runs on. Programs are numbered in the order of building:
    the visible ones, the ghosts of the probe, then the hidden and bench ones.
    """

    candidate: Candidate
    worker: Lease
    turn: Turn
    references: References
    options: JudgeOptions

    @property
    def ghost(self) -> int:
        """Number of the ghost that does nothing at all."""
        return len(self.candidate.visible)

    @property
    def filled_ghosts(self) -> dict[int, float]:
        """Numbers of the ghosts whose outputs are filled first, and with what."""
        return dict(enumerate(execution.FILLS, self.ghost + 1))

    @property
    def first_of_next(self) -> int:
        """Number of the program that is built next, after the hidden and bench ones."""
        return self.first_of_rest + len(self.candidate.rest) + self.candidate.built_more

    @property
    def first_of_rest(self) -> int:
        """Number of the first hidden program."""
        return self.ghost + (1 + len(execution.FILLS) if self.candidate.probe else 0)


def build_visible(walk: Walk) -> Failed | None:
    """Compile the kernel for the visible workloads, and the ghosts of its probe."""
    candidate = walk.candidate
    ghosts: tuple[Program, ...] = ()
    if candidate.probe:
        program = candidate.probe.program
        ghosts = (execution.ghost(program), *execution.filled_ghosts(program))
    return _held(_build(walk, candidate.visible, ghosts, keep=False))


def build_rest(walk: Walk) -> Failed | None:
    """Compile the kernel for the hidden and bench workloads."""
    return _held(_build(walk, walk.candidate.rest, (), keep=True))


def build_more(walk: Walk, targets: Sequence[Target], limit_s: float) -> Failed | Timeout | None:
    """Compile the kernel for further workloads; they are numbered from `first_of_next`.

    A compiler that is slow there says nothing against a kernel that is right elsewhere.
    """
    if not targets:
        return None
    failed = _build(walk, targets, (), keep=True, limit_s=limit_s)
    walk.candidate.built_more += len(targets)
    return failed


def _held(found: Failed | Timeout | None) -> Failed | None:
    """A build that takes too long, held against the kernel."""
    return stopped(found, "build", None) if isinstance(found, Timeout) else found


def _build(
    walk: Walk,
    targets: Sequence[Target],
    ghosts: tuple[Program, ...],
    *,
    keep: bool,
    limit_s: float = math.inf,
) -> Failed | Timeout | None:
    programs = (*(t.program for t in targets), *ghosts)
    job = Build(programs, groups_of(programs), keep)
    with walk.candidate.stage("build"):
        found = walk.worker.ask(job, min(limit_s, walk.options.build_limit_s))
    if isinstance(found, Timeout):
        return found
    if isinstance(found, Crash):
        return stopped(found, "build", None)
    for target, failure in zip(targets, found, strict=False):
        if failure is not None:
            kernel, hidden = walk.candidate.kernel, target.hidden
            said = wording.build_failure(failure, kernel, target.workload, hidden=hidden)
            return Failed(Status.BUILD_ERROR, said)
    for failure in found[len(targets) :]:
        if failure is not None:
            raise EnvironmentUnusable(
                f"an empty kernel does not build: {failure.log[:400]}", "Run `foundry doctor`."
            )
    return None


def run_limit_s(program: Program, runs: int, most: float) -> float:
    """How long runs of a program may take by the judge's clock before the kernel counts as hung.

    Small workloads end early: a hung kernel keeps a worker from judging others. Every kernel that
    is of any use needs far less than the seconds it gets on a busy machine.
    """
    return min(most, _START_S + _PER_ELEMENT_S * runs * (elements(program) + threads(program)))


def pace_of(op: Op, target: Target, seconds: float) -> Pace:
    """How fast a kernel was that ran for so long on a workload."""
    return Pace(target.workload, work(op, target.workload), threads(target.program), seconds)


def threads(program: Program) -> int:
    """Threads of all launches together."""
    return sum(math.prod(launch.grid) for launch in program.launches)


def elements(program: Program) -> int:
    """Elements of all arrays that a program reads or writes."""
    written = (spec for launch in program.launches for spec in launch.outputs)
    return sum(math.prod(spec.shape) for spec in (*program.inputs, *written))


def stopped(failure: Timeout | Crash, stage: str, target: Target | None) -> Failed:
    """A worker that was killed or died under a kernel.

    Raises:
        Disturbed: It was on a GPU, so it may be the fault of another program.
    """
    failed = _stopped(failure, stage, target)
    is_shared = failure.on_gpu if isinstance(failure, Timeout) else failure.gpu_fault is not None
    if is_shared:
        raise Disturbed(failure, failed)
    return failed


def _stopped(failure: Timeout | Crash, stage: str, target: Target | None) -> Failed:
    status = Status.TIMEOUT if isinstance(failure, Timeout) else Status.CRASH
    workload = target.workload if target else None
    hidden = target.hidden if target else False
    return Failed(status, wording.stopped(failure, stage, workload, hidden=hidden))


def has_work(program: Program) -> bool:
    """Whether any launch runs a thread."""
    return any(0 not in launch.grid for launch in program.launches)
