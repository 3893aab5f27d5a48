"""One launch of a program, set up in the arena and run under the hooks."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from foundry.errors import LaunchFailed
from foundry.msl.run.builder import Text
from foundry.msl.run.memory import argument_buffers
from foundry.msl.run.runtime import Launcher, LoadedKernel
from foundry.msl.sanitizer import native, wording
from foundry.msl.sanitizer.arena import Arena
from foundry.msl.sanitizer.checks.lines import LineTable
from foundry.msl.sanitizer.checks.toolchain import sanitized_builder
from foundry.msl.sanitizer.findings import Finding
from foundry.msl.sanitizer.watchdog import Watchdog
from foundry.program import Launch, TensorSpec

THREADGROUP_BYTES = 1 << 20
_WATCHDOG = Watchdog()
_QUICK_LIMIT_S = 0.5


@dataclass(eq=False)
class ArraySlot:
    """An array of the program, and what is known of its bytes."""

    spec: TensorSpec
    array: NDArray[Any]
    slot: int
    is_new: bool = False
    """Whether an output starts with nothing set."""
    unset: native.Unset | None = None
    """Of an output whose launch is over, when some of it is not set."""
    granule: int = 0
    born: int = 0
    """For such an output, as in `native.Region`."""


@dataclass(frozen=True)
class RuntimeState:
    """What the sanitizer's runtime shares with Python."""

    runtime: ctypes.CDLL
    state: native.SanitizerState
    hot: native.Hot


@functools.cache
def state_of(runtime: ctypes.CDLL) -> RuntimeState:
    """The state of a loaded runtime."""
    runtime.mf_sanitizer_state.restype = ctypes.POINTER(native.SanitizerState)
    runtime.mf_sanitizer_unset.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p]
    runtime.mf_sanitizer_unset.restype = None
    state: native.SanitizerState = runtime.mf_sanitizer_state().contents
    return RuntimeState(runtime, state, native.Hot.in_dll(runtime, "mf_hot"))


