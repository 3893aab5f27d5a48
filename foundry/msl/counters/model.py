"""What was counted: plain data, in the units of an instruction of one SIMD-group.

A GPU's memory serves a SIMD-group, not a thread. An access that 32 lanes make at one place of the
program is one instruction; it costs as many *transactions* as there are

* lines of 128 bytes that its lanes touch, in device memory: what 32 lanes that read neighbouring
  floats need. Apple publishes no line size of its GPUs; 128 bytes is that of Apple's processors and
  memory system, and independent measurements on GPUs range from 32 to 128, so the count is a
  model's: right for comparing kernels, not for predicting cycles;
* words of 4 bytes that lie in the fullest of 32 banks, in threadgroup memory; lanes that read one
  word share it. Apple publishes no number of banks either.

The `constant` address space (shapes, strides, arrays of fewer than 8 elements) has a path of its
own on a GPU: it is counted, and left out of the totals of device memory.

*Ideal* is what the same bytes would take, each counted once, if they lay side by side. Coalescing
is ideal over actual: 1 is best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

LINE_BYTES = 128
BANKS = 32
WORD_BYTES = 4
DEVICE, CONSTANT, THREADGROUP = "device", "constant", "threadgroup"
LOAD, STORE, ATOMIC = "load", "store", "atomic"


@dataclass(frozen=True)
class Traffic:
    """What SIMD-groups did to an array, in one way."""

    instructions: int = 0
    """Executions by a SIMD-group, by all or some of its lanes."""
    accesses: int = 0
    """Executions by a lane."""
    bytes: int = 0
    """Summed over lanes."""
    transactions: int = 0
    """Lines of device memory, or passes over the banks of threadgroup memory."""
    ideal_transactions: int = 0
    worst_transactions: int = 0
    """Most of one instruction. Of an atomic one: the most lanes at one address."""

    @property
    def coalescing(self) -> float | None:
        """Ideal transactions over actual ones; None without any."""
        return self.ideal_transactions / self.transactions if self.transactions else None

    @property
    def per_instruction(self) -> float | None:
        """Transactions of an instruction on average: the degree of bank conflicts, for banks."""
        return self.transactions / self.instructions if self.instructions else None

    @property
    def ideal_per_instruction(self) -> float | None:
        """The same had the bytes lain side by side."""
        return self.ideal_transactions / self.instructions if self.instructions else None

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.instructions + other.instructions,
            self.accesses + other.accesses,
            self.bytes + other.bytes,
            self.transactions + other.transactions,
            self.ideal_transactions + other.ideal_transactions,
            max(self.worst_transactions, other.worst_transactions),
        )

    def scaled(self, factor: float) -> Traffic:
        """An estimate for more threadgroups; the worst instruction stays what was seen."""
        grown = {f.name: round(getattr(self, f.name) * factor) for f in fields(self)}
        return Traffic(**grown | {"worst_transactions": self.worst_transactions})


@dataclass(frozen=True)
class LineCount:
    """What one line of the kernel does to one array."""

    launch: int
    """Which launch of the kernel, from 0."""
    part: str
    """`header` or `source`; empty where the line is not known."""
    line: int
    """In that part, from 1; 0 where it is not known."""
    text: str
    array: str
    space: str
    """`device`, `constant` or `threadgroup`."""
    access: str
    """`load`, `store` or `atomic`."""
    traffic: Traffic

    @property
    def sentence(self) -> str:
        """What it costs and what it could cost, fit for a prompt; without the line."""
        traffic, verb = self.traffic, self.access
        actual, ideal = traffic.per_instruction or 0.0, traffic.ideal_per_instruction or 0.0
        what = f"{verb} of {self.array}"
        if self.access == ATOMIC:
            lanes = traffic.worst_transactions
            contended = f", up to {lanes} lanes at one address" if lanes > 1 else ""
            return f"{_number(actual)} transactions per SIMD-group {what}{contended}"
        unit = "bank pass" if self.space == THREADGROUP else "transaction"
        plural = unit + ("es" if unit.endswith("s") else "s") * (_number(actual) != "1")
        said = f"{_number(actual)} {plural} per SIMD-group {what}"
        if actual > ideal * 1.005:
            said += f" where {_number(ideal)} would do"
        return said


@dataclass(frozen=True)
class ArrayCount:
    """What one launch does to one array."""

    name: str
    space: str
    size_bytes: int
    loads: Traffic = Traffic()
    stores: Traffic = Traffic()
    atomics: Traffic = Traffic()

    @property
    def read_factor(self) -> float | None:
        """Bytes that lanes loaded over the array's size: 1 is every byte once."""
        return self.loads.bytes / self.size_bytes if self.size_bytes else None

    @property
    def traffic(self) -> Traffic:
        """Loads, stores and atomics together."""
        return self.loads + self.stores + self.atomics

    def __add__(self, other: ArrayCount) -> ArrayCount:
        return replace(
            self,
            loads=self.loads + other.loads,
            stores=self.stores + other.stores,
            atomics=self.atomics + other.atomics,
        )


