"""A job that profiles one function of a `.metal` file for the chip model, and its answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from foundry.errors import DoesNotBuild, LaunchFailed, UsageError
from foundry.harness import frames
from foundry.harness.file_sanitizing import FileDispatch, arguments_of, function_of
from foundry.harness.jobs import ReplyError, encode_sets, read_sets
from foundry.harness.measuring.profiling import Unprofiled
from foundry.msl.gpu.profile import GpuProfile, profile_from
from foundry.program import Arrays


@dataclass(frozen=True)
class ProfileFile:
    """Profile one dispatch over arrays. Result: `GpuProfile`, or why there is none."""

    dispatch: FileDispatch
    arrays: Arrays
    kind: ClassVar[str] = "profile_file"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        header, buffers = encode_sets((self.arrays,))
        return header | {"dispatch": asdict(self.dispatch)}, buffers

    def decode(self, frame: frames.Frame) -> GpuProfile | Unprofiled:
        """The result in a reply.

        Raises:
            ReplyError: The reply holds no profile.
        """
        if "unprofiled" in frame.header:
            said = {name: frame.header.get(name) is True for name in ("is_usage", "is_at_fault")}
            return Unprofiled(str(frame.header["unprofiled"]), **said)
        try:
            return profile_from(frame.header["profile"])
        except (KeyError, TypeError, ValueError) as error:
            raise ReplyError("what was profiled does not read as a profile") from error


def answer(request: frames.Frame) -> tuple[dict[str, Any], tuple[()]]:
    """Do the job, in the worker."""
    given, arrays = request.header["dispatch"], read_sets(request)[0]
    try:
        found = function_of(given).profile(**arguments_of(given, arrays))
    except (LaunchFailed, UsageError, DoesNotBuild) as error:
        is_usage, is_at_fault = isinstance(error, UsageError), isinstance(error, DoesNotBuild)
        return {"unprofiled": str(error), "is_usage": is_usage, "is_at_fault": is_at_fault}, ()
    return {"profile": found.document()}, ()
