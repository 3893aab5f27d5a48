"""What a judge is told: which workloads, how long, how strict."""

from __future__ import annotations

from dataclasses import dataclass, field

from foundry.errors import unknown
from foundry.harness.measuring.jobs import TimingPlan
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS
from foundry.judge.verdict import Evaluation
from ops.spec import Op, bytes_moved, plain_flops
from ops.workload import Workload

SANITIZER = "foundry.msl.sanitizer:examine"
"""What stands between a kernel nobody knows and the device."""

WHOLE_REACH_S, QUICK_REACH_S = 60.0, 2.0
"""Seconds for large workloads: before a kernel is faster or shipped, and where one is verified."""

_WORTH_US, _PLAIN_GB_S, _PLAIN_GFLOP_S = 80.0, 8.0, 4.0

PRECISE = TimingPlan(share=0.0)
"""Times that somebody reads: as narrow far from the baseline as near it."""


@dataclass(frozen=True)
class JudgeOptions:
    """Options of a judge; the defaults judge fully and time one bench workload."""

    bench: str | tuple[str, ...] = "quick"
    """`quick` (the first case that is worth timing; all where they were asked for), `full` (all),
    or labels of bench cases."""
    timed: bool = True
    """False: stop once the kernel is proven."""
    proves_bench: bool = False
    """Whether what `bench` chooses is proven also where it is not timed, but predicted."""
    distributions: tuple[str, ...] = tuple(DISTRIBUTIONS)
    per_workload: int = 4
    """Distributions on each workload: the first, and the others in turn."""
    plan: TimingPlan = field(default_factory=TimingPlan)
    build_limit_s: float = 60.0
    run_limit_s: float = 10.0
    """Limit of one workload's verification; small workloads get less."""
    reach_s: float = 0.0
    """Processor time that runs on large workloads may take together; a kernel that is faster is
    granted `WHOLE_REACH_S`."""
    oracle_s: float = 120.0
    """What oracles may take of the judge's processor time on sizes beyond the lists. No kernel is
    charged with it; sizes for which it does not last are not proven."""
    time_limit_s: float = 60.0
    """Limit of timing one workload."""
    sources: int | None = None
    """Of the sources that a kernel compiles to, one for each compiled size, so many are proven,
    drawn by its hash; what is left out counts as unwatched. None: all."""
    sanitizer: str | None = SANITIZER
    """`module:function` that a worker calls with a program and inputs before it is built; it
    returns an object whose `findings` have a `message` and a `line`."""


@dataclass(frozen=True)
class Rivals:
    """What else is judged beside a kernel: whole proofs are for those that may win.

    A kernel whose score is not above the best is measured once, proven on all small workloads and
    its timed ones, and is `correct`; its record says what was left out.
    """

    best: float = 1.0
    """Score of the best so far; 1 is the baseline's own. Below 1, everything is measured again."""
    finalists: int = 1
    """Kernels that a search measures once more together, this one included: the intervals are
    widened so that all of them hold at once."""


NOBODY = Rivals()
"""Only the baseline is to beat."""


def bench_workloads(op: Op, dtype: str, choice: str | tuple[str, ...]) -> tuple[Workload, ...]:
    """The bench workloads an option chooses.

    Raises:
        UsageError: An unknown label; carries the nearest.
    """
    everything = op.workloads("bench", dtype)
    if choice == "full" or (choice == "quick" and op.asked):
        return everything
    if choice == "quick":
        return (worth_timing(op, dtype),)
    labels = dict.fromkeys(w.label for w in everything)
    wanted = (choice,) if isinstance(choice, str) else choice
    for label in wanted:
        if label not in labels:
            raise unknown(f"bench case of {op.name}", label, ("quick", "full", *labels))
    return tuple(w for label in wanted for w in everything if w.label == label)


def worth_timing(op: Op, dtype: str) -> Workload:
    """The first bench workload with so much work that its time is not mostly dispatch.

    On a processor MLX takes tens of microseconds for whatever it is asked; on a GPU two or three.
    """
    everything = op.workloads("bench", dtype)
    return next((w for w in everything if _work_us(op, w) >= _WORTH_US), everything[-1])


def _work_us(op: Op, workload: Workload) -> float:
    """About what MLX needs for the work on one core."""
    by_traffic = bytes_moved(op, workload) / _PLAIN_GB_S
    return max(by_traffic, plain_flops(op, workload) / _PLAIN_GFLOP_S) / 1e3


BEHIND = "behind"
"""Among the facts about times: the score of the best, where a kernel was left for that."""


def is_behind(evaluation: Evaluation) -> bool:
    """Whether a kernel that may be faster was not proven wholly, for another was ahead of it."""
    return BEHIND in evaluation.extra.get("benchmark", {})


def is_shared(evaluation: Evaluation) -> bool:
    """Whether it was proven at some of its compiled sizes alone, the rest being other kernels'."""
    return evaluation.proven is not None and evaluation.proven.left_out > 0


def is_settled(evaluation: Evaluation, op: Op, bench: str | tuple[str, ...]) -> bool:
    """Whether a stored evaluation answers this choice of bench workloads.

    It does when the kernel failed, or was timed on all of them, or could not be timed and says so;
    not when it was ahead of the baseline, and left there since others were ahead of it, nor when
    it was proven at a share of its sizes.
    """
    if is_behind(evaluation) or is_shared(evaluation):
        return False
    untimed = any(diagnostic.stage == "benchmark" for diagnostic in evaluation.diagnostics)
    if untimed or not evaluation.status.passed:
        return True
    asked = {workload.id for workload in bench_workloads(op, evaluation.dtype, bench)}
    return asked <= {timing.workload for timing in evaluation.timings}
