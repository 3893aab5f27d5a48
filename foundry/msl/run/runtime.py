"""Loads compiled kernels and runs them: the Python side of `prelude/runtime/launch.h`.

`load_runtime` loads the runtime once per process. `LoadedKernel` is a kernel in memory. `Launcher`
is one with its sizes and buffers resolved; running it calls one C function.
"""

from __future__ import annotations

import _ctypes
import copy
import ctypes
import enum
import math
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from foundry.errors import LaunchFailed, UsageError
from foundry.msl.frontend.signature import STORAGES
from foundry.program import Size3

MAX_THREADS = 1024
MAX_STORAGE_BYTES = 32 * 1024
_FLAT, _GROUPS, _FIBRES = 0, 1, 2
_SPAN, _SHORT_SPAN = 4096, 32
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
"""Multiples of it, less their whole part, lie far from each other."""
_LAUNCH_LIMIT_S = 3.0
"""Of processor time."""
_Three = ctypes.c_uint32 * 3


class _Failure(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint32),
        ("group", _Three),
        ("arrived", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("returned", ctypes.c_uint32),
    ]


class _Launch(ctypes.Structure):
    _fields_ = [
        ("buffers", ctypes.c_void_p),
        ("grid", _Three),
        ("group", _Three),
        ("groups", _Three),
        ("strict", ctypes.c_uint32),
        ("items", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
        ("stride", ctypes.c_uint64),
        ("limit_ns", ctypes.c_uint64),
        ("span", ctypes.c_uint32),
        ("storage_bytes", ctypes.c_uint32),
        ("storage_offset", ctypes.c_void_p),
        ("run_items", ctypes.c_void_p),
        ("run_thread", ctypes.c_void_p),
        ("failure", _Failure),
    ]


class _StorageEntry(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint32) for n in ("id", "size", "alignment", "item")]


_runtimes: dict[str, ctypes.CDLL] = {}


def load_runtime(path: Path) -> ctypes.CDLL:
    """Load the runtime so that kernels loaded later find it.

    They name it. Its functions are not everybody's: other runtimes have functions of the same name.
    Of two caches in one process the same runtime is loaded once: kernels would find the first only.

    Args:
        path: Its file, whose name tells what it holds.
    """
    if path.name in _runtimes:
        return _runtimes[path.name]
    runtime = ctypes.CDLL(str(path))
    runtime.mf_launch.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    runtime.mf_launch.restype = ctypes.c_uint32
    runtime.mf_forget.argtypes, runtime.mf_forget.restype = [], None
    # Only now, for threads that load it at the same time: one without types cuts addresses.
    return _runtimes.setdefault(path.name, runtime)


def worker_threads() -> int:
    """Threads a launch may use: `FOUNDRY_CPU_THREADS`, or all cores this process may run on.

    Raises:
        UsageError: when the setting is no positive whole number.
    """
    chosen = os.environ.get("FOUNDRY_CPU_THREADS")
    if chosen:
        if chosen.isdecimal() and int(chosen) > 0:
            return int(chosen)
        raise UsageError(f"FOUNDRY_CPU_THREADS is a number of threads, not '{chosen}'")
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def launch_limit_s() -> float:
    """How long a launch may go on without a finished threadgroup: `FOUNDRY_LAUNCH_LIMIT_S`.

    A Mac ends a command buffer after some seconds; a threadgroup takes longer here than there.

    Raises:
        UsageError: when the setting is no number above 0.
    """
    chosen = os.environ.get("FOUNDRY_LAUNCH_LIMIT_S")
    if not chosen:
        return _LAUNCH_LIMIT_S
    try:
        limit_s = float(chosen)
    except ValueError:
        limit_s = 0.0
    if not 0 < limit_s < math.inf:
        raise UsageError(f"FOUNDRY_LAUNCH_LIMIT_S is a number of seconds, not '{chosen}'")
    return limit_s


