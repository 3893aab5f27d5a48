"""Every remainder that 32 lanes may leave of an axis, met once: small runs, and many builds.

Where sizes are compiled in, each workload is a build. They are built few at a time, so that one
kernel that compiles slowly ends within its seconds; what it was not run on is then told, and it is
not called faster. They come in a secret order: nobody knows which are left out.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from foundry.errors import NoAnswer
from foundry.harness.jobs import Timeout
from foundry.judge.candidate import Candidate, Failed, Target
from foundry.judge.oracle import nonfinite
from foundry.judge.oracle.far import compiled_sizes, remainders, vector_remainders
from foundry.judge.proof.forecast import forecast
from foundry.judge.proof.once import bound_to, run_lightly
from foundry.judge.stages import Walk, build_more, groups_of
from foundry.judge.verdict import Diagnostic, Status

REMAINDERS = "remainders"
"""Among what is not proven: sizes that leave some of the remainders."""
_LEAST_S = 9.0
"""For builds and runs together; more where the budget for large workloads is more."""
_FEW_COMPILED = 4
_TELLING = ("sparse", "sorted")
"""Distributions in which the last element of a row often counts most."""
_AT_ONCE = 8
"""Builds of one job."""


def sweep(walk: Walk, budget_s: float) -> Failed | None:
    """Run the kernel once on every remainder that an axis may leave."""
    candidate = walk.candidate
    is_whole = budget_s > _LEAST_S
    bound = _targets(candidate, is_whole=is_whole)
    if isinstance(bound, Failed):
        return bound
    left = list(bound)
    random.Random(f"{candidate.seed} remainders").shuffle(left)
    left_s = max(budget_s, _LEAST_S)
    while left and left_s > 0.0:
        some = left[:_AT_ONCE]
        found = _sweep(walk, some, left_s)
        if isinstance(found, Failed):
            return found
        if found is None:
            break
        left, left_s = left[_AT_ONCE:], left_s - found
    if left:
        candidate.unproven[REMAINDERS] = _left_out(len(left), len(bound))
    return None


def _targets(candidate: Candidate, *, is_whole: bool) -> Failed | tuple[Target, ...]:
    """Every remainder of 32 lanes; and of vectors of them, where that is no further build.

    Of the sizes that are compiled in all where the proof is whole, and else a few.
    """
    op, dtype, seed = candidate.op, candidate.dtype, candidate.seed
    compiled = compiled_sizes(op, dtype)
    if not is_whole:
        chance = random.Random(f"{seed} compiled")
        compiled = tuple(chance.sample(compiled, min(_FEW_COMPILED, len(compiled))))
    found = bound_to(candidate, (*compiled, *remainders(op, dtype)))
    wider = bound_to(candidate, vector_remainders(op, dtype, seed))
    if isinstance(found, Failed) or isinstance(wider, Failed):
        return found if isinstance(found, Failed) else wider
    numbers = groups_of([t.program for t in (*found, *wider)])
    known = set(numbers[: len(found)])
    same = [t for t, n in zip(wider, numbers[len(found) :], strict=True) if n in known]
    names = itertools.cycle((*_TELLING, *nonfinite.ASKED[op.nonfinite][:1]))
    return tuple(
        replace(target, distributions=(name,))
        for target, name in zip((*found, *same), names, strict=False)
    )


def _sweep(walk: Walk, targets: Sequence[Target], limit_s: float) -> Failed | float | None:
    """Seconds that some of them took; None where builds or runs take too long."""
    candidate, first = walk.candidate, walk.first_of_next
    failed = build_more(walk, targets, limit_s)
    if isinstance(failed, Timeout):
        return None
    if failed:
        return failed
    spent_s = walk.worker.spent_s
    for index, target in enumerate(targets, first):
        try:
            with candidate.stage("oracle"):
                known = [
                    walk.references.values(candidate.op, target.workload, name, candidate.seed)
                    for name in target.distributions
                ]
            found = run_lightly(walk, target, index, forecast(candidate, target), known)
        except NoAnswer:
            continue
        if found is None or isinstance(found, Failed):
            return found
        spent_s += found.seconds
    return spent_s


def _left_out(count: int, of: int) -> Failed:
    said = (
        f"right wherever it was run, but it builds or runs too slowly to be run on {count} of {of} "
        "small sizes, which leave each remainder of 32 lanes; without them it is not called faster."
    )
    return Failed(Status.CORRECT, Diagnostic(stage="verify", message=said))
