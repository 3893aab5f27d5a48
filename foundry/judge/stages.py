"""The stages that run a kernel: screen, build, verify. Each says why a kernel stops, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foundry.engines.base import Launch, Program
from foundry.harness.jobs import Build, Crash, Run, Screen, Timeout
from foundry.harness.process import WorkerProcess
from foundry.judge import wording
from foundry.judge.candidate import Candidate, Failed, Target
from foundry.judge.compare import compare
from foundry.judge.options import JudgeOptions
from foundry.judge.references import Reference, References, output_specs
from foundry.judge.verdict import Diagnostic, OutputError, Status

_SCREEN_LIMIT_S = 60.0


def screen(
    candidate: Candidate, worker: WorkerProcess, references: References, path: str
) -> Failed | None:
    """Let the sanitizer examine the kernel on its smallest visible workload that has work."""
    target = next((t for t in candidate.visible if has_work(t.program)), None)
    if target is None:
        return None
    workload = target.workload
    reference = references.get(candidate.op, workload, target.distributions[0], candidate.seed)
    with candidate.stage("screen"):
        found = worker.ask(Screen(path, target.program, reference.inputs), _SCREEN_LIMIT_S)
    if isinstance(found, Timeout | Crash):
        return stopped(found, "screen", target)
    if not found:
        return None
    finding = found[0]
    return Failed(
        Status.SANITIZER_ERROR,
        Diagnostic(
            stage="screen", message=finding.message, line=finding.line, workload=workload.id
        ),
    )


def build(
    candidate: Candidate,
    worker: WorkerProcess,
    targets: Sequence[Target],
    options: JudgeOptions,
    *,
    keep: bool,
) -> Failed | None:
    """Compile the kernel for some workloads."""
    programs = tuple(t.program for t in targets)
    job = Build(programs, groups_of(programs), keep)
    with candidate.stage("build"):
        found = worker.ask(job, options.build_limit_s)
    if isinstance(found, Timeout | Crash):
        return stopped(found, "build", None)
    for target, failure in zip(targets, found, strict=True):
        if failure is not None:
            said = wording.build_failure(failure, target.workload, hidden=target.hidden)
            return Failed(Status.BUILD_ERROR, said)
    return None


def verify(
    candidate: Candidate,
    worker: WorkerProcess,
    references: References,
    targets: Sequence[Target],
    options: JudgeOptions,
    *,
    first: int,
) -> Failed | None:
    """Run programs `first`, `first` + 1, ... and hold every output against the oracle."""
    for index, target in enumerate(targets, first):
        with candidate.stage("oracle"):
            expected = [
                references.get(candidate.op, target.workload, name, candidate.seed)
                for name in target.distributions
            ]
        with candidate.stage("verify"):
            failed = _verify_one(candidate, worker, index, target, expected, options)
        if failed:
            return failed
    return None


def _verify_one(
    candidate: Candidate,
    worker: WorkerProcess,
    index: int,
    target: Target,
    expected: Sequence[Reference],
    options: JudgeOptions,
) -> Failed | None:
    specs = output_specs(candidate.op, target.workload)
    job = Run(index, tuple(r.inputs for r in expected), specs)
    found = worker.ask(job, options.run_limit_s)
    if isinstance(found, Timeout | Crash):
        return stopped(found, "verify", target)
    for reference, outputs in zip(expected, found, strict=True):
        for spec, want in zip(specs, reference.expected, strict=True):
            difference = compare(spec, outputs.get(spec.name), want)
            _record(candidate, target, spec.name, difference.max_abs_error, difference.bound_ratio)
            if difference.fault is not None:
                said = wording.wrong_result(
                    spec.name,
                    difference.fault,
                    reference.distribution,
                    target.workload,
                    hidden=target.hidden,
                )
                return Failed(Status.WRONG_RESULT, said)
    return None


def _record(candidate: Candidate, target: Target, output: str, error: float, ratio: float) -> None:
    key = f"{target.workload.id} {output}"
    known = candidate.errors.get(key)
    candidate.errors[key] = OutputError(
        workload=target.workload.id,
        output=output,
        max_abs_error=max(error, known.max_abs_error if known else 0.0),
        bound_ratio=max(ratio, known.bound_ratio if known else 0.0),
    )


def stopped(failure: Timeout | Crash, stage: str, target: Target | None) -> Failed:
    """A worker that was killed or died under a kernel."""
    status = Status.TIMEOUT if isinstance(failure, Timeout) else Status.CRASH
    workload = target.workload if target else None
    hidden = target.hidden if target else False
    return Failed(status, wording.stopped(failure, stage, workload, hidden=hidden))


def has_work(program: Program) -> bool:
    """Whether any launch runs a thread."""
    return any(0 not in launch.grid for launch in program.launches)


def groups_of(programs: Sequence[Program]) -> tuple[int, ...]:
    """Number programs so that those which compile from the same source share a number."""
    numbers: dict[tuple[object, ...], int] = {}
    return tuple(numbers.setdefault(_source_key(p), len(numbers)) for p in programs)


def _source_key(program: Program) -> tuple[object, ...]:
    """Everything that MLX puts into a kernel's source: sizes only say what is below 8 elements."""
    arrays = {s.name: s for s in program.inputs}
    key: list[object] = []
    for launch in program.launches:
        inputs = tuple(_address_space(arrays[name].shape) for name in launch.inputs)
        key.append((_sizeless(launch), inputs, tuple(arrays[n].dtype for n in launch.inputs)))
        arrays |= {s.name: s for s in launch.outputs}
    return tuple(key)


def _sizeless(launch: Launch) -> Launch:
    outputs = tuple(replace(s, shape=()) for s in launch.outputs)
    return replace(launch, outputs=outputs, grid=(1, 1, 1), threadgroup=(1, 1, 1))


def _address_space(shape: tuple[int, ...]) -> tuple[int, bool]:
    size = 1
    for dimension in shape:
        size *= dimension
    return len(shape), size < 8
