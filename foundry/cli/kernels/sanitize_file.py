"""`foundry sanitize FILE.metal --function NAME`: one function of a file of whole kernels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foundry.errors import DoesNotBuild, UsageError

if TYPE_CHECKING:
    from foundry.cli.kernels.judging import KernelText
    from foundry.harness.file_sanitizing import FileDispatch, FileReport, SanitizeFile
    from foundry.harness.jobs import Crash, Timeout
    from foundry.metal.reading.includes import Spliced
    from foundry.msl.sanitizer import Finding
    from foundry.program import Arrays

F = TypeVar("F", bound=Callable[..., Any])
_LIMIT_S = 120.0
"""For reading, building and running."""
_SIZES = ("grid", "threadgroups", "threadgroup")
_FLAGS = {"buffers": "buffer", "memory": "threadgroup-memory", "constants": "constant"}
"""By field of `Asked`, where the option has another name."""
_WHOLE_FUNCTION = re.compile(r"\bkernel\s+void\b|\[\[\s*kernel\b")


def function_options(function: F) -> F:
    """The options of a dispatch; together they arrive as `Asked`."""
    size = "X[,Y[,Z]]"
    for decorate in (
        click.option("--include-root", type=click.Path(exists=True, file_okay=False),
                     help="Folder that included files lie in.  [default: the file's own]"),
        click.option("--constant", "constants", multiple=True, metavar="NAME=VALUE",
                     help="A function constant; may be repeated."),
        click.option("--threadgroup-memory", "memory", multiple=True, metavar="INDEX=BYTES",
                     help="Of a [[threadgroup(n)]] argument; may be repeated."),
        click.option("--buffer", "buffers", multiple=True, metavar="NAME=SPEC",
                     help="A buffer: f32[1024], f32[9]:new, :range, :0; 7; u32:7,f32:0.5; @FILE."),
        click.option("--threadgroup", metavar=size, help="Threads of a threadgroup."),
        click.option("--threadgroups", metavar=size, help="How many, instead of --grid."),
        click.option("--grid", metavar=size, help="Threads of the grid."),
        click.option("--function", "function", metavar="NAME",
                     help="A kernel function of a whole .metal file, and its dispatch:"),
    ):  # fmt: skip
        function = decorate(function)
    return function


@dataclass(frozen=True)
class Asked:
    """The options as they were given."""

    function: str | None
    grid: str | None
    threadgroups: str | None
    threadgroup: str | None
    buffers: tuple[str, ...]
    memory: tuple[str, ...]
    constants: tuple[str, ...]
    include_root: str | None

    @property
    def is_wanted(self) -> bool:
        """Whether any of them was given.

        Raises:
            UsageError: Some, without the function.
        """
        if self.function is None and any(vars(self).values()):
            name = next(name for name, value in vars(self).items() if value)
            flag = _FLAGS.get(name, name.replace("_", "-"))
            raise UsageError(f"--{flag} goes with --function NAME")
        return self.function is not None


def refuse_whole_files(file: KernelText) -> None:
    """Say what is missing for a file that holds whole functions and no kernel of an op.

    Raises:
        UsageError: It is such a file.
    """
    if "/*kernel" not in file.text and _WHOLE_FUNCTION.search(file.text):
        raise UsageError(
            f"'{file.name}' holds whole kernel functions: name one with --function, and its"
            " dispatch with --grid, --threadgroup and --buffer"
        )


def sanitize_function(path: str, asked: Asked, seed: int, as_json: bool) -> int:
    """Examine one dispatch in a confined worker, print what was found, return the exit code.

    Raises:
        UsageError: Options that do not fit the function.
        EnvironmentUnusable: The compiler or the workers do not work here.
    """
    from foundry.cli.failures import REJECTED
    from foundry.cli.output import note, print_json
    from foundry.harness.file_sanitizing import FileReport, SanitizeFile

    try:
        found = _ask(SanitizeFile(*dispatch_of(path, asked, seed)))
    except DoesNotBuild as error:
        found = FileReport(build_log=str(error))
    if isinstance(found, FileReport) and found.usage is not None:
        raise UsageError(found.usage)
    document = _document(path, asked, found)
    if as_json:
        print_json(document)
    else:
        _show(path, found)
        note(f"{asked.function}: {_verdict(found)}")
    return 0 if document["passed"] else REJECTED


def dispatch_of(path: str, asked: Asked, seed: int) -> tuple[FileDispatch, Arrays]:
    """A file with its includes, how its function is dispatched, and the buffers.

    Args:
        path: Of the file, or `-`.
        asked: The options; a function is among them.
        seed: Of random values.

    Raises:
        DoesNotBuild: The file includes what is not there.
        UsageError: An option that reads as nothing, or one that is missing.
    """
    from foundry.cli.kernels.file_buffers import parse_buffers
    from foundry.harness.file_sanitizing import FileDispatch

    spliced = _spliced(path, asked.include_root)
    given = parse_buffers(asked.buffers, seed)
    sizes = {name: _size(name, getattr(asked, name)) for name in _SIZES}
    if sizes["threadgroup"] is None:
        raise UsageError("--function needs --threadgroup X[,Y[,Z]], and --grid or --threadgroups")
    dispatch = FileDispatch(
        text=spliced.text,
        places=tuple((line, place.file, place.line) for line, place in spliced.places.starts),
        function=asked.function or "",
        constants=_constants(asked.constants),
        numbers=given.numbers,
        outputs=tuple(given.outputs),
        grid=sizes["grid"],
        threadgroups=sizes["threadgroups"],
        threadgroup=sizes["threadgroup"],
        threadgroup_memory=tuple(map(_memory, asked.memory)),
    )
    return dispatch, given.arrays


def _spliced(path: str, include_root: str | None) -> Spliced:
    from foundry.cli.kernels.judging import STDIN, read_kernel_text
    from foundry.metal.reading.includes import splice

    file = read_kernel_text(path)
    folder = None if path == STDIN else Path(path).parent
    root = Path(include_root) if include_root else folder
    return splice(file.text, file.name, folder or root, root)


def _size(name: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(piece) for piece in text.split(","))
    except ValueError:
        raise UsageError(f"--{name} {text}: give X, X,Y or X,Y,Z") from None


def _memory(option: str) -> tuple[int, int]:
    index, _, size = option.partition("=")
    if not index.isdecimal() or not size.isdecimal():
        raise UsageError(f"--threadgroup-memory {option}: give INDEX=BYTES, such as 0=1024")
    return int(index), int(size)


def _constants(options: Sequence[str]) -> dict[str, Any]:
    from foundry.cli.kernels.file_buffers import parse_value

    values = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise UsageError(f"--constant {option}: give NAME=VALUE")
        values[name] = parse_value(value, f"--constant {option}")
    return values


def _ask(job: SanitizeFile) -> FileReport | Timeout | Crash:
    from foundry.harness.processes.pool import WorkerPool

    with WorkerPool("cpu", workers=1) as pool, pool.lease() as lease:
        return (lease.builder or lease.runner).ask(job, _LIMIT_S)


def _document(path: str, asked: Asked, found: FileReport | Timeout | Crash) -> dict[str, Any]:
    report = _report(found)
    status = _status(found)
    return {
        "file": path,
        "function": asked.function,
        "status": status,
        "passed": status == "clean",
        "build_log": report.build_log if report else None,
        "stopped": None if report else _stopped(found),
        "findings": [_finding(f) for f in report.findings] if report else [],
    }


def _report(found: FileReport | Timeout | Crash) -> FileReport | None:
    from foundry.harness.file_sanitizing import FileReport

    return found if isinstance(found, FileReport) else None


def _status(found: FileReport | Timeout | Crash) -> str:
    report = _report(found)
    if report is None:
        return type(found).__name__.lower()
    if report.build_log is not None:
        return "build_error"
    return "sanitizer_error" if report.findings else "clean"


def _stopped(found: Any) -> str:
    limit = getattr(found, "limit_s", None)
    return f"no answer in {limit:g} s" if limit is not None else str(found.reason)


def _finding(f: Finding) -> Mapping[str, Any]:
    return {
        "kind": str(f.kind),
        "file": f.part,
        "line": f.part_line,
        "message": f.sentence,
        "text": f.text,
        "buffer": f.buffer,
        "index": f.index,
        "size": f.size,
        "access": f.access,
        "thread": f.thread,
        "other_thread": f.other_thread,
        "count": f.count,
    }


def _show(path: str, found: FileReport | Timeout | Crash) -> None:
    report = _report(found)
    if report is None:
        return click.echo(f"{path}: error: {_stopped(found)} [{_status(found)}]")
    if report.build_log is not None:
        return click.echo(report.build_log)
    for f in report.findings:
        where = path if f.part is None else f"{f.part}:{f.part_line}"
        click.echo(f"{where}: error: {f.sentence} [{f.kind}]")
        if f.part_line is not None:
            indent = len(f.text) - len(f.text.lstrip())
            click.echo(f"{f.part_line:>5} | {f.text}")
            click.echo(f"      | {' ' * indent}^{'~' * (len(f.text.strip()) - 1)}")
        if f.count > 1:
            click.echo(f"      = {f.count} times")
    return None


def _verdict(found: FileReport | Timeout | Crash) -> str:
    status = _status(found)
    if status == "sanitizer_error":
        report = _report(found)
        count = len(report.findings) if report else 0
        return f"{count} finding{'s' * (count != 1)}"
    return {"clean": "no finding", "build_error": "it does not build"}.get(status, status)
