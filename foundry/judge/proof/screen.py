"""The sanitizer, on everything that a kernel will meet: it sees what no comparison shows.

1. `screen`: the largest visible workload, and those that compile from the same source, which cost
   no build. What is found here is found before anything else of the kernel runs.
2. `screen_rest`, once the visible workloads came out right: every other source and size, hidden and
   drawn in secret ones among them, and the timed ones; each on rows of many distributions.
3. `screen_large`: a few rows of a large workload, with its strides and compiled sizes.

A kernel that is slow by brute force cannot be watched on all of these, so the smallest come first:
where the time of the sanitizer ends, nothing is held against the kernel. Neither is what builds
without checks and not with them, as after thirty seconds of the compiler; it counts as unwatched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foundry.errors import InvalidKernel
from foundry.harness.jobs import UNBUILT, Crash, Examine, ReportedFinding, Timeout
from foundry.judge import wording
from foundry.judge.candidate import Failed, Target
from foundry.judge.oracle.draws.distributions import EVERY, MIXED
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.sampling import thin
from foundry.judge.sources import groups_of
from foundry.judge.stages import Walk, elements, has_work, stopped, threads
from foundry.judge.verdict import Status
from foundry.kernel import bind
from foundry.program import Program

_LIMIT_S = 60.0
_MOST_WORK = 1 << 20
"""Elements and FLOPs of what is watched as a whole where a part would do."""
_MOST_WHOLE = 1 << 23
"""The same where no part of it has its strides, as of attention over a thousand keys."""
_BUDGET_S = 8.0
_ENDLESS = "runaway_loop"
_NO_FAULTS = (_ENDLESS, UNBUILT)
"""Kinds of findings that end the watch, or leave a size unwatched, and are held against nobody."""


def screen(walk: Walk) -> Failed | None:
    """Examine the kernel on its largest visible workload, and smaller ones of the same source."""
    targets = _first(walk)
    if not targets:
        return None
    largest = max(targets, key=lambda t: elements(t.program))
    # Where a core is free, the kernel is built for the next stage at the same time.
    ahead = largest.program if walk.worker.has_room else None
    for target in targets:
        found = _examine(walk, target, target.distributions[0], ahead)
        if not isinstance(found, Timeout | Crash) and any(f.kind == UNBUILT for f in found):
            # The build that follows says why; where there is no reason, all sizes are still due.
            walk.candidate.is_unseen = True
            return None
        if failed := _told(walk, target, found):
            return failed
        ahead = None
    return None


def screen_rest(walk: Walk) -> Failed | None:
    """Examine the kernel on all other workloads that it is about to be verified on."""
    candidate = walk.candidate
    known = set() if candidate.is_unseen else {id(target) for target in _first(walk)}
    largest = max(candidate.visible, key=lambda t: elements(t.program), default=None)
    fresh = [t for t in candidate.visible if id(t) not in known or t is largest]
    timed = [t for b in candidate.bench for t in _watched(walk, b)]
    left_s = _BUDGET_S
    watched = [t for t in (*fresh, *candidate.hidden, *timed) if has_work(t.program)]
    unwatched = len(watched) + len(candidate.bench) - len(timed)
    for target in sorted(watched, key=_size):
        found = _examine(walk, target, _distribution(target))
        if isinstance(found, Timeout | Crash) or any(f.kind not in _NO_FAULTS for f in found):
            return _told(walk, target, found)
        left_s -= walk.worker.spent_s
        if left_s < 0.0 or any(f.kind == _ENDLESS for f in found):
            break
        unwatched -= not found
    if walk.options.sanitizer is not None:
        candidate.unwatched = unwatched + candidate.left_out
    return None


def screen_large(walk: Walk, target: Target) -> Failed | None:
    """Examine the kernel on a few rows of a workload."""
    for part in _watched(walk, target):
        found = _examine(walk, part, _distribution(part))
        if isinstance(found, Timeout | Crash) or any(f.kind not in _NO_FAULTS for f in found):
            return _told(walk, part, found)
    return None


def _first(walk: Walk) -> Sequence[Target]:
    """The visible targets of the source that the largest of them compiles from."""
    targets = [t for t in walk.candidate.visible if has_work(t.program)]
    if not targets:
        return ()
    numbers = groups_of([t.program for t in targets])
    largest = max(range(len(targets)), key=lambda i: elements(targets[i].program))
    return [t for t, n in zip(targets, numbers, strict=True) if n == numbers[largest]]


def _watched(walk: Walk, target: Target) -> Iterator[Target]:
    """The target, or one with the same strides and little work; none where neither is possible."""
    candidate = walk.candidate
    op, workload = candidate.op, target.workload
    if work(op, workload) <= _MOST_WORK:
        yield target
    elif (part := thin(op, workload, _MOST_WORK)) and candidate.kernel is not None:
        try:
            yield Target(part, bind(candidate.kernel, op, part), (MIXED,), target.hidden)
        except InvalidKernel:  # the kernel may be for large sizes alone
            return
    elif work(op, workload) <= _MOST_WHOLE:
        yield target


def _size(target: Target) -> int:
    return elements(target.program) + threads(target.program)


def _distribution(target: Target) -> str:
    return EVERY if EVERY in target.distributions else MIXED


def _examine(
    walk: Walk, target: Target, distribution: str, ahead: Program | None = None
) -> tuple[ReportedFinding, ...] | Timeout | Crash:
    candidate, path = walk.candidate, walk.options.sanitizer
    if path is None or not has_work(target.program):
        return ()
    inputs = walk.references.inputs(candidate.op, target.workload, distribution, candidate.seed)
    with candidate.stage("sanitize"):
        return walk.worker.ask(Examine(path, target.program, inputs, ahead), _LIMIT_S)


def _told(
    walk: Walk, target: Target, found: tuple[ReportedFinding, ...] | Timeout | Crash
) -> Failed | None:
    if isinstance(found, Timeout | Crash):
        return stopped(found, "sanitize", target)
    if not found:
        return None
    kernel, workload = walk.candidate.kernel, target.workload
    said = wording.sanitized(found[0], kernel, workload, hidden=target.hidden)
    return Failed(Status.SANITIZER_ERROR, said)
