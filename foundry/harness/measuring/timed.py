"""The timing jobs inside a worker: sides are put together, prepared, run, and looked at afterwards.

Nothing here reads a clock: what a batch takes is the judge's to say.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.engines.base import Executable, LazyCall
from foundry.harness import frames
from foundry.harness.jobs import decode_workload, encode_sets, read_sets
from foundry.harness.measuring.baseline import BaselineCall, ProductProgram, find_op, tuned_blas
from foundry.harness.measuring.sides import LazySide, Side, WaitingSide
from foundry.program import Arrays, Program
from ops.dtypes import numpy_dtype

Reply = tuple[dict[str, Any], Sequence[NDArray[Any]]]
Built = Callable[[int], tuple[Executable, Program]]

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENAS = -3, -1, -8
_PR_SET_THP_DISABLE = 41
_KEPT_BYTES = 32 << 20
_NEVER = (1 << 31) - 1


class Bench:
    """The sides that one worker holds.

    Args:
        kind: Kind of the device.
        built: An executable by its number, and its program.
    """

    def __init__(self, kind: str, built: Built) -> None:
        self._kind = kind
        if kind == "cpu":
            use_small_pages()
        self._built = built
        self._sides: dict[str, Side] = {}
        self._latest: Side | None = None

    def bind(self, request: frames.Frame) -> Reply:
        """Put a side together in the place of what had its name."""
        name = request.header["side"]
        self._sides.pop(name, None)
        side = self._sides[name] = self._made(request)
        return {"nodes": side.nodes}, ()

    def renew(self, request: frames.Frame) -> Reply:
        """Put other inputs in the place of those a side has."""
        self._side(request).renew(read_sets(request))
        return {}, ()

    def ready(self, request: frames.Frame) -> Reply:
        """Prepare a batch."""
        self._latest = self._side(request)
        self._latest.ready(request.header["calls"], keep=request.header["keep"])
        return {}, ()

    def go(self, request: frames.Frame) -> Reply:
        """Run it."""
        if self._latest is None:
            raise ValueError("no batch is ready")
        self._latest.run()
        return {}, ()

    def left(self, request: frames.Frame) -> Reply:
        """Outputs of some calls of the latest batch."""
        side = self._side(request)
        header, data = encode_sets(side.left(request.header["calls"]))
        return header | {"changed": side.changed()}, data

    def _side(self, request: frames.Frame) -> Side:
        return self._sides[request.header["side"]]

    def _made(self, request: frames.Frame) -> Side:
        header, sets = request.header, read_sets(request)
        is_chained = self._kind != "cpu"
        if header["program"] is None:
            return self._baseline(request, sets)
        executable, program = self._built(header["program"])
        sets = sets or [_zeros(program)]
        first = executable.bind(sets[0])
        if not isinstance(first, LazyCall):
            return WaitingSide(executable, sets, header["slots"])
        calls = [first, *(executable.bind(s) for s in sets[1:])]
        lazy = [call for call in calls if isinstance(call, LazyCall)]
        return LazySide(lazy, chained=is_chained, links=header["links"], executable=executable)

    def _baseline(self, request: frames.Frame, sets: Sequence[Arrays]) -> Side:
        header = request.header
        op, workload = find_op(header["op"], header["op_file"]), decode_workload(header)
        if header["baseline"] not in op.baselines and header["baseline"] == product_name():
            return WaitingSide(ProductProgram(op, workload), sets, header["slots"])
        if self._kind == "cpu":
            keep_memory()
        calls = [BaselineCall(op, workload, header["baseline"], s) for s in sets]
        return LazySide(calls, chained=self._kind != "cpu", links=header["links"])


def product_name() -> str:
    """What a product of matrices by NumPy is called among baselines; empty where that is slow."""
    found = tuned_blas()
    return f"numpy ({found})" if found else ""


def keep_memory() -> None:
    """Let the C library keep what is freed: the memory of a kernel's outputs is there as well.

    Without it MLX's results of some size are mapped, cleared and given back at every call.
    """
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_ARENAS, 1)
        set_option(_MMAP_THRESHOLD, _KEPT_BYTES)
        set_option(_TRIM_THRESHOLD, _NEVER)


def use_small_pages() -> None:
    """Let memory from now on lie in small pages, whoever asks for it.

    NumPy asks for huge pages where arrays are large and MLX does not, so that a kernel over NumPy's
    memory would gain some percent that no program of its user sees.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _zeros(program: Program) -> Arrays:
    return {s.name: np.zeros(s.shape, numpy_dtype(s.dtype)) for s in program.inputs}
