"""A job that profiles a program as a GPU's compiler sees it (`foundry.msl.gpu`), and its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from foundry.errors import DoesNotBuild, LaunchFailed, UsageError
from foundry.harness import frames
from foundry.harness.jobs import (
    ReplyError,
    decode_program,
    encode_run,
    read_sets,
)
from foundry.msl.gpu.profile import GpuProfile, profile_from
from foundry.msl.gpu.run import profile
from foundry.program import Arrays, Program


@dataclass(frozen=True)
class Unprofiled:
    """Why nothing can be said of a program."""

    reason: str
    is_usage: bool = False
    """Whether what was asked does not fit it."""
    is_at_fault: bool = False
    """Whether its text is to blame: it does not build."""


@dataclass(frozen=True)
class Profiling:
    """Profile a program on inputs that it passed the sanitizer on. Result: `GpuProfile`.

    It compiles what it runs, so it is for the builder of a lease.
    """

    program: Program
    inputs: Arrays
    kind: ClassVar[str] = "profile"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        return encode_run(self.program, self.inputs)

    def decode(self, frame: frames.Frame) -> GpuProfile | Unprofiled:
        """The result in a reply.

        Raises:
            ReplyError: The reply holds no profile.
        """
        return told(frame)


def told(frame: frames.Frame) -> GpuProfile | Unprofiled:
    """What `said` put into a reply.

    Raises:
        ReplyError: The reply holds neither.
    """
    if "unprofiled" in frame.header:
        words = {name: frame.header.get(name) is True for name in ("is_usage", "is_at_fault")}
        return Unprofiled(str(frame.header["unprofiled"]), **words)
    try:
        return profile_from(frame.header["profile"])
    except (KeyError, TypeError, ValueError) as error:
        raise ReplyError("what was profiled does not read as a profile") from error


def said(profiled: Callable[[], GpuProfile]) -> tuple[dict[str, Any], tuple[()]]:
    """The reply of a worker: a profile, or why there is none."""
    try:
        return {"profile": profiled().document()}, ()
    except (LaunchFailed, UsageError, DoesNotBuild) as error:
        is_usage, is_at_fault = isinstance(error, UsageError), isinstance(error, DoesNotBuild)
        return {"unprofiled": str(error), "is_usage": is_usage, "is_at_fault": is_at_fault}, ()


def answer(request: frames.Frame) -> tuple[dict[str, Any], tuple[()]]:
    """Do the job, in the worker."""
    program, inputs = decode_program(request.header["program"]), read_sets(request)[0]
    return said(lambda: profile(program, inputs))