class LoadedKernel:
    """A compiled kernel in memory.

    Args:
        path: The shared object.
        runtime: The runtime it was linked against.
        red_zone_bytes: Unused memory around threadgroup storages.
    """

    def __init__(self, path: Path, runtime: ctypes.CDLL, red_zone_bytes: int = 0) -> None:
        self.runtime = runtime
        self._handle = ctypes.CDLL(str(path))
        # A search loads more kernels than a process may map, so they leave with their last user.
        weakref.finalize(self, _ctypes.dlclose, self._handle._handle).atexit = False
        self.mode: int = ctypes.c_uint32.in_dll(self._handle, "mf_mode").value
        self.offsets = (ctypes.c_uint32 * STORAGES)()
        self.storages: dict[int, range] = {}
        """Bytes of threadgroup memory by number of the declaration."""
        self.item_bytes: dict[int, int] = {}
        """Bytes of an element of a threadgroup array, by number of the declaration."""
        self.smallest_alignment = 16
        """Of a declaration in threadgroup memory, in bytes."""
        self._red_zone_bytes = red_zone_bytes
        self._owner: LoadedKernel | None = None
        """Who closes the shared object when nobody uses it any more."""
        if self.mode == _FIBRES:
            self._lay_out({})

    def entry(self, name: str) -> int | None:
        """Address of an entry function."""
        return ctypes.cast(getattr(self._handle, name), ctypes.c_void_p).value

    @property
    def storage_bytes(self) -> int:
        """Threadgroup memory the kernel asks for."""
        return max((place.stop for place in self.storages.values()), default=0)

    @property
    def handle(self) -> ctypes.CDLL:
        """The loaded shared object."""
        return self._handle

    def with_arguments(self, sizes: Mapping[int, int]) -> LoadedKernel:
        """The same kernel with memory for its threadgroup arguments: bytes by number."""
        if not sizes:
            return self
        other = copy.copy(self)
        other.offsets = (ctypes.c_uint32 * STORAGES)()
        other.storages = {}
        other._lay_out(sizes)
        other._owner = self
        return other

    def _lay_out(self, arguments: Mapping[int, int]) -> None:
        """Place the kernel's threadgroup storages one behind the other."""
        count = ctypes.c_uint32()
        table = self._handle.mf_storages
        table.restype = ctypes.POINTER(_StorageEntry)
        entries = table(ctypes.byref(count))[: count.value]
        sizes: dict[int, tuple[int, int]] = {}
        for entry in entries:
            size, alignment = sizes.get(entry.id, (arguments.get(entry.id, 0), 16))
            self.item_bytes[entry.id] = entry.item
            self.smallest_alignment = min(self.smallest_alignment, entry.alignment)
            sizes[entry.id] = max(size, entry.size), max(alignment, entry.alignment)
        end = 0
        for number, (size, alignment) in sorted(sizes.items()):
            start = -(-(end + self._red_zone_bytes) // alignment) * alignment
            self.offsets[number] = start
            self.storages[number] = range(start, start + size)
            end = start + size


class Launcher:
    """A kernel bound to sizes and buffers; `run` executes it once.

    Args:
        library: The loaded kernel.
        grid: Threads per axis.
        threadgroup: Threads per axis of a threadgroup, clamped to the grid as MLX does.
        buffers: Addresses in the order of the kernel's buffer indices; the caller keeps the
            memory alive.
        strict: Whether a barrier that threads miss because they returned is a failure; a GPU
            lets the others pass.
    """

    def __init__(
        self,
        library: LoadedKernel,
        grid: Size3,
        threadgroup: Size3,
        buffers: Sequence[int],
        strict: bool = True,
    ) -> None:
        self._library = library
        self._buffers = (ctypes.c_void_p * len(buffers))(*buffers)
        group = tuple(min(t, g) for t, g in zip(threadgroup, grid, strict=True))
        self._launch = launch = _Launch()
        launch.buffers = ctypes.addressof(self._buffers)
        launch.storage_offset = ctypes.addressof(library.offsets)
        launch.storage_bytes = library.storage_bytes
        launch.strict = int(strict)
        launch.span, launch.stride = min(_SPAN, grid[0]), 1
        self._empty = min(grid) <= 0
        if self._empty:
            return
        groups = tuple(-(-g // t) for g, t in zip(grid, group, strict=True))
        launch.grid, launch.group, launch.groups = _Three(*grid), _Three(*group), _Three(*groups)
        launch.items = math.prod(groups)
        if library.mode == _FLAT:
            launch.items = self._spans()
        if library.mode == _FIBRES:
            launch.run_thread = library.entry("mf_run_thread")
        else:
            launch.run_items = library.entry("mf_run_items")
        self._address = ctypes.addressof(launch)
        self._run = library.runtime.mf_launch

    @property
    def address(self) -> int:
        """Of the launch, as the runtime's own functions take it."""
        return self._address

    @property
    def items(self) -> int:
        """Units of work: threadgroups, where threads are fibres."""
        return int(self._launch.items)

    def run(self, threads: int, limit_s: float = 0.0) -> None:
        """Run all threads of the grid on up to `threads` cores and wait for them.

        Args:
            threads: How many cores.
            limit_s: How long it may go on without a finished threadgroup; 0: for ever.

        Raises:
            LaunchFailed: when a barrier is not reached by all threads of a threadgroup.
            LaunchEnded: when it touched an address that is nobody's, ran out of stack, or came to
                the limit.
        """
        if self._empty:
            return
        self._launch.limit_ns = int(limit_s * 1e9)
        if not self._run(self._address, threads):
            return
        failure = self._launch.failure
        if failure.kind in _ENDINGS:
            raise LaunchEnded(Ending(failure.kind), limit_s)
        raise LaunchFailed(_sentence(failure))

    def run_in(self, order: int, threads: int) -> None:
        """As `run`, with the threadgroups begun in another order.

        A GPU promises none, and a kernel must not ask for one.

        Args:
            order: 1 is from the last to the first; every other number shuffles in its own way.
            threads: How many cores.

        Raises:
            LaunchFailed: As `run`.
        """
        if self._empty:
            return
        launch = self._launch
        usual = launch.span, launch.items
        if self._library.mode == _FLAT:
            launch.span = min(_SHORT_SPAN, launch.span)
            launch.items = self._spans()
        launch.first, launch.stride = _steps(order, launch.items)
        try:
            self.run(threads)
        finally:
            launch.first, launch.stride = 0, 1
            launch.span, launch.items = usual

    def _spans(self) -> int:
        """Items of a kernel without synchronisation."""
        width, height, depth = self._launch.grid
        return -(-int(width) // int(self._launch.span)) * int(height) * int(depth)


def _steps(order: int, items: int) -> tuple[int, int]:
    """The first of so many items, and the step to the next, which meets every item once."""
    if order == 1:
        return items - 1, max(1, items - 1)
    stride = max(1, int(items * math.modf(order * _GOLDEN)[0]))
    while math.gcd(stride, items) != 1:
        stride += 1
    return stride // 2, stride


class Ending(enum.IntEnum):
    """Why a launch was ended; numbers as in `prelude/runtime/guard.h`."""

    WILD_ADDRESS = 6
    OUT_OF_STACK = 7
    ENDLESS = 8
    TRAPPED = 9


_ENDINGS = {
    Ending.WILD_ADDRESS: "it touches memory that belongs to no array",
    Ending.OUT_OF_STACK: "a thread uses more stack than there is",
    Ending.ENDLESS: "it has run for {limit_s:g} s without finishing a threadgroup",
    Ending.TRAPPED: "it reaches code that must not be reached, as the end of a function that owes"
    " a value",
}


class LaunchEnded(LaunchFailed):
    """A launch that was ended from outside, wherever its threads were."""

    def __init__(self, ending: Ending, limit_s: float) -> None:
        super().__init__(_ENDINGS[ending].format(limit_s=limit_s))
        self.ending = ending


def _sentence(failure: _Failure) -> str:
    group = tuple(failure.group)
    if failure.kind == 1:
        return (
            f"threadgroup_barrier is reached by {failure.arrived} of {failure.threads} threads of"
            f" threadgroup {group}: the others have returned"
        )
    if failure.kind == 2:
        return (
            f"threads of threadgroup {group} wait at different barriers: {failure.arrived} of"
            f" {failure.threads} at the first"
        )
    return "there is no memory for the threads of a threadgroup"
