"""Runs a kernel that was built for a GPU, here, and reads how often its blocks are executed.

Threadgroups are taken in rows of neighbours, so that what they share is seen.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.errors import DoesNotBuild, LaunchFailed
from foundry.msl.counters import native
from foundry.msl.counters import run as counting
from foundry.msl.counters.model import DEVICE, LINE_BYTES, THREADGROUP, LaunchCount
from foundry.msl.counters.sample import sample
from foundry.msl.frontend.signature import Captured, capture_launch
from foundry.msl.gpu.machine import Machine, from_json
from foundry.msl.gpu.profile import (
    DEPTHS,
    NEIGHBOURS,
    SECTORS,
    GpuProfile,
    LaunchProfile,
    Reuse,
    SharedWork,
)
from foundry.msl.gpu.toolchain import GpuBuilder, gpu_builder
from foundry.msl.run.builder import Text
from foundry.msl.run.memory import argument_buffers, refuse_sizes
from foundry.msl.run.runtime import LoadedKernel
from foundry.program import BuildFailure, Launch, Program, TensorSpec

ROWS = 8
ENOUGH_EVENTS = 1_500_000
"""No further threadgroup is begun after so many accesses of lanes."""
Arrays = dict[str, NDArray[Any]]


class _Reuse(ctypes.Structure):
    """Mirrors `Reuse` of prelude/counters/gpu.h."""

    _fields_ = [
        ("touches", ctypes.c_uint64),
        ("sectors", ctypes.c_uint64),
        ("misses", ctypes.c_uint64 * len(DEPTHS)),
        ("in_step", ctypes.c_uint64),
        ("lines", ctypes.c_uint64),
        ("distinct", ctypes.c_uint64 * NEIGHBOURS),
        ("rows", ctypes.c_uint64 * NEIGHBOURS),
    ]


class _Blocks(ctypes.Structure):
    """Mirrors `Blocks` there."""

    _fields_ = [
        ("count", ctypes.c_uint32),
        ("lanes", ctypes.c_void_p),
        ("groups", ctypes.c_void_p),
        ("threads", ctypes.c_void_p),
        ("reuse", ctypes.c_void_p),
    ]


def profile(
    program: Program,
    inputs: Mapping[str, NDArray[Any]],
    *,
    capture: counting.Capture = capture_launch,
) -> GpuProfile:
    """What a program does on these inputs.

    It should have passed the sanitizer on them, as for `foundry.msl.counters.count`.

    Args:
        program: Launches in order.
        inputs: Arrays of `program.inputs`, exact shapes and dtypes.
        capture: What is generated for a launch over inputs of these shapes and dtypes.

    Raises:
        DoesNotBuild: A kernel of it does not.
        LaunchFailed: It does too much to be counted.
        EnvironmentUnusable: The compiler does not work here.
    """
    arrays: Arrays = dict(inputs)
    specs = {spec.name: spec for spec in program.inputs}
    found = []
    for number, launch in enumerate(program.launches):
        taken = [specs[name] for name in launch.inputs]
        found.append(_profile(launch, number, capture(launch, taken), taken, arrays))
        specs |= {spec.name: spec for spec in launch.outputs}
        if number + 1 < len(program.launches):
            arrays |= counting.whole(launch, taken, arrays)
    return GpuProfile(tuple(one for one in found if one is not None))


def _profile(
    launch: Launch, number: int, captured: Captured, taken: list[TensorSpec], arrays: Arrays
) -> LaunchProfile | None:
    if refused := refuse_sizes(captured):
        raise LaunchFailed(refused)
    text = Text(captured, launch.header, launch.source, launch.math_mode)
    library = gpu_builder(text.dialect).build(text)
    if isinstance(library, BuildFailure):
        raise DoesNotBuild(f"the kernel does not build: {library.log}")
    if 0 in captured.grid:
        return None
    outputs = [counting.output(spec, launch, arrays) for spec in launch.outputs]
    _, kept = argument_buffers([arrays[s.name] for s in taken], outputs, captured)
    with counting.ONE_AT_A_TIME:
        return GpuRun(text, launch, number, library, kept).profile()


class GpuRun(counting.CountingRun):
    """One launch, and how often the blocks of its kernel are executed."""

    enough_events = ENOUGH_EVENTS

    def __init__(
        self,
        text: Text,
        launch: Launch,
        number: int,
        library: LoadedKernel,
        kept: Sequence[NDArray[Any]],
        builder: GpuBuilder | None = None,
    ) -> None:
        builder = builder or gpu_builder(text.dialect)
        super().__init__(text, launch, number, library, kept, builder)
        self._names = _text(library, "mf_blocks").split("\n")
        self._machine = from_json(_text(library, "mf_machine"))

    def profile(self) -> LaunchProfile:
        """Run some threadgroups."""
        blocks = self._state()
        try:
            count = self.count(ROWS * NEIGHBOURS)
        finally:
            blocks.count = 0
        factor = self._factor
        executed = {n: float(g) * factor for n, g in zip(self._names, self._groups, strict=True)}
        loads, stores = self._reuses(count, factor)
        return LaunchProfile(
            self._machine.registers,
            self._machine.scratch_bytes,
            count.threadgroups,
            self._threads // count.threadgroups if count.threadgroups else 0,
            self._library.storage_bytes,
            _work(self._machine, executed),
            _shared(count),
            loads,
            stores,
            float(sum(a.atomics.accesses for a in count.arrays if a.space == DEVICE)),
        )

    def _reuses(
        self, count: LaunchCount, factor: float
    ) -> tuple[tuple[Reuse, ...], tuple[Reuse, ...]]:
        """Loads and stores, by array in device memory."""
        loads, stores = [], []
        for number, array in enumerate(count.arrays):
            if array.space == DEVICE:
                taken, written = self._reuse[2 * number], self._reuse[2 * number + 1]
                size = array.size_bytes
                loads.append(_reuse(taken, array.loads.instructions, factor, size))
                stores.append(_reuse(written, array.stores.instructions, factor, size))
        return tuple(loads), tuple(stores)

    def _summed(
        self, tally: NDArray[np.uint64], state: native.CounterState, total: int
    ) -> LaunchCount:
        self._factor = self._threads / state.threads
        return super()._summed(tally, state, total)

    def _state(self) -> _Blocks:
        runtime = self._library.runtime
        runtime.mf_count_blocks.restype = ctypes.POINTER(_Blocks)
        state: _Blocks = runtime.mf_count_blocks().contents
        return state

    def _order(self, total: int, most: int) -> Sequence[int]:
        """Rows of neighbours, spread over the grid."""
        if total <= most:
            return range(total)
        starts = sample(total // NEIGHBOURS, ROWS)
        return [NEIGHBOURS * start + n for start in starts for n in range(NEIGHBOURS)]

    def _watch(self, arrays: int) -> None:
        count = len(self._names)
        self._lanes = np.zeros((1024, count), np.uint32)
        self._groups = np.zeros(count, np.uint64)
        self._threads_of = np.zeros(count, np.uint64)
        self._reuse = (_Reuse * (2 * max(arrays, 1)))()
        state = self._state()
        state.count = count
        state.lanes = self._lanes.ctypes.data
        state.groups = self._groups.ctypes.data
        state.threads = self._threads_of.ctypes.data
        state.reuse = ctypes.addressof(self._reuse)


def _text(library: LoadedKernel, name: str) -> str:
    return ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library.handle, name))).decode()


def _work(machine: Machine, executed: Mapping[str, float]) -> dict[str, float]:
    """Instructions by kind, and how often a block's loads are waited for."""
    work: dict[str, float] = {}
    for name, kinds in machine.blocks.items():
        times = executed.get(name, executed.get("entry", 0.0))
        for kind, count in kinds.items():
            work[kind] = work.get(kind, 0.0) + times * count
            if waited := _WAITS.get(kind):
                work[waited] = work.get(waited, 0.0) + times
    return work


