"""A kernel on its way through the judge: bound to every workload it will meet."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from foundry.errors import InvalidKernel
from foundry.judge.options import NOBODY, JudgeOptions, Rivals, bench_workloads
from foundry.judge.oracle.inputs import applicable
from foundry.judge.oracle.sampling import SameOp
from foundry.judge.oracle.workloads.dealing import (
    Dealt,
    deal,
    deal_faintly,
    deal_thoroughly,
    unseen,
    with_ends,
    with_meetings,
    with_nonfinite,
    with_opposite,
    with_planted,
    with_spots,
)
from foundry.judge.oracle.workloads.every import every_value
from foundry.judge.oracle.workloads.parameters import parameter_workloads
from foundry.judge.sources import share
from foundry.judge.verdict import Diagnostic, OutputError, Proven, Status, Timing
from foundry.kernel import Kernel, bind, parse, text_hash
from foundry.program import Program
from ops.spec import Op, elements_of, plain_flops
from ops.workload import Workload, shape_of

_NONFINITE_SHOWN, _NONFINITE_HIDDEN = 1, 2
"""Workloads that are dealt NaN and infinities."""


@dataclass(frozen=True)
class Failed:
    """Why a kernel stopped."""

    status: Status
    diagnostic: Diagnostic


@dataclass(frozen=True)
class Target:
    """A kernel bound to one workload, and the distributions it is verified under."""

    workload: Workload
    program: Program
    distributions: tuple[str, ...]
    hidden: bool = False
    timed: bool = True
    """Of a bench workload: whether it was chosen to be timed, or is only verified as such."""


@dataclass(frozen=True)
class Pace:
    """How long one run on a workload took, with all that goes with it."""

    workload: Workload
    work: int
    """Elements and FLOPs."""
    threads: int
    seconds: float


@dataclass
class Candidate:
    """What is known about one kernel so far."""

    text: str
    op: Op
    dtype: str
    seed: int
    rivals: Rivals = NOBODY
    """Among what it is judged."""
    kernel: Kernel | None = None
    visible: tuple[Target, ...] = ()
    hidden: tuple[Target, ...] = ()
    bench: tuple[Target, ...] = ()
    probe: Target | None = None
    """The visible target on which execution is proven."""
    paces: list[Pace] = field(default_factory=list)
    """Of the workloads it was run on."""
    reached: list[Workload] = field(default_factory=list)
    """Large workloads that it was right on."""
    unproven: dict[str, Failed] = field(default_factory=dict)
    """What it was not run on, or cannot be held to anything on, though it should be, and why."""
    errors: dict[str, OutputError] = field(default_factory=dict)
    timings: list[Timing] = field(default_factory=list)
    untimed: dict[str, Failed] = field(default_factory=dict)
    """Why a workload has no time, though the kernel is right on it."""
    is_unseen: bool = False
    """Whether the sanitizer could not build it, and saw nothing of the visible workloads."""
    unwatched: int | None = None
    """Workloads that the sanitizer did not watch; None before it was done."""
    left_out: int = 0
    """Workloads of sources that are not in its share."""
    built_more: int = 0
    """Programs built after those of the hidden and bench workloads."""
    is_faster: bool = False
    also_right_in: list[str] = field(default_factory=list)
    """Dtypes beside its own."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What timing found beside the times, by workload."""
    stage_ms: dict[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.perf_counter

    @property
    def rest(self) -> tuple[Target, ...]:
        """What is built and verified once the visible workloads have passed."""
        return (*self.hidden, *self.bench)

    @property
    def proven(self) -> Proven:
        """The sizes it was right on, once every target has passed."""
        targets = [t for t in (*self.visible, *self.rest) if t.workload.id not in self.unproven]
        found = _proven(self.op, [*(t.workload for t in targets), *self.reached])
        dtypes = (self.dtype, *self.also_right_in)
        unproven = {"unwatched": self.unwatched, "left_out": self.left_out}
        return found.model_copy(update={"dtypes": dtypes, **unproven})

    def beside(self, text: str, dtype: str) -> Candidate:
        """Another text or dtype of the same op, judged on this one's time."""
        return Candidate(text, self.op, dtype, self.seed, stage_ms=self.stage_ms, clock=self.clock)

    @property
    def kernel_hash(self) -> str:
        """Identity of the kernel; of its text, where that is no kernel."""
        if self.kernel is not None:
            return self.kernel.hash
        return text_hash(self.text)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block, by the clock it began with, to a stage."""
        clock = self.clock
        start = clock()
        try:
            yield
        finally:
            self.add(name, clock() - start)

    def add(self, name: str, seconds: float) -> None:
        """Add to the time of a stage."""
        self.stage_ms[name] = self.stage_ms.get(name, 0.0) + seconds * 1e3


def _proven(op: Op, workloads: Sequence[Workload]) -> Proven:
    sizes = {axis: [w.axes[axis] for w in workloads if w.axes[axis]] for axis in op.axis_names}
    numbers = [name for name, default in op.params.items() if not isinstance(default, bool)]
    params = {name: [w.params[name] for w in workloads] for name in numbers}
    return Proven(
        params={name: (min(found), max(found)) for name, found in params.items() if found},
        axes={axis: (min(found), max(found)) for axis, found in sizes.items() if found},
        elements=max((elements_of(op, w) for w in workloads), default=0),
        written=max((_written(op, w) for w in workloads), default=0),
        flops=max((plain_flops(op, w) for w in workloads), default=0),
    )


def _written(op: Op, workload: Workload) -> int:
    return sum(math.prod(shape_of(tensor, workload)) for tensor in op.outputs)


def prepare(candidate: Candidate, options: JudgeOptions) -> Failed | None:
    """Parse the text and bind it to every workload, or say why that is impossible."""
    op, dtype = candidate.op, candidate.dtype
    hidden = False
    name: str | None = None
    chosen = bench_workloads(op, dtype, options.bench)
    try:
        kernel = parse(candidate.text)
        if kernel.op != op.name:
            raise InvalidKernel(f"the kernel is for '{kernel.op}', not for '{op.name}'")
        candidate.kernel = kernel
        groups: list[tuple[Target, ...]] = []
        for dealt_to, hidden in _dealt(SameOp(op), dtype, options, candidate.seed):
            targets: list[Target] = []
            for workload, dealt in dealt_to:
                name = workload.id
                timed = workload in chosen
                targets.append(Target(workload, bind(kernel, op, workload), dealt, hidden, timed))
            groups.append(tuple(targets))
    except InvalidKernel as error:
        message = f"{error.reason}" + (" (on a hidden workload)" if hidden else "")
        found = Diagnostic(
            stage="parse", message=message, line=error.line, workload=name, hidden=hidden
        )
        return Failed(Status.INVALID, found)
    candidate.visible, candidate.hidden, candidate.bench = groups
    if options.sources is not None:
        _keep_share(candidate, kernel.hash, options.sources)
    candidate.probe = _probe(op, candidate.visible)
    return None


def _keep_share(candidate: Candidate, who: str, most: int) -> None:
    """Leave out what belongs to other sources than a share of so many."""
    groups = candidate.visible, candidate.hidden, candidate.bench
    programs = [[target.program for target in group] for group in groups]
    kept = iter(share(programs[0], [*programs[1], *programs[2]], most, who))
    found = [tuple(target for target in group if next(kept)) for group in groups]
    candidate.visible, candidate.hidden, candidate.bench = found
    candidate.left_out = sum(map(len, groups)) - sum(map(len, found))


def _probe(op: Op, visible: tuple[Target, ...]) -> Target | None:
    """The visible target with the largest output, on which execution is proven."""
    sizes = [_written(op, v.workload) for v in visible]
    if not any(sizes):
        return None
    return visible[sizes.index(max(sizes))]


@lru_cache(maxsize=256)
def _dealt(
    asked: SameOp, dtype: str, options: JudgeOptions, seed: int
) -> tuple[tuple[tuple[Dealt, ...], bool], ...]:
    """Visible, hidden and bench workloads with their distributions, and whether they are hidden.

    A judge deals the same to every kernel.
    """
    op = asked.op
    names, each = applicable(op, options.distributions), options.per_workload
    shown = deal(op.workloads("visible", dtype), names, each, seed)
    visible = with_nonfinite(op, shown, _NONFINITE_SHOWN, seed)
    hidden = deal((*op.workloads("hidden", dtype), *unseen(op, dtype, seed)), names, each, seed)
    tried = deal_faintly(parameter_workloads(op, dtype, seed), names, each, seed)
    unlisted = with_spots(op, with_nonfinite(op, hidden, _NONFINITE_HIDDEN, seed))
    ends = with_opposite(op, with_ends(op, (*unlisted, *tried), names), names)
    together = with_meetings(op, with_planted(op, ends, names))
    # The smallest comes first, and is what most kernels are written for: it is verified always.
    # One that is chosen for its time may be too much for a kernel that is right by brute force.
    is_timed = options.timed or options.proves_bench or options.bench != "quick"
    timed = bench_workloads(op, dtype, options.bench) if is_timed else ()
    chosen = (*timed, *op.workloads("bench", dtype)[:1])
    bench = deal_thoroughly(op, tuple(dict.fromkeys(chosen)), names, each, seed)
    return (
        (tuple(visible), False),
        ((*together, *every_value(op, dtype, seed)), True),
        (tuple(bench), False),
    )
