"""Verification: every output of every workload against the oracle, and proof of execution."""

from __future__ import annotations

from collections.abc import Sequence

from foundry.harness.jobs import Crash, Results, Run, Timeout
from foundry.judge import execution, wording
from foundry.judge.candidate import Candidate, Failed, Target
from foundry.judge.matching import Expected, Within
from foundry.judge.matching.cut import cut_off
from foundry.judge.oracle.references import Reference, output_specs
from foundry.judge.oracle.workloads.dealing import is_small
from foundry.judge.proof.compare import compare
from foundry.judge.stages import Walk, pace_of, run_limit_s, stopped
from foundry.judge.verdict import Diagnostic, OutputError, Status
from foundry.program import Arrays

_ALL_DIFFERENT = "normal"
"""A distribution whose results are rounded independently of one another."""


def verify(walk: Walk, targets: Sequence[Target], *, first: int) -> Failed | None:
    """Run programs `first`, `first` + 1, ... and hold every output against the oracle."""
    timed, op = walk.candidate.bench, walk.candidate.op
    for index, target in enumerate(targets, first):
        orders = 1 if is_small(op, target.workload) else 0
        stale = target in timed
        failed = _verify_one(walk, index, target, target.distributions, stale=stale, orders=orders)
        if failed:
            return failed
    return None


def prove(walk: Walk) -> Failed | None:
    """Run the probe with every proof of execution."""
    probe = walk.candidate.probe
    if probe is None:
        return None
    index = walk.candidate.visible.index(probe)
    repeats = execution.REPEATS if execution.is_deterministic(probe.program) else 1
    failed = _verify_one(
        walk,
        index,
        probe,
        execution.SEQUENCE,
        repeats=repeats,
        echo=True,
        stale=True,
        orders=execution.ORDERS,
    )
    return failed or _replay_ghost(walk, probe)


def _verify_one(
    walk: Walk,
    index: int,
    target: Target,
    distributions: Sequence[str],
    *,
    repeats: int = 1,
    echo: bool = False,
    stale: bool = False,
    orders: int = 0,
) -> Failed | None:
    candidate = walk.candidate
    with candidate.stage("oracle"):
        expected = [
            walk.references.get(candidate.op, target.workload, name, candidate.seed)
            for name in distributions
        ]
    with candidate.stage("verify"):
        specs = output_specs(candidate.op, target.workload)
        job = Run(index, tuple(r.inputs for r in expected), specs, repeats, echo, stale, orders)
        runs = len(expected) * repeats + stale + echo + orders
        limit_s = run_limit_s(target.program, runs, walk.options.run_limit_s)
        found = walk.worker.ask(job, limit_s)
        seconds = walk.worker.spent_s / runs
        candidate.paces.append(pace_of(candidate.op, target, seconds))
        if isinstance(found, Timeout | Crash):
            return stopped(found, "verify", target)
        again = [wording.OVER_OTHERS] * stale + [wording.ELSEWHERE] * echo
        again += [wording.REORDERED] * orders
        runs_of = [*((e, "") for e in expected), *((expected[0], manner) for manner in again)]
        return _judge(candidate, target, runs_of, found, orders)


def _judge(
    candidate: Candidate,
    target: Target,
    expected: Sequence[tuple[Reference, str]],
    results: Results,
    orders: int,
) -> Failed | None:
    for (reference, manner), outputs in zip(expected, results.outputs, strict=True):
        if failed := hold(candidate, target, reference, outputs, manner):
            return failed
    if execution.is_deterministic(target.program) and execution.is_ordered(results, orders):
        return Failed(Status.WRONG_RESULT, told(execution.ORDERED, target))
    if said := execution.flicker(results):
        return Failed(Status.WRONG_RESULT, told(said, target))
    if said := execution.tampering(results):
        return Failed(Status.REJECTED, told(said, target))
    return None


def hold(
    candidate: Candidate,
    target: Target,
    reference: Reference,
    outputs: Arrays,
    manner: str = "",
) -> Failed | None:
    """Compare one set of outputs with its reference, and keep the largest errors.

    `manner` says how a kernel was run again that was right on these inputs before.
    """
    outputs = reference.part_of(outputs)
    for spec, want in zip(reference.specs, reference.expected, strict=True):
        difference = compare(spec, outputs.get(spec.name), want)
        _record(candidate, target, spec.name, difference.max_abs_error, difference.bound_ratio)
        if fault := difference.fault or _cut_off(spec.name, outputs, want, reference):
            said = wording.wrong_result(
                spec.name,
                fault,
                reference.distribution,
                target.workload,
                hidden=target.hidden,
                manner=manner,
            )
            return Failed(Status.WRONG_RESULT, said)
    return None


def _cut_off(name: str, outputs: Arrays, want: Expected, reference: Reference) -> str | None:
    """How results are cut off instead of rounded, where MLX rounds them."""
    if reference.distribution != _ALL_DIFFERENT or not isinstance(want, Within):
        return None
    said = cut_off(outputs[name], want.value)
    known = reference.baseline.get(name)
    return None if said is None or known is None or cut_off(known, want.value) else said


def _replay_ghost(walk: Walk, probe: Target) -> Failed | None:
    candidate = walk.candidate
    reference = walk.references.get(
        candidate.op, probe.workload, execution.SEQUENCE[0], candidate.seed
    )
    specs = output_specs(candidate.op, probe.workload)
    for number, fill in walk.filled_ghosts.items():
        with candidate.stage("verify"):
            job = Run(number, (reference.inputs,), specs)
            found = walk.worker.ask(job, walk.options.run_limit_s)
        if isinstance(found, Timeout | Crash):
            return stopped(found, "verify", probe)
        if name := execution.haunted(found.outputs[0], fill):
            said = f"output '{name}' is written even when the kernel is replaced by an empty one"
            return Failed(Status.REJECTED, told(said, probe))
    return None


def told(message: str, target: Target) -> Diagnostic:
    """What went wrong on a target, with as much of its sizes as may be shown."""
    return Diagnostic(
        stage="verify",
        message=wording.on(message, target.workload, hidden=target.hidden),
        workload=target.workload.id,
        hidden=target.hidden,
    )


def _record(candidate: Candidate, target: Target, output: str, error: float, ratio: float) -> None:
    key = f"{target.workload.id} {output}"
    known = candidate.errors.get(key)
    candidate.errors[key] = OutputError(
        workload=target.workload.id,
        output=output,
        max_abs_error=max(error, known.max_abs_error if known else 0.0),
        bound_ratio=max(ratio, known.bound_ratio if known else 0.0),
    )