_WAITS = {"device_load": "device_wait", "shared_load": "shared_wait", "spill": "spill_wait"}


def _shared(count: LaunchCount) -> SharedWork:
    taken = [
        traffic
        for array in count.arrays
        if array.space == THREADGROUP
        for traffic in (array.loads, array.stores, array.atomics)
    ]
    return SharedWork(
        sum(t.instructions for t in taken),
        sum(t.transactions for t in taken),
        sum(t.ideal_transactions for t in taken),
    )


def _reuse(found: _Reuse, instructions: float, factor: float, size: int) -> Reuse:
    touches = max(int(found.touches), 1)
    distinct = [d / r for d, r in zip(found.distinct, found.rows, strict=True) if r]
    # A neighbour that uses the rest of a line shares it: sectors tell what is its own.
    more = distinct[0] if distinct else 0.0
    if len(distinct) > 1:
        more = (distinct[-1] - distinct[0]) / (len(distinct) - 1)
    return Reuse(
        instructions,
        int(found.touches) * factor,
        int(found.sectors) * factor,
        tuple(int(m) / touches for m in found.misses),
        int(found.in_step) / touches,
        int(found.lines) / max(sum(int(r) for r in found.rows), 1),
        more / SECTORS,
        size / LINE_BYTES,
    )
