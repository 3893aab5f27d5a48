"""Every remainder that 32 lanes may leave of an axis, and ratios of axes: small runs, and builds.

Beside them axes that are long together, and round values of parameters.

Where sizes are compiled in, each workload is a build. They are built few at a time, so that one
kernel that compiles slowly ends within its seconds; what it was not run on is then told, and it is
not called faster. Those that share a build come first, and else they come in a secret order: nobody
knows which are left out.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from foundry.errors import NoAnswer
from foundry.harness.jobs import Timeout
from foundry.judge.candidate import Candidate, Failed, Pace, Target
from foundry.judge.oracle.draws import nonfinite, spots
from foundry.judge.oracle.draws.distributions import MIXED
from foundry.judge.oracle.workloads.parameters import round_parameters
from foundry.judge.oracle.workloads.swept import (
    aligned_remainders,
    both_long,
    compiled_sizes,
    ratios,
    remainders,
    squares,
    vector_remainders,
)
from foundry.judge.oracle.workloads.triples import three_long
from foundry.judge.proof.allowance import Allowance, Allowances, OracleAllowance
from foundry.judge.proof.forecast import forecast
from foundry.judge.proof.once import bound_to, run_lightly
from foundry.judge.sources import groups_of
from foundry.judge.stages import Walk, build_more
from foundry.judge.verdict import Diagnostic, Status

REMAINDERS = "remainders"
"""Among what is not proven: sizes that leave some of the remainders."""
_LEAST_S = 20.0
"""Of processor time for builds and runs together; more where large workloads are given more."""
_WHOLE_FROM_S = 9.0
"""Given to large workloads, from which on every compiled size is tried."""
_FEW_COMPILED = 4
_TELLING = ("sparse", "sorted")
"""Distributions in which the last element of a row often counts most; spots come beside them."""
_OF_PARAMETERS = ("normal", "large")
_BESIDE_S, _CHEAP_S = 6.0, 1.0
"""Of processor time for what is run beside remainders, of the kernel and of oracles each; and what
one run may take at most."""
_AT_ONCE = 8
"""Builds of one job."""
_LEFT_OUT = (
    "right wherever it was held to something, but {} of {} small sizes, which leave each remainder "
    "of 32 lanes; without them it is not called faster."
)


def sweep(walk: Walk, budget_s: float, oracles: OracleAllowance) -> Failed | None:
    """Run the kernel once on every remainder that an axis may leave."""
    candidate = walk.candidate
    bound = _targets(candidate, is_whole=budget_s > _WHOLE_FROM_S)
    if isinstance(bound, Failed):
        return bound
    targets = _ordered(bound, candidate.seed)
    course = _Course(Allowances(Allowance(max(budget_s, _LEAST_S)), oracles))
    if failed := _run(walk, targets, course):
        return failed
    if said := course.left_out(len(targets)):
        candidate.unproven[REMAINDERS] = Failed(
            Status.CORRECT, Diagnostic(stage="verify", message=said)
        )
    return _sweep_beside(walk, oracles) if walk.worker.is_whole else None


def _sweep_beside(walk: Walk, oracles: OracleAllowance) -> Failed | None:
    """Run it where axes are long together and on round parameters, as far as that is cheap.

    What is left out here is not asked for: there are more such sizes than anybody can run.
    """
    candidate = walk.candidate
    op, dtype, seed = candidate.op, candidate.dtype, candidate.seed
    both = bound_to(candidate, both_long(op, dtype, seed))
    if isinstance(both, Failed):
        return both
    rounded = bound_to(candidate, round_parameters(op, dtype, seed))
    if isinstance(rounded, Failed):
        return rounded
    three = bound_to(candidate, three_long(op, dtype, seed))
    if isinstance(three, Failed):
        return three
    values = [replace(target, distributions=_OF_PARAMETERS) for target in rounded]
    return _run_cheap(
        walk, (*_ordered(values, seed), *_ordered(_dealt(both, (*_TELLING, MIXED)), seed)), oracles
    ) or _run_cheap(walk, _ordered(_dealt(three, (MIXED, "normal")), seed), oracles)


def _dealt(sizes: Sequence[Target], distributions: Sequence[str]) -> list[Target]:
    """One distribution to each, in turn."""
    names = itertools.cycle(distributions)
    return [replace(t, distributions=(name,)) for t, name in zip(sizes, names, strict=False)]


def _run_cheap(walk: Walk, targets: Sequence[Target], oracles: OracleAllowance) -> Failed | None:
    """Run it on those of the targets that are cheap, as long as there is time."""
    candidate = walk.candidate
    if not walk.worker.is_whole:
        return None
    cheap = [target for target in targets if forecast(candidate, target).seconds <= _CHEAP_S]
    granted_s = min(_BESIDE_S, oracles.left_s)
    beside = OracleAllowance(granted_s)
    failed = _run(walk, cheap, _Course(Allowances(Allowance(_BESIDE_S), beside)))
    oracles.spend(granted_s - beside.left_s)
    return failed


def _run(walk: Walk, targets: Sequence[Target], course: _Course) -> Failed | None:
    """Build them few at a time and run each, until the course is over."""
    for start in range(0, len(targets), _AT_ONCE):
        if course.is_over:
            break
        if failed := _sweep(walk, targets[start : start + _AT_ONCE], course):
            return failed
    return None


@dataclass
class _Course:
    """How a sweep goes: what it may cost, and on how many sizes it held the kernel to something."""

    allowances: Allowances
    held: int = 0
    unanswered: int = 0
    """Sizes on which nothing says what is right."""
    is_cut: bool = False
    """Builds or a run took too long."""

    @property
    def is_over(self) -> bool:
        """Whether no further size is tried."""
        return self.is_cut or self.allowances.kernel.is_over

    def left_out(self, of: int) -> str:
        """What the kernel was not held to, in words; empty where it was to all sizes."""
        told: list[str] = []
        if untried := of - self.held - self.unanswered:
            told.append(f"it builds or runs too slowly to be run on {untried}")
        if self.unanswered:
            told.append(
                f"nothing says what is right on {self.unanswered} (the oracle takes too long there,"
                " or no baseline runs)"
            )
        return _LEFT_OUT.format(" and ".join(told), of) if told else ""


def _targets(candidate: Candidate, *, is_whole: bool) -> Failed | tuple[Target, ...]:
    """Every remainder of 32 lanes; and of vectors of them, where that is no further build.

    Of the sizes that are compiled in all where the proof is whole, and else a few.
    """
    op, dtype, seed = candidate.op, candidate.dtype, candidate.seed
    compiled = compiled_sizes(op, dtype)
    if not is_whole:
        chance = random.Random(f"{seed} compiled")
        compiled = tuple(chance.sample(compiled, min(_FEW_COMPILED, len(compiled))))
    sizes = (*compiled, *ratios(op, dtype), *squares(op, dtype), *remainders(op, dtype))
    found = bound_to(candidate, sizes)
    wide = (*vector_remainders(op, dtype, seed), *aligned_remainders(op, dtype, seed))
    wider = bound_to(candidate, wide)
    if isinstance(found, Failed) or isinstance(wider, Failed):
        return found if isinstance(found, Failed) else wider
    numbers = groups_of([t.program for t in (*found, *wider)])
    known = set(numbers[: len(found)])
    same = [t for t, n in zip(wider, numbers[len(found) :], strict=True) if n in known]
    names = itertools.cycle((*_TELLING, *nonfinite.ASKED[op.nonfinite][:1]))
    return tuple(
        replace(target, distributions=(name, *spots.of_op(op, target.workload)[:1]))
        for target, name in zip((*found, *same), names, strict=False)
    )


def _ordered(targets: Sequence[Target], seed: int) -> list[Target]:
    """Shuffled; those whose build serves the most sizes come first."""
    shuffled = list(targets)
    random.Random(f"{seed} remainders").shuffle(shuffled)
    numbers = groups_of([target.program for target in shuffled])
    served = Counter(numbers)
    order = sorted(range(len(shuffled)), key=lambda n: (-served[numbers[n]], numbers[n]))
    return [shuffled[n] for n in order]


def _sweep(walk: Walk, targets: Sequence[Target], course: _Course) -> Failed | None:
    """Build some of them, and run each as long as there is time."""
    first = walk.first_of_next
    failed = build_more(walk, targets, course.allowances.kernel.left_s)
    course.allowances.kernel.spend(walk.worker.used_s)
    if isinstance(failed, Timeout):
        course.is_cut = True
        return None
    if failed:
        return failed
    for index, target in enumerate(targets, first):
        if course.is_over:
            return None
        try:
            found = _held(walk, target, index, course.allowances)
        except NoAnswer:
            course.unanswered += 1
            continue
        if isinstance(found, Failed):
            return found
        if found is None:
            course.is_cut = True
            return None
        course.held += 1
    return None


def _held(walk: Walk, target: Target, index: int, allowances: Allowances) -> Failed | Pace | None:
    """The kernel on one size, held to what the oracle gives.

    Raises:
        NoAnswer: Nothing says what is right.
    """
    candidate = walk.candidate
    with candidate.stage("oracle"), allowances.oracles.asked():
        known = [
            walk.references.values(candidate.op, target.workload, name, candidate.seed)
            for name in target.distributions
        ]
    return run_lightly(walk, target, index, forecast(candidate, target), known, allowances)