@dataclass(frozen=True)
class LaunchCount:
    """What one launch does."""

    launch: int
    threadgroups: int
    counted_threadgroups: int
    """Fewer than there are: everything else is scaled up, an estimate."""
    threads: int
    simdgroups: int
    barriers: int
    """Threadgroup barriers, summed over threadgroups."""
    simdgroup_barriers: int
    """Summed over SIMD-groups, as are the other collectives."""
    collectives: int
    """SIMD-group and quad-group operations: reductions, shuffles, votes, matrix products."""
    arrays: tuple[ArrayCount, ...] = ()
    lines: tuple[LineCount, ...] = ()
    """Those with most transactions first."""

    @property
    def is_estimate(self) -> bool:
        """Whether some threadgroups stand for all."""
        return self.counted_threadgroups < self.threadgroups


@dataclass(frozen=True)
class Counters:
    """What the SIMD-groups of a program did, launch by launch."""

    launches: tuple[LaunchCount, ...] = ()

    @property
    def is_estimate(self) -> bool:
        """Whether some threadgroups stand for all."""
        return any(launch.is_estimate for launch in self.launches)

    @property
    def barriers(self) -> int:
        """Threadgroup barriers, summed over threadgroups."""
        return sum(launch.barriers for launch in self.launches)

    @property
    def simdgroup_barriers(self) -> int:
        """SIMD-group barriers, summed over SIMD-groups."""
        return sum(launch.simdgroup_barriers for launch in self.launches)

    @property
    def collectives(self) -> int:
        """SIMD-group operations, summed over SIMD-groups."""
        return sum(launch.collectives for launch in self.launches)

    @property
    def atomics(self) -> int:
        """Atomic operations, summed over threads."""
        return sum(array.atomics.accesses for array in self.arrays)

    @property
    def arrays(self) -> tuple[ArrayCount, ...]:
        """Every array over all launches: device memory, constants, threadgroup memory."""
        found: dict[tuple[str, str], ArrayCount] = {}
        for array in (array for launch in self.launches for array in launch.arrays):
            key = (array.space, array.name)
            found[key] = found[key] + array if key in found else array
        order = (DEVICE, CONSTANT, THREADGROUP)
        return tuple(sorted(found.values(), key=lambda array: order.index(array.space)))

    def array(self, name: str) -> ArrayCount:
        """One array over all launches.

        Raises:
            KeyError: No launch has an array of this name.
        """
        for found in self.arrays:
            if found.name == name:
                return found
        raise KeyError(name)

    @property
    def loads(self) -> Traffic:
        """Loads from device memory."""
        return _total(array.loads for array in self.arrays if array.space == DEVICE)

    @property
    def stores(self) -> Traffic:
        """Stores to device memory."""
        return _total(array.stores for array in self.arrays if array.space == DEVICE)

    @property
    def threadgroup(self) -> Traffic:
        """Loads and stores of threadgroup memory."""
        shared = (array for array in self.arrays if array.space == THREADGROUP)
        return _total(array.loads + array.stores for array in shared)

    @property
    def moved_bytes(self) -> int:
        """Bytes that lanes load from and store to device memory, atomics both ways."""
        atomics = _total(array.atomics for array in self.arrays if array.space == DEVICE)
        return self.loads.bytes + self.stores.bytes + 2 * atomics.bytes

    @property
    def line_bytes(self) -> int:
        """Bytes of the lines of device memory that SIMD-groups touch."""
        device = _total(array.traffic for array in self.arrays if array.space == DEVICE)
        return LINE_BYTES * device.transactions

    def hottest(self, count: int = 3, space: str = DEVICE) -> tuple[LineCount, ...]:
        """The lines with most transactions in a memory."""
        found = [line for launch in self.launches for line in launch.lines if line.space == space]
        return tuple(sorted(found, key=lambda line: -line.traffic.transactions)[:count])

    def document(self) -> dict[str, Any]:
        """As JSON values; `counters_from` reads them."""
        return asdict(self)


def counters_from(document: Mapping[str, Any]) -> Counters:
    """The inverse of `Counters.document`.

    Raises:
        KeyError, TypeError, ValueError: The document is none.
    """
    return Counters(tuple(_launch(launch) for launch in document["launches"]))


def _launch(value: Mapping[str, Any]) -> LaunchCount:
    whole = {f.name: int(value[f.name]) for f in fields(LaunchCount)[:-2]}
    arrays = tuple(_array(array) for array in value["arrays"])
    return LaunchCount(**whole, arrays=arrays, lines=tuple(_line(v) for v in value["lines"]))


def _array(value: Mapping[str, Any]) -> ArrayCount:
    traffic = {name: _traffic(value[name]) for name in ("loads", "stores", "atomics")}
    return ArrayCount(str(value["name"]), str(value["space"]), int(value["size_bytes"]), **traffic)


def _line(value: Mapping[str, Any]) -> LineCount:
    words = {name: str(value[name]) for name in ("part", "text", "array", "space", "access")}
    return LineCount(
        launch=int(value["launch"]),
        line=int(value["line"]),
        traffic=_traffic(value["traffic"]),
        **words,
    )


def _traffic(value: Mapping[str, Any]) -> Traffic:
    return Traffic(**{f.name: int(value[f.name]) for f in fields(Traffic)})


def _total(traffic: Iterable[Traffic]) -> Traffic:
    return sum(traffic, Traffic())


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
