"""A job that counts what a kernel's SIMD-groups do (`foundry.msl.counters`), and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from foundry.errors import LaunchFailed
from foundry.harness import frames
from foundry.harness.jobs import (
    ReplyError,
    decode_program,
    encode_run,
    read_sets,
)
from foundry.msl.counters import THREADGROUPS, Counters, count, counters_from
from foundry.program import Arrays, Program


@dataclass(frozen=True)
class Uncounted:
    """Why a program cannot be counted."""

    reason: str


@dataclass(frozen=True)
class Count:
    """Count a program on inputs that it passed the sanitizer on. Result: `Counters`.

    It compiles what it runs, so it is for the builder of a lease.
    """

    program: Program
    inputs: Arrays
    threadgroups: int = THREADGROUPS
    kind: ClassVar[str] = "count"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        header, buffers = encode_run(self.program, self.inputs)
        return header | {"threadgroups": self.threadgroups}, buffers

    def decode(self, frame: frames.Frame) -> Counters | Uncounted:
        """The result in a reply.

        Raises:
            ReplyError: The reply holds no counters.
        """
        if "uncounted" in frame.header:
            return Uncounted(str(frame.header["uncounted"]))
        try:
            return counters_from(frame.header["counters"])
        except (KeyError, TypeError, ValueError) as error:
            raise ReplyError("what was counted does not read as counters") from error


def answer(request: frames.Frame) -> tuple[dict[str, Any], tuple[()]]:
    """Do the job, in the worker."""
    program = decode_program(request.header["program"])
    try:
        counters = count(
            program, read_sets(request)[0], threadgroups=request.header["threadgroups"]
        )
    except LaunchFailed as error:
        return {"uncounted": str(error)}, ()
    return {"counters": counters.document()}, ()
