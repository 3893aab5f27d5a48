"""`foundry sanitize FILE`: does this kernel do anything a GPU would punish?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.kernels.sanitize_file import (
    Asked,
    function_options,
    refuse_whole_files,
    sanitize_function,
)

if TYPE_CHECKING:
    from foundry.cli.kernels.judging import KernelText
    from foundry.harness.jobs import Crash, Timeout
    from foundry.kernel import Kernel
    from foundry.msl.sanitizer import Finding, Report
    from ops.spec import Op
    from ops.workload import Workload

_DISTRIBUTION = "normal"
_LIMIT_S = 60.0
"""For a stage on one workload, compiling included."""
_PLACE = re.compile(r"\b(header|source):(\d+)")


@click.command("sanitize")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--dtype",
    "dtypes",
    type=parameters.DTYPE_LIST,
    help="Element types, comma-separated.  [default: every dtype of the op]",
)
@function_options
@options.user_code_options
@options.language_option
@options.seed_option
@options.json_option
@options.debug_option
def command(
    file: str, dtypes: tuple[str, ...] | None, seed: int, as_json: bool, **asked: Any
) -> int:
    """Run a kernel file with every access, barrier and SIMD-group operation checked.

    FILE is a kernel file, or - for standard input. It runs on the visible workloads of its op, on
    the cpu, in a confined worker process. Each fault is printed once, as a compiler would: file,
    line, what happened, the line of the kernel. Exit code 4 when there is any.

    With --function, FILE is a whole .metal file, and one dispatch of that function is run over
    buffers that are made as --buffer says: NAME=f32[1024] holds random numbers (integers: 0),
    :range, :0 or another number fill it, :new leaves it unset, to be written wholly; NAME=7 is a
    number of the type that the function takes; NAME=@FILE is a .npy file or plain bytes. NAME may
    be the index of the buffer.
    """
    from foundry.cli.failures import REJECTED
    from foundry.cli.kernels.judging import (
        dtypes_of_op,
        kernel_and_op,
        read_kernel_text,
        show_invalid,
    )
    from foundry.cli.output import print_json
    from foundry.errors import InvalidKernel

    if (function := Asked(**asked)).is_wanted:
        return sanitize_function(file, function, seed, as_json)
    text = read_kernel_text(file)
    refuse_whole_files(text)
    try:
        kernel, op = kernel_and_op(text)
        found = examine(text, kernel, op, dtypes_of_op(op, dtypes), seed)
    except InvalidKernel as error:
        return show_invalid(text, error, as_json)
    if as_json:
        print_json(found.document())
    else:
        _show(found)
    return 0 if found.clean else REJECTED


@dataclass(frozen=True)
class Placed:
    """A finding on its line of the kernel file, and the workload that showed it."""

    finding: Finding
    line: int | None
    sentence: str
    workload: str

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        f = self.finding
        return {
            "kind": str(f.kind),
            "line": self.line,
            "message": self.sentence,
            "text": f.text,
            "buffer": f.buffer,
            "index": f.index,
            "size": f.size,
            "access": f.access,
            "thread": f.thread,
            "other_thread": f.other_thread,
            "launch": f.launch + 1,
            "count": f.count,
            "workload": self.workload,
        }


@dataclass(frozen=True)
class Stopped:
    """Why the worker did not come to an end."""

    status: str
    """`timeout` or `crash`."""
    message: str


@dataclass(frozen=True)
class Examined:
    """All that the sanitizer says of a kernel file."""

    file: KernelText
    kernel: Kernel
    workloads: int
    placed: tuple[Placed, ...]
    build_log: str | None = None
    stopped: Stopped | None = None

    @property
    def clean(self) -> bool:
        """Whether there is nothing to say."""
        return self.status == "clean"

    @property
    def status(self) -> str:
        """The word for `--json`."""
        if self.placed:
            return "sanitizer_error"
        if self.stopped is not None:
            return self.stopped.status
        return "clean" if self.build_log is None else "build_error"

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "file": self.file.name,
            "op": self.kernel.op,
            "kernel_hash": self.kernel.hash,
            "status": self.status,
            "passed": self.clean,
            "workloads": self.workloads,
            "build_log": self.build_log,
            "stopped": None if self.stopped is None else self.stopped.message,
            "findings": [p.document() for p in self.placed],
        }


def examine(
    file: KernelText, kernel: Kernel, op: Op, dtypes: tuple[str, ...], seed: int
) -> Examined:
    """Run the sanitizer on the visible workloads, until one ends the worker or never ends.

    Raises:
        InvalidKernel: The kernel does not fit its op or a workload.
        EnvironmentUnusable: The compiler or the workers do not work here.
    """
    from foundry.judge.wording import stopped
    from foundry.kernel import build_log
    from foundry.msl.sanitizer import FindingKind, Report

    placed: dict[tuple[object, ...], Placed] = {}
    workloads = 0
    for workload, report in _reports(kernel, op, dtypes, seed):
        workloads += 1
        if not isinstance(report, Report):
            status = type(report).__name__.lower()
            why = stopped(report, "sanitizer", workload, hidden=False).message
            return Examined(
                file, kernel, workloads, tuple(placed.values()), stopped=Stopped(status, why)
            )
        if report.build_log is not None:
            log = report.build_log
            if len(kernel.launches) == 1:
                log = build_log.in_file(log, kernel, 0, file.name)
            return Examined(file, kernel, workloads, tuple(placed.values()), log)
        for finding in report.findings:
            _add(placed, _place(finding, kernel, workload))
        if any(finding.kind is FindingKind.RUNAWAY_LOOP for finding in report.findings):
            break  # it would use up the time limit on every workload
    return Examined(file, kernel, workloads, tuple(placed.values()))


def _add(placed: dict[tuple[object, ...], Placed], one: Placed) -> None:
    key = (one.finding.kind, one.line, one.finding.buffer)
    known = placed.setdefault(key, one)
    if known is not one:
        total = known.finding.count + one.finding.count
        placed[key] = replace(known, finding=replace(known.finding, count=total))


def _reports(
    kernel: Kernel, op: Op, dtypes: tuple[str, ...], seed: int
) -> Iterator[tuple[Workload, Report | Timeout | Crash]]:
    from foundry.harness.processes.pool import WorkerPool
    from foundry.harness.sanitizing import Sanitize
    from foundry.judge.oracle.inputs import make_inputs
    from foundry.kernel import bind

    with WorkerPool("cpu", workers=1) as pool, pool.lease() as lease:
        worker = lease.builder or lease.runner
        for dtype in dtypes:
            for workload in op.workloads("visible", dtype):
                inputs = make_inputs(op, workload, _DISTRIBUTION, seed)
                job = Sanitize(bind(kernel, op, workload), inputs)
                yield workload, worker.ask(job, _LIMIT_S * len(kernel.launches))


def _place(finding: Finding, kernel: Kernel, workload: Workload) -> Placed:
    from foundry.kernel import line_in_file

    def in_file(match: re.Match[str]) -> str:
        line = line_in_file(kernel, finding.launch, match[1], int(match[2]))
        return match[0] if line is None else f"line {line}"

    line = None
    if finding.part is not None and finding.part_line is not None:
        line = line_in_file(kernel, finding.launch, finding.part, finding.part_line)
    if line is None:
        line = _launch_line(kernel.launches[finding.launch].lines, str(finding.kind))
    return Placed(finding, line, _PLACE.sub(in_file, finding.sentence), workload.id)


def _launch_line(lines: Mapping[str, int], kind: str) -> int | None:
    """The line of the launch rule that a finding without a line is about."""
    return lines.get("threadgroup" if kind == "too_many_threads" else "grid")


def _show(found: Examined) -> None:
    from foundry.cli.output import note

    if found.build_log is not None:
        click.echo(found.build_log)
    lines = found.file.text.replace("\r\n", "\n").split("\n")
    for placed in found.placed:
        where = found.file.name if placed.line is None else f"{found.file.name}:{placed.line}"
        click.echo(f"{where}: error: {placed.sentence} [{placed.finding.kind}]")
        if placed.line is not None and placed.line <= len(lines):
            code = lines[placed.line - 1]
            indent = len(code) - len(code.lstrip())
            click.echo(f"{placed.line:>5} | {code}")
            click.echo(f"      | {' ' * indent}^{'~' * (len(code.strip()) - 1)}")
        more = f", {placed.finding.count} times" if placed.finding.count > 1 else ""
        click.echo(f"      = on {placed.workload}{more}")
    if found.stopped is not None:
        click.echo(f"{found.file.name}: error: {found.stopped.message} [{found.stopped.status}]")
    count = len(found.placed)
    verdict = "no finding" if found.clean else f"{count} finding{'s' * (count != 1)}"
    if found.build_log is None:
        verdict = f"{verdict} on {found.workloads} workload{'s' * (found.workloads != 1)}"
    else:
        verdict = "it does not build"
    if found.stopped is not None and not count:
        verdict = f"{found.stopped.status}, examined up to there"
    note(f"{found.kernel.op}: {verdict}")
