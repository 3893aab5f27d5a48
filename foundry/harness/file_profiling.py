"""A job that profiles one function of a `.metal` file for the chip model, and its answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from foundry.harness import frames
from foundry.harness.file_sanitizing import FileDispatch, arguments_of, function_of
from foundry.harness.jobs import encode_sets, read_sets
from foundry.harness.measuring.profiling import Unprofiled, said, told
from foundry.msl.gpu.profile import GpuProfile
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
        return told(frame)


def answer(request: frames.Frame) -> tuple[dict[str, Any], tuple[()]]:
    """Do the job, in the worker."""
    given, arrays = request.header["dispatch"], read_sets(request)[0]
    return said(lambda: function_of(given).profile(**arguments_of(given, arrays)))
