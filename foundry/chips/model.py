"""How long a launch takes on a chip: the most used of its units, or waiting. Pure.

1. `residency`: how many threadgroups a core holds at once, by threads, registers and memory.
2. `_terms`: seconds that each unit of the chip is busy, and that SIMD-groups wait for memory.
3. `launch_time`: the largest of them, with a share of the next; waiting comes on top of them where
   barriers hold up a core's only threadgroup.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from foundry.chips.constants import Constants
from foundry.chips.costs import cycles
from foundry.chips.speeds import SCHEDULERS, Speeds
from foundry.msl.gpu.profile import DEPTHS, GpuProfile, LaunchProfile, Reuse

LINE_BYTES = 128
_SECTOR_BYTES = 32
"""Line of the cores' own cache (ferasboulala/G13, M1 Max)."""
_ATOMIC_BYTES = 2 * _SECTOR_BYTES
"""The second-level cache reads and writes a sector for each lane: no published time says better."""
_CORE_SIMDGROUPS = 96
"""3072 threads a core, at most (metal-benchmarks)."""
_SHARED_S = 25e-9
"""That a SIMD-group waits for threadgroup memory or a barrier, where loads follow one another."""
_LEAST_REGISTERS, _OWN_REGISTERS = 8, 4
_CONFLICT = 0.25
"""Of a pass, for each that a conflict adds: words 16 apart, which are 16 to a bank, take 3 to 5
times as long as neighbours (M4 Pro)."""
_SHARPNESS = 2.5
"""Exponent of the norm that joins the terms: units overlap, but not wholly."""


