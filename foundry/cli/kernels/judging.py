"""Judging one kernel file from the command line: what `verify` and `bench` share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from foundry.cli.app import command_line
from foundry.cli.failures import REJECTED
from foundry.cli.output import print_json
from foundry.errors import InvalidKernel, UsageError, unknown
from foundry.judge.verdict import Evaluation
from foundry.report.display import is_interactive

if TYPE_CHECKING:
    from foundry.harness.measuring.jobs import Peaks
    from foundry.harness.processes.pool import WorkerPool
    from foundry.judge.options import JudgeOptions
    from foundry.judge.verdict import Diagnostic
    from foundry.kernel import Kernel
    from foundry.program import Device
    from ops.spec import Op

STDIN = "-"
_LINE_ANEW = "\r\x1b[K"
_PEAKS_LIMIT_S = 120.0


@dataclass(frozen=True)
class KernelText:
    """The text of a kernel file, and the name errors call it by."""

    name: str
    text: str


@dataclass(frozen=True)
class Judged:
    """A kernel file with its evaluations, one per dtype."""

    file: KernelText
    kernel: Kernel
    op: Op
    device: Device
    evaluations: tuple[Evaluation, ...]
    peaks: Peaks | None = None
    """What the device can do at most, where it was asked for and could be measured."""

    @property
    def passed(self) -> bool:
        """Whether every dtype passed."""
        return all(evaluation.status.passed for evaluation in self.evaluations)

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        first_failed = next((e for e in self.evaluations if not e.status.passed), None)
        return {
            "file": self.file.name,
            "op": self.op.name,
            "kernel_hash": self.kernel.hash,
            "device": {"id": self.device.id, "kind": self.device.kind, "name": self.device.name},
            "status": str((first_failed or self.evaluations[0]).status),
            "passed": self.passed,
            "evaluations": [e.model_dump(mode="json") for e in self.evaluations],
        }


@dataclass(frozen=True)
class JudgingRequest:
    """What `verify` and `bench` were asked."""

    path: str
    """Of a kernel file, or `-` for standard input."""
    dtypes: tuple[str, ...] | None
    """None: every dtype of the op."""
    device: str
    seed: int | None
    """Of the inputs; None: drawn in secret."""
    options: JudgeOptions
    save: bool
    db: str | None
    as_json: bool
    counted: bool = False
    """Measure the device's peaks, and count what the kernel's SIMD-groups do."""


def judge_and_show(
    request: JudgingRequest,
    show: Callable[[Judged], None],
    document: Callable[[Judged], dict[str, Any]] = Judged.document,
) -> int:
    """Judge a kernel file, print the verdict as asked, and return the exit code."""
    file = read_kernel_text(request.path)
    try:
        judged = judge_file(file, request)
    except InvalidKernel as error:
        return show_invalid(file, error, request.as_json)
    if request.save:
        save_evaluations(judged, request.db, command_line())
    if request.as_json:
        print_json(document(judged))
    else:
        show(judged)
    return 0 if judged.passed else REJECTED


def read_kernel_text(path: str) -> KernelText:
    """The text of a file, or of standard input for `-`; `parse` refuses what is not UTF-8."""
    raw = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    text = raw.decode(errors="surrogateescape").replace("\r\n", "\n")
    return KernelText("<stdin>" if path == STDIN else path, text)


def kernel_and_op(file: KernelText) -> tuple[Kernel, Op]:
    """The kernel and the op it names.

    Raises:
        InvalidKernel: It does not parse, or its op does not exist.
    """
    from foundry.kernel import parse
    from ops import registry

    kernel = parse(file.text)
    try:
        return kernel, registry.get(kernel.op)
    except UsageError as error:
        raise InvalidKernel(str(error), kernel.launches[0].lines.get("op", 1)) from None


def show_invalid(file: KernelText, error: InvalidKernel, as_json: bool) -> int:
    """Print why a file is no kernel, and return the exit code."""
    if as_json:
        print_json(_invalid_document(file, error))
    else:
        click.echo(f"{file.name}:{error.line}: invalid: {error.reason}")
    return REJECTED


def _invalid_document(file: KernelText, error: InvalidKernel) -> dict[str, Any]:
    """What `--json` prints for a file that is no kernel."""
    found = {"stage": "parse", "message": error.reason, "line": error.line}
    return {
        "file": file.name,
        "status": "invalid",
        "passed": False,
        "diagnostics": [found],
        "evaluations": [],
    }


def judge_file(file: KernelText, request: JudgingRequest) -> Judged:
    """Judge a kernel file in each dtype.

    Raises:
        InvalidKernel: It does not parse, or its op does not exist.
        UsageError: A dtype that the op does not have.
        EnvironmentUnusable: The device does not work here.
    """
    from foundry.harness.processes.pool import WorkerPool
    from foundry.judge import Judge

    kernel, op = kernel_and_op(file)
    chosen = dtypes_of_op(op, request.dtypes)
    with WorkerPool(request.device, workers=1) as pool:
        if pool.lock.is_taken():
            click.echo("waiting: another command times on this device", err=True)
        judge = Judge(pool, request.options)
        found = tuple(
            judge.evaluate(file.text, op, dtype, request.seed)
            for dtype in _announced(op.name, chosen, sys.stderr)
        )
        if not request.counted:
            return Judged(file, kernel, op, pool.device(), found)
        from foundry.judge.time.counting import with_counters

        found = tuple(
            with_counters(pool, one, file.text, op, request.options.bench) for one in found
        )
        peaks = _peaks(pool) if any(one.timings for one in found) else None
        return Judged(file, kernel, op, pool.device(), found, peaks)


def _announced(op: str, dtypes: Sequence[str], stream: TextIO) -> Iterator[str]:
    """Each dtype in turn; a terminal says which is being judged, on a line that it takes back."""
    if not is_interactive(stream):
        yield from dtypes
        return
    for number, dtype in enumerate(dtypes, 1):
        stream.write(f"{_LINE_ANEW}judging {op} in {dtype} ({number} of {len(dtypes)})")
        stream.flush()
        yield dtype
    stream.write(_LINE_ANEW)
    stream.flush()


def _peaks(pool: WorkerPool) -> Peaks | None:
    from foundry.harness.measuring.jobs import Calibrate, Peaks

    with pool.lock.exclusive(), pool.trusted() as worker:
        found = worker.ask(Calibrate(), _PEAKS_LIMIT_S)
    return found if isinstance(found, Peaks) else None


def dtypes_of_op(op: Op, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The dtypes asked for, each one of the op's; all of them for None.

    Raises:
        UsageError: A dtype that the op does not have.
    """
    for dtype in wanted or ():
        if dtype not in op.dtypes:
            raise unknown(f"dtype of {op.name}", dtype, op.dtypes)
    return tuple(wanted or op.dtypes)


