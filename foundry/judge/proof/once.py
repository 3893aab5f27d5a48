"""One run of a kernel on a workload that no list of tests has, held to what is known of it.

A kernel that takes longer than brute force would is hung. One that brute force explains is slow: it
stays right, and nothing further is proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundry.errors import InvalidKernel
from foundry.harness.jobs import Crash, Results, Run, Timeout
from foundry.judge import execution
from foundry.judge.candidate import Candidate, Failed, Pace, Target
from foundry.judge.oracle.draws.distributions import MIXED
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.references import Reference, output_specs
from foundry.judge.oracle.suspects import stands_out, suspects
from foundry.judge.proof.allowance import Allowance, Allowances
from foundry.judge.proof.forecast import Forecast
from foundry.judge.proof.verify import hold, told
from foundry.judge.stages import Walk, pace_of, stopped
from foundry.judge.verdict import Diagnostic, Status
from foundry.judge.wording import OVER_OTHERS
from foundry.kernel import bind
from foundry.program import Arrays, TensorSpec
from ops.workload import Workload

_DOUBT = 8.0
"""A run may take as many times its forecast, and the limit of small ones; no more than is left."""


def bound_to(candidate: Candidate, wanted: Sequence[Workload]) -> Failed | tuple[Target, ...]:
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


def run_once(
    walk: Walk,
    target: Target,
    index: int,
    expected: Forecast,
    references: Sequence[Reference],
    allowances: Allowances,
) -> Failed | Pace | None:
    """The pace of a right run; None where the kernel is honestly too slow.

    The first inputs are run a second time, over what others left in the outputs: a kernel that
    keeps a result which lies there is right where memory is fresh.
    """
    candidate = walk.candidate
    given = [reference.inputs for reference in references]
    if len(given) == 1:
        given.append(make_inputs(candidate.op, target.workload, "normal", candidate.seed + 1))
    job = Run(index, tuple(given), _specs(walk, target), stale=True)
    answer = _answer(walk, target, job, expected, allowances.kernel)
    if not isinstance(answer, _Answer):
        return answer
    outputs_of = answer.results.outputs
    held = [(r, o, "") for r, o in zip(references, outputs_of, strict=False)]
    for reference, outputs, manner in (*held, (references[0], outputs_of[-1], OVER_OTHERS)):
        failed = hold(candidate, target, reference, outputs, manner)
        if failed := failed or look_closer(walk, target, reference, outputs, allowances, manner):
            return failed
    return _doubt(target, answer) or answer.pace


def run_lightly(
    walk: Walk,
    target: Target,
    index: int,
    expected: Forecast,
    references: Sequence[Reference],
    allowances: Allowances,
) -> Failed | Pace | None:
    """The same where references hold values alone: bounds are computed where an element stands out.

    Raises:
        NoAnswer: Something stands out, and nothing says how far it may be off.
    """
    candidate = walk.candidate
    given = tuple(reference.inputs for reference in references)
    job = Run(index, given, _specs(walk, target))
    answer = _answer(walk, target, job, expected, allowances.kernel)
    if not isinstance(answer, _Answer):
        return answer
    for reference, outputs in zip(references, answer.results.outputs, strict=True):
        if stands_out(candidate.op, target.workload, outputs, reference.whole):
            with candidate.stage("oracle"), allowances.oracles.asked():
                closer = walk.references.get(
                    candidate.op, target.workload, reference.distribution, candidate.seed
                )
            if failed := hold(candidate, target, closer, outputs):
                return failed
    return _doubt(target, answer) or answer.pace


@dataclass(frozen=True)
class _Answer:
    """What a run gave, and how fast."""

    results: Results
    specs: Sequence[TensorSpec]
    pace: Pace


def _specs(walk: Walk, target: Target) -> tuple[TensorSpec, ...]:
    return output_specs(walk.candidate.op, target.workload)


def _answer(
    walk: Walk, target: Target, job: Run, expected: Forecast, budget: Allowance
) -> Failed | _Answer | None:
    candidate, runs = walk.candidate, job.sets
    doubt_s = _DOUBT * runs * expected.seconds
    is_cut, spared_s = doubt_s > budget.left_s, min(doubt_s, max(0.0, budget.left_s))
    with candidate.stage("reach"):
        limit_s = walk.options.run_limit_s + spared_s
        found = walk.worker.ask(job, limit_s)
        seconds = walk.worker.spent_s / runs
        budget.spend(walk.worker.used_s)
        if isinstance(found, Timeout) and (is_cut or _DOUBT * runs * expected.most_s > limit_s):
            return None
        if isinstance(found, Timeout | Crash):
            return stopped(found, "verify", target)
    return _Answer(found, job.outputs, pace_of(candidate.op, target, seconds))


def look_closer(
    walk: Walk,
    target: Target,
    reference: Reference,
    outputs: Arrays,
    allowances: Allowances,
    manner: str = "",
) -> Failed | None:
    """Hold to the oracle what is far from the baseline, wherever it lies."""
    if reference.sample is None or not reference.whole:
        return None
    candidate = walk.candidate
    with candidate.stage("verify"):
        rng = np.random.default_rng([candidate.seed, 2])
        places = suspects(candidate.op, target.workload, outputs, reference.whole, rng)
    if places is None:
        return None
    with candidate.stage("oracle"), allowances.oracles.charged():
        closer = walk.references.closer(reference, places)
    return hold(candidate, target, closer, outputs, manner)


def _doubt(target: Target, answer: _Answer) -> Failed | None:
    if said := execution.tampering(answer.results):
        return Failed(Status.REJECTED, told(said, target))
    if said := unwritten(answer.results.outputs[0], answer.specs):
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
