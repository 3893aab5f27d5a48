"""A job that runs a program with every access checked (`foundry.msl.sanitizer`), and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from foundry.harness import frames
from foundry.harness.jobs import (
    ReplyError,
    decode_program,
    encode_run,
    read_sets,
)
from foundry.msl.sanitizer import Finding, FindingKind, Report, sanitize
from foundry.program import Arrays, Program


@dataclass(frozen=True)
class Sanitize:
    """Examine a program on inputs. Result: the sanitizer's `Report`, without counters.

    It compiles what it runs, so it is for the builder of a lease.
    """

    program: Program
    inputs: Arrays
    kind: ClassVar[str] = "sanitize"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        return encode_run(self.program, self.inputs)

    def decode(self, frame: frames.Frame) -> Report:
        """The result in a reply.

        Raises:
            ReplyError: The reply holds no report of this program.
        """
        try:
            launches = len(self.program.launches)
            found = frame.header["findings"]
            findings = tuple(finding_of(value, _PARTS, launches) for value in found)
            log = frame.header["build_log"]
            return Report(findings, build_log=None if log is None else str(log))
        except (KeyError, TypeError, ValueError) as error:
            raise ReplyError("what was found does not read as findings") from error


_PARTS = (None, "header", "source")


def answer(request: frames.Frame) -> tuple[dict[str, Any], tuple[()]]:
    """Do the job, in the worker."""
    report = sanitize(decode_program(request.header["program"]), read_sets(request)[0])
    findings = [asdict(finding) for finding in report.findings]
    return {"findings": findings, "build_log": report.build_log}, ()


def finding_of(value: dict[str, Any], parts: Sequence[str | None], launches: int) -> Finding:
    """A finding in a reply.

    Raises:
        ValueError: It is in none of these parts or launches, or reads as no finding.
    """
    launch = int(value["launch"])
    if not 0 <= launch < launches or value["part"] not in parts:
        raise ValueError("no such place")
    other = value["other_line"]
    return Finding(
        kind=FindingKind(value["kind"]),
        sentence=str(value["sentence"]),
        buffer=_text(value["buffer"]),
        index=_whole(value["index"]),
        size=_whole(value["size"]),
        access=_text(value["access"]),
        thread=_position(value["thread"]),
        other_thread=_position(value["other_thread"]),
        other_line=None if other is None else (str(other[0]), int(other[1])),
        part=value["part"],
        part_line=_whole(value["part_line"]),
        text=str(value["text"]),
        launch=launch,
        count=int(value["count"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _position(value: Any) -> tuple[int, int, int] | None:
    if value is None:
        return None
    x, y, z = (int(part) for part in value)
    return x, y, z