def print_failures(judged: Judged) -> None:
    """Say why each dtype that did not pass did not; equal reasons once."""
    reasons: dict[str, list[str]] = {}
    for evaluation in judged.evaluations:
        for found in evaluation.diagnostics:
            reasons.setdefault(failure_text(judged, found), []).append(evaluation.dtype)
    for text, dtypes in reasons.items():
        click.echo(f"{', '.join(dtypes)}: {text}" if len(judged.evaluations) > 1 else text)


def failure_text(judged: Judged, found: Diagnostic) -> str:
    """A diagnostic, led by file and line where the line is known."""
    if found.stage == "build":
        return re.sub(r"^kernel(?=:\d+:)", judged.file.name, found.message, flags=re.MULTILINE)
    if found.line is not None:
        return f"{judged.file.name}:{found.line}: {found.message}"
    return found.message


def save_evaluations(judged: Judged, db: str | None, command: str) -> None:
    """Store the evaluations of a kernel file as a run of their own."""
    from foundry.store import Origin, Store

    # The name alone: where somebody keeps his files is nobody's business, and rows are exported.
    name = Path(judged.file.name).name
    with Store.open(db) as store:
        settings = {"file": name, "dtypes": [e.dtype for e in judged.evaluations]}
        seed = judged.evaluations[0].seed if judged.evaluations else 0
        run_id = store.begin_run("run", command, settings, seed, judged.device)
        for evaluation in judged.evaluations:
            origin = Origin("file", name)
            store.save(run_id, judged.kernel, judged.file.text, evaluation, origin)
        store.finish_run(run_id, "done")
