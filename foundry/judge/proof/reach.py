"""How far a kernel reaches: run on every bench shape, and on sizes far beyond the lists.

These runs cost most, so they come once a kernel is right on all else, the cheapest first, and end
where a budget does: an honest kernel may be slow. What is left out is not proven, and a kernel is
called faster, exported or shipped within what is proven alone.

1. Small workloads come before: each remainder that 32 lanes may leave of an axis, once.
2. `Forecast` says from the runs that are done what a run takes where the kernel's work grows as the
   op's does, and what it takes at most: axes whose places depend on each other may be done by brute
   force, which grows with their square.
3. One input, whose rows come from many distributions, is run as a whole. The oracle is asked at a
   sample of places, and no element may stay unwritten.
4. A kernel that takes longer than brute force would is hung. One that brute force explains is slow:
   it stays right, and nothing further is proven.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from foundry.errors import InvalidKernel, NoAnswer
from foundry.harness.jobs import Crash, Results, Run, Timeout
from foundry.judge import execution
from foundry.judge.candidate import Candidate, Failed, Pace, Target
from foundry.judge.oracle import nonfinite
from foundry.judge.oracle.dealing import is_large
from foundry.judge.oracle.far import far_workloads, remainders
from foundry.judge.oracle.inputs import MIXED
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.references import Reference, output_specs
from foundry.judge.oracle.sampling import independent_axes
from foundry.judge.oracle.suspects import suspects
from foundry.judge.proof.screen import screen_large
from foundry.judge.proof.verify import hold, told
from foundry.judge.stages import Walk, build_more, pace_of, stopped, threads
from foundry.judge.verdict import Diagnostic, Status
from foundry.kernel import bind
from foundry.program import Arrays, TensorSpec
from ops.spec import Op, Workload

_DOUBT = 8.0
"""A run may take as many times its forecast, and the limit of small ones."""
_LITTLE = 1 << 26
"""Elements and FLOPs of a bench shape that is tried before what is far."""


def verify_large(walk: Walk) -> Failed | None:
    """Run the timed workloads that are too large for many runs on rows of all distributions."""
    candidate = walk.candidate
    first = walk.first_of_rest + len(candidate.hidden)
    for index, target in enumerate(candidate.bench, first):
        if is_large(candidate.op, target.workload):
            references = _references(walk, target)
            found = _run(walk, target, index, forecast(candidate, target), references)
            if isinstance(found, Failed):
                return found
    return None


def reach(walk: Walk, budget_s: float) -> Failed | None:
    """Run the kernel where it has not been yet, as far as the budget goes."""
    if budget_s <= 0.0:
        return None
    candidate, op = walk.candidate, walk.candidate.op
    if failed := _sweep(walk):
        return failed
    bound = _bound(candidate, _wanted(candidate))
    if isinstance(bound, Failed):
        return bound
    left = dict(enumerate(bound, walk.first_of_next))
    if failed := build_more(walk, bound):
        return failed
    while left:
        forecasts = {n: forecast(candidate, t) for n, t in left.items()}
        affordable = [n for n in left if forecasts[n].seconds <= budget_s]
        if not affordable:
            return None
        nearest = min(affordable, key=lambda n: (_is_far(op, left[n]), forecasts[n].seconds))
        budget_s -= forecasts[nearest].seconds
        target = left.pop(nearest)
        try:
            references = _references(walk, target)
        except NoAnswer:
            # A baseline that keeps whole squares need not go as far as a kernel.
            continue
        if failed := screen_large(walk, target):
            return failed
        found = _run(walk, target, nearest, forecasts[nearest], references)
        if isinstance(found, Failed):
            return found
        if found is None:
            return None
        # Where runs take longer than their forecasts, the budget ends sooner.
        budget_s -= max(0.0, found.seconds - forecasts[nearest].seconds)
        candidate.paces.append(found)
        candidate.reached.append(target.workload)
    return None


def _sweep(walk: Walk) -> Failed | None:
    """Run the kernel once on every remainder that an axis may leave."""
    candidate, op = walk.candidate, walk.candidate.op
    bound = _bound(candidate, remainders(op, candidate.dtype))
    if isinstance(bound, Failed):
        return bound
    first = walk.first_of_next
    if failed := build_more(walk, bound):
        return failed
    for index, target in enumerate(bound, first):
        try:
            with candidate.stage("oracle"):
                known = walk.references.get(op, target.workload, MIXED, candidate.seed)
        except NoAnswer:
            continue
        found = _run(walk, target, index, forecast(candidate, target), (known,))
        if isinstance(found, Failed):
            return found
    return None


def _is_far(op: Op, target: Target) -> bool:
    """Whether it is no bench shape of little work: those come first, for kernels are used there."""
    return target.hidden or work(op, target.workload) > _LITTLE


def _references(walk: Walk, target: Target) -> tuple[Reference, ...]:
    """What is right there on rows of all distributions, and where some hold NaN.

    NaN tells more kernels apart than infinities, which small workloads meet.

    Raises:
        NoAnswer: Nothing says what is right; then nothing is proven there.
    """
    candidate, workload = walk.candidate, target.workload
    names = (MIXED, *nonfinite.ASKED[candidate.op.nonfinite][:1])
    with candidate.stage("oracle"):
        found = [
            walk.references.get(candidate.op, workload, name, candidate.seed, sampled=True)
            for name in names
        ]
    # Where the oracle is not asked, all of them hold normal values.
    others = (r for n, r in zip(names[1:], found[1:], strict=True) if r.distribution == n)
    return found[0], *others


@dataclass(frozen=True)
class Forecast:
    """What a run on a workload takes."""

    seconds: float
    """Where the kernel's work grows as the op's does."""
    most_s: float
    """Where it goes by brute force."""


def forecast(candidate: Candidate, target: Target) -> Forecast:
    """What a run takes, each time by the run that promises least."""
    amount, free = work(candidate.op, target.workload), independent_axes(candidate.op)
    found = [_scaled(pace, target, amount, free) for pace in candidate.paces]
    return Forecast(
        min((f.seconds for f in found), default=math.inf),
        min((f.most_s for f in found), default=math.inf),
    )


def _scaled(pace: Pace, target: Target, amount: int, free: Collection[str]) -> Forecast:
    known, workload = pace.workload, target.workload
    growth = max(1.0, amount / pace.work, threads(target.program) / max(1, pace.threads))
    brute = math.prod(
        max(1.0, size / max(1, known.axes[axis]))
        for axis, size in workload.axes.items()
        if axis not in free
    )
    return Forecast(pace.seconds * growth, pace.seconds * growth * brute)


def _bound(candidate: Candidate, wanted: Sequence[Workload]) -> Failed | tuple[Target, ...]:
    """The kernel on workloads that it was not run on, or why it cannot be there."""
    assert candidate.kernel is not None
    found: list[Target] = []
    for workload in wanted:
        hidden = not workload.label
        try:
            program = bind(candidate.kernel, candidate.op, workload)
        except InvalidKernel as error:
            said = f"{error.reason}" + (" (on a hidden workload)" if hidden else "")
            where = workload.id
            return Failed(
                Status.INVALID,
                Diagnostic(stage="parse", message=said, workload=where, hidden=hidden),
            )
        found.append(Target(workload, program, (MIXED,), hidden))
    return tuple(found)


def _wanted(candidate: Candidate) -> tuple[Workload, ...]:
    op, dtype = candidate.op, candidate.dtype
    known = {w.id for w in (*(t.workload for t in candidate.bench), *candidate.reached)}
    wanted = (*op.workloads("bench", dtype), *far_workloads(op, dtype, candidate.seed))
    return tuple(workload for workload in wanted if workload.id not in known)


def _run(
    walk: Walk,
    target: Target,
    index: int,
    expected: Forecast,
    references: Sequence[Reference],
) -> Failed | Pace | None:
    """The pace of a right run; None where the kernel is honestly too slow."""
    candidate, workload = walk.candidate, target.workload
    with candidate.stage("reach"):
        specs = output_specs(candidate.op, workload)
        runs = len(references)
        limit_s = walk.options.run_limit_s + _DOUBT * runs * expected.seconds
        inputs = tuple(reference.inputs for reference in references)
        found = walk.worker.ask(Run(index, inputs, specs), limit_s)
        seconds = walk.worker.spent_s / runs
        if isinstance(found, Timeout) and _DOUBT * runs * expected.most_s > limit_s:
            return None
        if isinstance(found, Timeout | Crash):
            return stopped(found, "verify", target)
    for reference, outputs in zip(references, found.outputs, strict=True):
        if failed := hold(candidate, target, reference, outputs):
            return failed
    return (
        look_closer(walk, target, references[0], found.outputs[0])
        or _doubt(target, found, specs)
        or pace_of(candidate.op, target, seconds)
    )


def look_closer(walk: Walk, target: Target, reference: Reference, outputs: Arrays) -> Failed | None:
    """Hold to the oracle what is far from the baseline, wherever it lies."""
    if reference.sample is None or not reference.whole:
        return None
    candidate = walk.candidate
    with candidate.stage("verify"):
        rng = np.random.default_rng([candidate.seed, 2])
        places = suspects(candidate.op, target.workload, outputs, reference.whole, rng)
    if places is None:
        return None
    with candidate.stage("oracle"):
        closer = walk.references.closer(reference, places)
    return hold(candidate, target, closer, outputs)


def _doubt(target: Target, found: Results, specs: Sequence[TensorSpec]) -> Failed | None:
    if said := execution.tampering(found):
        return Failed(Status.REJECTED, told(said, target))
    if said := unwritten(found.outputs[0], specs):
        return Failed(Status.WRONG_RESULT, told(said, target))
    return None


def unwritten(outputs: Arrays, specs: Sequence[TensorSpec]) -> str | None:
    """Which output of floats still holds what was there before the run, as one sentence.

    Integers may hold any bits.
    """
    for spec in specs:
        array = outputs[spec.name]
        if array.dtype.kind in "iub":
            continue
        bits = np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")
        if count := int((bits == np.iinfo(bits.dtype).max).sum()):
            return f"{count} of {array.size} elements of output '{spec.name}' were never written"
    return None
