"""How far a kernel reaches: run on every bench shape, and on sizes far beyond the lists.

These runs cost most, so they come once a kernel is right on all else, the cheapest first, and end
where a budget does: an honest kernel may be slow, and its builds too. It holds processor time of
the kernel; oracles have one of their own. What is left out is not proven, and a kernel is called
faster, exported or shipped within what is proven alone.

1. Bench shapes of little work come first, then small workloads (`sweep`): each remainder that 32
   lanes may leave of an axis, once.
2. `forecast` says from the runs that are done what a run takes.
3. One input, whose rows come from many distributions, is run as a whole (`run_once`). The oracle is
   asked at a sample of places, and no element may stay unwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foundry.errors import NoAnswer
from foundry.harness.jobs import Timeout
from foundry.judge.candidate import Candidate, Failed, Target
from foundry.judge.oracle.draws import heavy, nonfinite
from foundry.judge.oracle.draws.distributions import MIXED
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.references import Reference
from foundry.judge.oracle.workloads.dealing import is_large
from foundry.judge.oracle.workloads.far import far_workloads
from foundry.judge.proof.allowance import Allowance, Allowances, OracleAllowance
from foundry.judge.proof.forecast import forecast
from foundry.judge.proof.once import bound_to, run_once
from foundry.judge.proof.screen import screen_large
from foundry.judge.proof.sweep import sweep
from foundry.judge.stages import Walk, build_more
from foundry.judge.verdict import Diagnostic, Status
from ops.matches import Exact, Ties
from ops.spec import Op
from ops.workload import Workload

_LITTLE = 1 << 26
"""Elements and FLOPs of a bench shape that is tried first."""
_NEAR_S = 10.0
"""For all bench shapes together, and for what is far where that is given more. Kernels are used
there."""
_NEAR_FORECAST_S = 20.0
"""For a first one by a forecast from small workloads, which are mostly dispatch: it takes a small
part of that."""
_RUNS = 3
"""Of one workload at least: two inputs, then the first once more."""


def verify_large(walk: Walk) -> Failed | None:
    """Run the timed workloads that are too large for many runs on rows of all distributions."""
    candidate, endless = walk.candidate, Allowances()
    first = walk.first_of_rest + len(candidate.hidden)
    for index, target in enumerate(candidate.bench, first):
        if is_large(candidate.op, target.workload):
            try:
                references = _references(walk, target, endless.oracles)
                expected = forecast(candidate, target)
                found = run_once(walk, target, index, expected, references, endless)
            except NoAnswer as error:
                candidate.unproven[target.workload.id] = _unanswered(target, error)
                continue
            if isinstance(found, Failed):
                return found
    return None


def reach(walk: Walk, budget_s: float) -> Failed | None:
    """Run the kernel where it has not been yet, as far as the budget goes."""
    if budget_s <= 0.0:
        return None
    candidate, op = walk.candidate, walk.candidate.op
    oracles = OracleAllowance(walk.options.oracle_s)
    bound = bound_to(candidate, _wanted(candidate))
    if isinstance(bound, Failed):
        return bound
    kernel = Allowance(max(budget_s, _NEAR_S))
    allowances = Allowances(kernel, oracles)
    left = _built(walk, [target for target in bound if not target.hidden])
    if not isinstance(left, dict):
        return left
    little = {n: left.pop(n) for n in [*left] if work(op, left[n].workload) <= _LITTLE}
    if failed := _reach(walk, little, allowances, lambda run_s: run_s <= _NEAR_FORECAST_S):
        return failed
    if not walk.worker.is_whole:
        return None
    # Behind them: a kernel that hangs on a drawn size takes its worker along.
    if failed := sweep(walk, budget_s, oracles):
        return failed
    if not walk.worker.is_whole:
        return None
    if failed := _reach(walk, left, allowances, lambda run_s: _RUNS * run_s <= kernel.left_s):
        return failed
    kernel.left_s = min(kernel.left_s, budget_s)
    if not walk.worker.is_whole or kernel.is_over:
        return None
    left = _built(walk, [target for target in bound if target.hidden])
    if not isinstance(left, dict):
        return left
    return _reach(walk, left, allowances, lambda run_s: _RUNS * run_s <= kernel.left_s)


def _built(walk: Walk, targets: Sequence[Target]) -> dict[int, Target] | Failed | None:
    """Targets by the numbers of their programs; None where the compiler takes too long."""
    numbered = dict(enumerate(targets, walk.first_of_next))
    found = build_more(walk, targets, walk.options.build_limit_s)
    if found is None:
        return numbered
    return None if isinstance(found, Timeout) else found


def _reach(
    walk: Walk, left: dict[int, Target], allowances: Allowances, fits: Callable[[float], bool]
) -> Failed | None:
    """Run some workloads by the number of their program, the cheapest first, within a budget."""
    candidate = walk.candidate
    while left and walk.worker.is_whole:
        forecasts = {n: forecast(candidate, t) for n, t in left.items()}
        nearest = min(left, key=lambda n: forecasts[n].seconds)
        if allowances.kernel.is_over or not fits(forecasts[nearest].seconds):
            return None
        target = left.pop(nearest)
        try:
            references = _references(walk, target, allowances.oracles)
            if failed := screen_large(walk, target):
                return failed
            found = run_once(walk, target, nearest, forecasts[nearest], references, allowances)
        except NoAnswer:
            # A baseline that keeps whole squares need not go as far as a kernel.
            continue
        if found is None or isinstance(found, Failed):
            return found
        candidate.paces.append(found)
        candidate.reached.append(target.workload)
    return None


def _references(walk: Walk, target: Target, oracles: OracleAllowance) -> tuple[Reference, ...]:
    """What is right there on rows of all distributions, and where some hold NaN.

    Raises:
        NoAnswer: Nothing says what is right; then nothing is proven there.
    """
    candidate, workload = walk.candidate, target.workload
    op = candidate.op
    weighty = (heavy.HEAVY, heavy.HEAVIER) if heavy.weighs(op, workload) else ()
    names = (MIXED, *weighty, *_of_selections(op), *nonfinite.of_large(op, workload))
    with candidate.stage("oracle"), oracles.asked():
        found = [
            walk.references.get(candidate.op, workload, name, candidate.seed, sampled=True)
            for name in names
        ]
    # Where the oracle is not asked, all of them hold normal values.
    others = (r for n, r in zip(names[1:], found[1:], strict=True) if r.distribution == n)
    return found[0], *others


def _of_selections(op: Op) -> tuple[str, ...]:
    """Values of which few are equal: where many are, the first place wins, never a far one."""
    selects = any(isinstance(tensor.compared, Exact | Ties) for tensor in op.outputs)
    return ("normal",) if selects else ()


def _wanted(candidate: Candidate) -> tuple[Workload, ...]:
    op, dtype = candidate.op, candidate.dtype
    known = {w.id for w in (*(t.workload for t in candidate.bench), *candidate.reached)}
    wanted = (*op.workloads("bench", dtype), *far_workloads(op, dtype, candidate.seed))
    return tuple(workload for workload in wanted if workload.id not in known)


def _unanswered(target: Target, error: NoAnswer) -> Failed:
    """A kernel that stays proven, on this workload excepted."""
    said = f"proven, but not here, and so not timed: {error}"
    workload = target.workload.id
    return Failed(Status.CORRECT, Diagnostic(stage="benchmark", message=said, workload=workload))
