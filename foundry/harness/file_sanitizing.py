"""A job that runs one function of a `.metal` file with every access checked, and its answer.

The text comes with its includes in their places, so the worker reads no file. Reading, building and
running all happen there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from foundry.errors import DoesNotBuild, UsageError
from foundry.harness import frames
from foundry.harness.jobs import ReplyError, encode_sets, read_sets
from foundry.harness.sanitizing import finding_of
from foundry.msl.sanitizer import Finding
from foundry.program import Arrays

if TYPE_CHECKING:
    from foundry.metal.library import LibraryFunction

Numbers = Mapping[str, bool | float | Sequence[float]]


@dataclass(frozen=True)
class FileDispatch:
    """One dispatch of a function of a file, as plain data."""

    text: str
    """With includes in their places."""
    places: tuple[tuple[int, str, int], ...]
    """From which line of the text on it is which file, from which of its lines."""
    function: str
    constants: Numbers
    numbers: Numbers
    """Buffers that are given as numbers, of the type that the function takes."""
    outputs: tuple[str, ...]
    grid: tuple[int, ...] | None
    threadgroups: tuple[int, ...] | None
    threadgroup: tuple[int, ...]
    threadgroup_memory: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class FileReport:
    """What was found; or why nothing ran: the compiler's words, or what does not fit."""

    findings: tuple[Finding, ...] = ()
    build_log: str | None = None
    usage: str | None = None


@dataclass(frozen=True)
class SanitizeFile:
    """Examine one dispatch over arrays. Result: `FileReport`."""

    dispatch: FileDispatch
    arrays: Arrays
    kind: ClassVar[str] = "sanitize_file"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        header, buffers = encode_sets((self.arrays,))
        return header | {"dispatch": asdict(self.dispatch)}, buffers

    def decode(self, frame: frames.Frame) -> FileReport:
        """The result in a reply.

        Raises:
            ReplyError: The reply holds no report.
        """
        files = (None, *dict.fromkeys(file for _, file, _ in self.dispatch.places))
        try:
            header = frame.header
            findings = tuple(finding_of(value, files, launches=1) for value in header["findings"])
            return FileReport(findings, _text(header["build_log"]), _text(header["usage"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ReplyError("what was found does not read as findings") from error


def answer(request: frames.Frame) -> tuple[dict[str, Any], tuple[()]]:
    """Do the job, in the worker."""
    report = _examined(request.header["dispatch"], read_sets(request)[0])
    return asdict(report), ()


def function_of(given: Mapping[str, Any]) -> LibraryFunction:
    """The function of a dispatch, in the worker.

    Raises:
        DoesNotBuild: The file or the function.
        UsageError: It has no such function or constant.
    """
    from foundry.metal import Library
    from foundry.metal.reading.includes import Spliced
    from foundry.metal.reading.places import FilePlace, FilePlaces

    starts = tuple((line, FilePlace(file, own)) for line, file, own in given["places"])
    spliced = Spliced(given["text"], FilePlaces(starts))
    return Library(spliced, function_constants=given["constants"])[given["function"]]


def arguments_of(given: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """What a function of a library is called with for a dispatch."""
    return {
        "buffers": {_slot(name): value for name, value in {**arrays, **given["numbers"]}.items()},
        "threadgroup_memory": dict(given["threadgroup_memory"]),
        "outputs": tuple(map(_slot, given["outputs"])),
        **{n: given[n] for n in ("grid", "threadgroups", "threadgroup")},
    }


def _slot(name: str) -> str | int:
    """A buffer by its name, or by its index."""
    return int(name) if name.isdecimal() else name


def _examined(given: Mapping[str, Any], arrays: Arrays) -> FileReport:
    try:
        report = function_of(given).sanitize(**arguments_of(given, arrays))
    except DoesNotBuild as error:
        return FileReport(build_log=str(error))
    except UsageError as error:
        return FileReport(usage=str(error))
    return FileReport(report.findings, report.build_log)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