class Launched:
    """A launch in the arena.

    Args:
        launch: The launch.
        number: Which of the program's, from 0.
        text: What its kernel was built from.
        library: The kernel, built with checks.
        arena: Memory for what the kernel takes beside the program's arrays.
        slots: The program's arrays by name, the launch's outputs among them.
    """

    def __init__(
        self,
        launch: Launch,
        number: int,
        text: Text,
        library: LoadedKernel,
        arena: Arena,
        slots: Mapping[str, ArraySlot],
    ) -> None:
        self._launch, self._number, self._library = launch, number, library
        self._text = text
        self._captured = captured = text.captured
        self.run_s = 0.0
        self._outputs = [slots[spec.name] for spec in launch.outputs]
        inputs = [slots[name] for name in launch.inputs]
        arrays = [s.array for s in inputs], [s.array for s in self._outputs]
        _, kept = argument_buffers(*arrays, captured)
        known = {id(s.array): s for s in (*inputs, *self._outputs)}
        labels = wording.argument_names(launch, captured)
        self._places: dict[int, tuple[str, ArraySlot]] = {}
        self._buffers: list[ArraySlot] = []
        addresses = []
        for label, array in zip(labels, kept, strict=True):
            slot = known.get(id(array)) or _argument(arena, label, array)
            self._places[slot.slot] = (label, slot)
            self._buffers.append(slot)
            addresses.append(arena.address(slot.slot))
        self._shared, _ = arena.take(THREADGROUP_BYTES)
        self._arena = arena
        self._launcher = Launcher(library, captured.grid, captured.threadgroup, addresses)

    def run(self, time_limit_s: float) -> tuple[list[Finding], bool]:
        """Findings, and whether the launch was cut short."""
        runtime = state_of(self._library.runtime)
        state = runtime.state
        self._fill(runtime)
        stopped = not self._launch_under(runtime.runtime, time_limit_s)
        for slot in self._outputs:
            self._look_back(runtime.runtime, slot)
        return self._findings(state), stopped

    def is_surely_right(self, time_limit_s: float) -> bool:
        """Run a kernel with the quick checks; False: it is to be looked at closely."""
        runtime = state_of(self._library.runtime)
        arrays = native.QuickArrays.in_dll(runtime.runtime, "mf_quick")
        items = native.QuickItems.in_dll(self._library.handle, "mf_quick_items")
        marks = []
        for array, slot, item in zip(arrays, self._buffers, items, strict=False):
            array.size, array.seen = slot.array.nbytes, None
            if not item and slot.is_new and slot.array.nbytes and slot in self._outputs:
                return False
            if item:
                count, rest = divmod(slot.array.nbytes, item)
                number, seen = self._arena.take(count)
                if rest or slot not in self._outputs:
                    return False
                seen.fill(0)
                array.seen = self._arena.address(number)
                if slot.is_new:
                    marks.append(seen)
        doubts = ctypes.c_uint32.in_dll(runtime.runtime, "mf_doubts")
        doubts.value = 0
        runtime.hot.regions = runtime.hot.arena_bytes = 0
        runtime.state.threadgroup_memory = self._arena.address(self._shared)
        runtime.state.found = runtime.state.beyond = 0
        if not self._launch_under(runtime.runtime, min(time_limit_s, _QUICK_LIMIT_S)):
            return False
        return not doubts.value and all(bool(seen.all()) for seen in marks)

    def unwritten(self, wanted: Sequence[str]) -> list[Finding]:
        """The outputs of the program that this launch writes in part or not at all."""
        missing = [(s, s.unset) for s in self._outputs if s.unset and s.spec.name in wanted]
        if not missing:
            return []
        context = self._context(state_of(self._library.runtime).state)
        return [wording.unwritten(s.spec.name, s.array, unset, context) for s, unset in missing]

    def _launch_under(self, runtime: ctypes.CDLL, time_limit_s: float) -> bool:
        """Run under a time limit; whether it came to its end."""
        with _checked(runtime, time_limit_s):
            start_s = time.perf_counter()
            try:
                self._launcher.run(1)
            except LaunchFailed:
                return False
            finally:
                self.run_s = time.perf_counter() - start_s
        return True

    def _findings(self, state: native.SanitizerState) -> list[Finding]:
        if not state.found:
            return []
        context = self._context(state)
        found = [wording.finding(raw, context) for raw in state.findings[: state.found]]
        return wording.root_causes(found)

    def _look_back(self, runtime: ctypes.CDLL, slot: ArraySlot) -> None:
        """Keep what a later launch, or the report, must know of an output."""
        if not slot.is_new:
            return
        region = self._regions[slot.slot]
        unset = native.Unset()
        runtime.mf_sanitizer_unset(
            ctypes.addressof(region), slot.array.itemsize, ctypes.addressof(unset)
        )
        slot.unset = unset if unset.count else None
        slot.granule, slot.born = region.granule, region.born

    def _context(self, state: native.SanitizerState) -> wording.LaunchContext:
        table = _lines(self._library)
        return wording.LaunchContext(
            self._launch, self._number, self._captured, self._names(), table, state.code
        )

    def _names(self) -> dict[int, wording.Named | wording.Shared]:
        named: dict[int, wording.Named | wording.Shared] = {
            slot: wording.Named(label, entry.array.itemsize, entry.array.size)
            for slot, (label, entry) in self._places.items()
        }
        unit = sanitized_builder(self._text.dialect).translate(self._text)
        names = {storage.number: ", ".join(storage.names) for storage in unit.storages}
        places = {names[number]: place for number, place in self._library.storages.items()}
        items = {names[number]: size for number, size in self._library.item_bytes.items()}
        return named | {self._shared: wording.Shared(places, items)}

    def _fill(self, runtime: RuntimeState) -> None:
        state, hot, arena = runtime.state, runtime.hot, self._arena
        # A slot that is not used has no size: every access there is out of bounds.
        self._regions = (native.Region * arena.count)()
        for slot, (_, entry) in self._places.items():
            self._fill_region(self._regions[slot], entry)
        self._fill_shared(self._regions[self._shared])
        hot.arena, hot.arena_bytes, hot.shift = arena.begin, arena.bytes, arena.shift
        hot.region, hot.regions = ctypes.addressof(self._regions), self._shared + 1
        state.threadgroup_memory, state.shared = arena.address(self._shared), self._shared
        state.storages = len(self._library.storages)
        for i, place in enumerate(self._library.storages.values()):
            state.storage_begin[i], state.storage_end[i] = place.start, place.stop
        state.code = _table_address(self._library)
        state.found = state.beyond = 0

    def _fill_region(self, region: native.Region, entry: ArraySlot) -> None:
        region.begin = region.window = self._arena.address(entry.slot)
        region.size = region.window_bytes = entry.array.nbytes
        is_output = entry.spec in self._launch.outputs
        region.is_input = not is_output
        if not is_output and entry.unset is None:
            return
        stamps = self._arena.stamps(entry.slot, entry.array.nbytes)
        region.writes = stamps.writes
        if is_output:
            region.reads = stamps.reads
            region.granule = _granule(entry.array.itemsize)
            region.is_new = entry.is_new
        else:
            region.granule, region.born = entry.granule, entry.born

    def _fill_shared(self, region: native.Region) -> None:
        region.begin = region.window = self._arena.address(self._shared)
        region.size = self._library.storage_bytes
        region.is_threadgroup = 1
        stamps = self._arena.stamps(self._shared, THREADGROUP_BYTES)
        region.writes, region.reads = stamps.writes, stamps.reads
        region.granule = _granule(self._library.smallest_alignment)


def has_quick_checks(library: LoadedKernel) -> bool:
    """Whether a library was built with the quick checks."""
    return hasattr(library.handle, "mf_quick_items")


def _granule(itemsize: int) -> int:
    return min(itemsize.bit_length() - 1, native.LARGEST_GRANULE)


def _argument(arena: Arena, label: str, array: NDArray[Any]) -> ArraySlot:
    """A shape, stride or rank buffer."""
    slot, raw = arena.take(array.nbytes)
    view = raw.view(array.dtype).reshape(array.shape)
    view[...] = array
    return ArraySlot(TensorSpec(label, array.shape, str(array.dtype)), view, slot)


def _table_address(library: LoadedKernel) -> int:
    return ctypes.addressof(ctypes.c_uint32.in_dll(library.handle, "mf_lines"))


def _lines(library: LoadedKernel) -> LineTable:
    start = _table_address(library)
    count = ctypes.c_uint32.from_address(start).value
    rows = (ctypes.c_int32 * (3 * count)).from_address(start + 4)
    triples = ((rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]) for i in range(count))
    return LineTable.of(triples)


@contextmanager
def _checked(runtime: ctypes.CDLL, time_limit_s: float) -> Iterator[None]:
    """Handlers for faults in place; at the time limit the launching thread is interrupted."""
    runtime.mf_sanitizer_begin()
    try:
        with _WATCHDOG.watch(time_limit_s):
            yield
    finally:
        runtime.mf_sanitizer_end()