def residency(launch: LaunchProfile, chip: Speeds) -> int:
    """Threadgroups that a core holds at once."""
    simdgroups = math.ceil(launch.threads / 32)
    bytes_each = simdgroups * 32 * 4 * _held(launch)
    pool = chip.register_bytes + (chip.threadgroup_bytes if chip.is_dynamic else 0)
    taken = bytes_each + (launch.threadgroup_bytes if chip.is_dynamic else 0)
    fitting = [_CORE_SIMDGROUPS // simdgroups, pool // taken]
    if launch.threadgroup_bytes and not chip.is_dynamic:
        fitting.append(chip.threadgroup_bytes // launch.threadgroup_bytes)
    return max(1, int(min(fitting)))


def _held(launch: LaunchProfile) -> int:
    """Registers of 32 bits that a thread holds, with those that the hardware needs itself."""
    return max(launch.registers, _LEAST_REGISTERS) + _OWN_REGISTERS


@dataclass(frozen=True)
class Terms:
    """Seconds by unit, of one launch."""

    by_unit: Mapping[str, float]
    overhead_s: float
    resident: int
    """Threadgroups that a core holds at once."""
    total_s: float

    @property
    def bound(self) -> str:
        """The unit that is busy longest."""
        return max(self.by_unit, key=lambda unit: self.by_unit[unit])


def launch_time(launch: LaunchProfile, chip: Speeds, constants: Constants) -> Terms:
    """Time of one launch."""
    resident = residency(launch, chip)
    every = _terms(launch, chip, constants, resident)
    by_unit = {unit: s for unit, s in every.items() if unit not in chip.left_out}
    norm = _together(by_unit, _covered(launch, resident))
    return Terms(by_unit, chip.launch_s, resident, norm + chip.launch_s)


def _together(by_unit: Mapping[str, float], covered: float) -> float:
    """Time of units that overlap, and of waiting that is covered as far as `covered` says."""
    busy = sum(s**_SHARPNESS for unit, s in by_unit.items() if unit != "waiting")
    both = (busy ** (1 / _SHARPNESS), by_unit.get("waiting", 0.0))
    return float(sum(s**covered for s in both) ** (1 / covered))


def _covered(launch: LaunchProfile, resident: int) -> float:
    """Exponent for waiting: behind barriers a threadgroup waits as one, and others cover it."""
    return min(_SHARPNESS, float(resident)) if launch.work.get("barrier") else _SHARPNESS


def _terms(
    launch: LaunchProfile, chip: Speeds, constants: Constants, resident: int
) -> dict[str, float]:
    groups = max(launch.threadgroups, 1)
    cores = chip.cores if math.isfinite(chip.cores) else groups
    per_core = groups / cores
    used = min(cores, groups)
    # Whole threadgroups go to a core: the busiest has the larger share.
    uneven = math.ceil(per_core) / per_core if per_core < 64 else 1.0
    core_hz = used * chip.clock_hz / (uneven * used / cores if per_core >= 1 else 1.0)
    at_once = min(resident, math.ceil(per_core))
    simdgroups = at_once * math.ceil(launch.threads / 32)
    work = dict(launch.work)
    if chip.fp16_rate > 1:
        work["fp16"] = work.get("fp16", 0.0) / chip.fp16_rate
    # A spilled register is a line of its own for the 32 lanes.
    spills = work.get("spill", 0.0) * constants.spill
    sectors = _sectors(launch) + 4 * spills
    passes = _passes(launch)
    missed, footprint, near_bytes = _misses(launch, chip, simdgroups)
    spill_bytes = launch.scratch_bytes * simdgroups * 32 * used
    near_bytes += spills * LINE_BYTES + launch.atomics * _ATOMIC_BYTES
    far_bytes, far_speed = _far(launch, chip, missed, footprint, at_once, used)
    if spill_bytes > chip.l2_bytes:
        far_bytes += spills * LINE_BYTES
    return {
        "arithmetic": constants.issue
        * cycles(work)
        / (SCHEDULERS * core_hz)
        / min(1.0, simdgroups / SCHEDULERS),
        "cache": constants.sector * sectors / core_hz,
        "threadgroup": constants.bank * passes / core_hz,
        "l2": constants.near * near_bytes / chip.l2_bytes_s,
        "memory": constants.far * far_bytes / far_speed,
        "waiting": constants.wait
        * _waiting_s(launch, chip, far_bytes > 0)
        / max(simdgroups * used, 1),
    }


def _joined(counted: float, launch: LaunchProfile, *kinds: str) -> float:
    """Accesses of the machine over those that were counted: a compiler joins neighbours."""
    made = sum(launch.work.get(kind, 0.0) for kind in kinds)
    return min(1.0, made / counted) if counted else 1.0


def _sectors(launch: LaunchProfile) -> float:
    """Sectors of the core's cache; an access that joins several touches theirs once."""
    taken = (*launch.loads, *launch.stores)
    joined = _joined(sum(r.instructions for r in taken), launch, "device_load", "device_store")
    return joined * sum(r.sectors for r in taken)


def _passes(launch: LaunchProfile) -> float:
    """Passes over the banks of threadgroup memory; an access that joins several conflicts once."""
    shared = launch.shared
    joined = _joined(shared.instructions, launch, "shared_load", "shared_store")
    least = shared.least_passes
    cost = least + _CONFLICT * (shared.passes - least)
    return max(joined * cost, min(1.0, 4 * joined) * least)


def _waiting_s(launch: LaunchProfile, chip: Speeds, is_far: bool) -> float:
    """Seconds that SIMD-groups wait, summed over them."""
    device_s = chip.slc_s if is_far else chip.l2_s
    work = launch.work
    waits = work.get("device_wait", 0.0) + work.get("spill_wait", 0.0)
    shared = work.get("shared_wait", 0.0) + work.get("barrier", 0.0)
    own_cycles = cycles(work) * 2.0
    return waits * device_s + shared * _SHARED_S + own_cycles / chip.clock_hz


def _misses(launch: LaunchProfile, chip: Speeds, simdgroups: int) -> tuple[float, float, float]:
    """Lines that come from beyond the cores' own caches, distinct lines, and bytes that come."""
    bytes_ = chip.l1_bytes
    if chip.is_dynamic:
        taken = simdgroups * 32 * 4 * (launch.registers + _OWN_REGISTERS)
        store = chip.register_bytes + chip.threadgroup_bytes + chip.l1_bytes
        bytes_ = max(chip.l1_bytes, store - taken)
    missed = footprint = near_bytes = 0.0
    for reuse in launch.loads:
        if not reuse.touches:
            continue
        lines = bytes_ / LINE_BYTES / max(simdgroups * reuse.in_step, 1)
        share = max(_missed_with(reuse, lines) * reuse.in_step, 0.0)
        least = reuse.of_threadgroup * launch.threadgroups
        lines = min(reuse.touches, max(share * reuse.touches, least))
        missed += lines
        near_bytes += lines * _bytes_of_touch(reuse)
        footprint += min(reuse.size_lines, least)
    for reuse in launch.stores:
        missed += reuse.touches
        near_bytes += reuse.sectors * _SECTOR_BYTES
        footprint += min(reuse.size_lines, reuse.of_threadgroup * launch.threadgroups)
    return missed, footprint, near_bytes


def _bytes_of_touch(reuse: Reuse) -> float:
    """Of a line, what is fetched: the sectors that are touched."""
    return _SECTOR_BYTES * reuse.sectors / reuse.touches


def _missed_with(reuse: Reuse, lines: float) -> float:
    """The share that a cache of so many lines does not hold, between those that were counted."""
    if lines <= DEPTHS[0]:
        return reuse.missed[0]
    for n in range(1, len(DEPTHS)):
        if lines <= DEPTHS[n]:
            part = math.log2(lines / DEPTHS[n - 1])
            return reuse.missed[n - 1] * (1 - part) + reuse.missed[n] * part
    return reuse.missed[-1]


def _far(
    launch: LaunchProfile, chip: Speeds, missed: float, footprint: float, at_once: int, used: float
) -> tuple[float, float]:
    """Bytes that come from beyond the second-level cache, and the speed of where they come from."""
    wave = max(at_once * used, 1.0)
    waves = max(launch.threadgroups / wave, 1.0)
    lines = 0.0
    for reuse in (*launch.loads, *launch.stores):
        if not reuse.touches:
            continue
        one = reuse.of_threadgroup + reuse.more * (wave - 1)
        one = min(reuse.size_lines, max(one, reuse.of_threadgroup))
        lines += one * waves
    if footprint * LINE_BYTES <= chip.l2_bytes:
        return 0.0, chip.slc_bytes_s
    # Threadgroups of a wave go through their loops at one pace: what they share is read once.
    in_slc = footprint * LINE_BYTES <= chip.slc_bytes
    return min(lines, missed) * LINE_BYTES, chip.slc_bytes_s if in_slc else chip.dram_bytes_s


def predict(profile: GpuProfile, chip: Speeds, constants: Constants) -> tuple[Terms, ...]:
    """Terms of each launch of a program, which run one after another."""
    return tuple(launch_time(launch, chip, constants) for launch in profile.launches)


def seconds(profile: GpuProfile, chip: Speeds, constants: Constants) -> float:
    """Predicted time of a program."""
    return sum(terms.total_s for terms in predict(profile, chip, constants))
