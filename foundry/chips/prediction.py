"""What the chip model says of a kernel: a time, how sure it is, what bounds it, what would move it.

A prediction is no measurement: it ranks and explains, and it abstains where two kernels are too
near each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from foundry.chips.chip import Chip
from foundry.chips.costs import CYCLES
from foundry.chips.fitted import Fitted
from foundry.chips.model import LINE_BYTES, Terms, predict
from foundry.chips.speeds import Speeds, speeds
from foundry.errors import UsageError
from foundry.msl.gpu.profile import GpuProfile, LaunchProfile
from foundry.report.format import latency

_SAME = 1.02
"""Times on two inputs that differ by less are one."""
_ONCE = 1.25
"""Touches of a line, at most, that are about one."""
_SURE = 1.28
"""Standard deviations to either side: four times of five."""
_ASSUMED = {
    "clock_mhz": ("arithmetic", "the clock follows from cores and TFLOPS"),
    "dram_measured_gb_s": ("memory", "memory bandwidth is that of the specification"),
    "slc_gb_s": ("memory", "the system's cache is taken to be twice as fast as memory"),
    "l2_gb_s": ("l2", "the second-level cache is taken to give 32 bytes a cycle and core"),
    "l2_kib": ("l2", "the second-level cache is taken to hold 64 KiB a core"),
    "slc_mib": ("memory", "the system's cache is taken to hold 8 MiB"),
    "register_bytes_per_core": ("waiting", "registers are taken to be as many as those of an M1"),
    "slc_latency_ns": ("waiting", "latencies are taken from other chips"),
}
"""By figure that nobody published: the unit that needs it, and what stands in for it."""
_NEEDED = {
    "arithmetic": "the clock of its cores",
    "cache": "the clock of its cores",
    "threadgroup": "the clock of its cores",
    "l2": "the bandwidth of its second-level cache",
    "memory": "its memory bandwidth",
    "waiting": "the number of its cores",
}
"""By unit, what must be known of a chip."""


@dataclass(frozen=True)
class Prediction:
    """Of one program on one chip."""

    chip: str
    us: float
    low_us: float
    high_us: float
    """Four times of five it lies between these, where the model holds."""
    launches: tuple[Terms, ...]
    bound: str
    sentences: tuple[str, ...]
    """What bounds it, and what would move it."""
    assumed: tuple[str, ...]
    """What is not published of this chip, and what stands in for it."""
    left_out: tuple[str, ...] = ()
    """Units whose time is not in it: nobody published what it takes."""
    drawn_us: tuple[float, ...] = ()
    """Where it depends on the inputs: on each that was drawn, shortest first."""

    def document(self) -> dict[str, Any]:
        """As plain data: never a measurement."""
        return {
            "kind": "prediction",
            "chip": self.chip,
            "predicted_us": self.us,
            "low_us": self.low_us,
            "high_us": self.high_us,
            "bound": self.bound,
            "launches": [
                {
                    "resident_threadgroups": terms.resident,
                    "us": terms.total_s * 1e6,
                    "by_unit_us": {name: s * 1e6 for name, s in terms.by_unit.items()},
                }
                for terms in self.launches
            ],
            "sentences": list(self.sentences),
            "assumed": list(self.assumed),
            "left_out": list(self.left_out),
            **({"drawn_us": list(self.drawn_us)} if self.drawn_us else {}),
        }


def predicted_on(profile: GpuProfile, chip: Chip, fitted: Fitted) -> Prediction:
    """Predict a program's time on a chip.

    Raises:
        UsageError: Neither a core's clock nor the bandwidth of memory is known of the chip.
    """
    known = _known(chip)
    family = fitted.family(known.is_dynamic)
    launches = predict(profile, known, family.constants)
    us = sum(terms.total_s for terms in launches) * 1e6
    wide = math.exp(_SURE * family.spread)
    sentences: tuple[str, ...] = ("it has no threads: nothing to do",)
    bound = "nothing"
    if launches:
        longest = max(range(len(launches)), key=lambda n: launches[n].total_s)
        bound = launches[longest].bound
        sentences = _sentences(profile.launches[longest], launches[longest], known)
    return Prediction(
        chip.key,
        us,
        us / wide,
        us * wide,
        launches,
        bound,
        (*sentences, *_left_out(known)),
        _assumed(chip, known),
        known.left_out,
    )


def predicted_over(profiles: Sequence[GpuProfile], chip: Chip, fitted: Fitted) -> Prediction:
    """Predict a program's time on a chip from what it does on several inputs: the middle of them.

    The interval holds those of all; where they differ, that is said.

    Args:
        profiles: One for each input that was drawn, at least one.
        chip: The chip.
        fitted: A fit.

    Raises:
        UsageError: As `predicted_on`.
    """
    found = sorted((predicted_on(one, chip, fitted) for one in profiles), key=lambda p: p.us)
    middle, least, most = found[len(found) // 2], found[0], found[-1]
    if most.us <= _SAME * least.us:
        return middle
    said = (
        f"it depends on the inputs: {latency(least.us)} to {latency(most.us)} us over the"
        f" {len(found)} that were drawn"
    )
    return replace(
        middle,
        low_us=min(one.low_us for one in found),
        high_us=max(one.high_us for one in found),
        sentences=(*middle.sentences, said),
        drawn_us=tuple(one.us for one in found),
    )


def predictable(chip: Chip) -> Chip:
    """A chip of which enough is known.

    Raises:
        UsageError: Neither a core's clock nor the bandwidth of memory is known.
    """
    _known(chip)
    return chip


def _known(chip: Chip) -> Speeds:
    found = speeds(chip)
    if found is None:
        raise UsageError(
            f"nothing can be predicted for '{chip.key}': neither the clock of its cores nor its"
            " memory bandwidth is known; give one in a file of your own (docs/chips.md)"
        )
    return found


def tells_apart(one_us: float, other_us: float, fitted: Fitted) -> bool:
    """Whether the model ranks two kernels at all."""
    return max(one_us, other_us) > fitted.apart * min(one_us, other_us)


def _assumed(chip: Chip, known: Speeds) -> tuple[str, ...]:
    return tuple(
        said
        for name, (unit, said) in _ASSUMED.items()
        if name in chip.unknown and unit not in known.left_out
    )


def _left_out(known: Speeds) -> tuple[str, ...]:
    if not known.left_out:
        return ()
    wanted = ", ".join(dict.fromkeys(_NEEDED[unit] for unit in known.left_out))
    units = ", ".join(_NAMES[unit] for unit in known.left_out)
    return (f"left out is what nobody published ({wanted}): {units}: it may take longer",)


def _sentences(launch: LaunchProfile, terms: Terms, chip: Speeds) -> tuple[str, ...]:
    first, *others = sorted(terms.by_unit, key=lambda unit: -terms.by_unit[unit])
    said = [_BOUND[first](launch, terms)]
    for second in others[:1]:
        share = terms.by_unit[second] / terms.by_unit[first] if terms.by_unit[first] else 0.0
        said.append(
            f"next is {_NAMES[second]}, at {share:.0%} of that: more cannot be won here alone"
        )
    if math.isfinite(chip.cores) and launch.threadgroups < 2 * chip.cores:
        said.append(
            f"{launch.threadgroups} threadgroups on {chip.cores:g} cores: smaller ones would spread"
            " the work"
        )
    if launch.scratch_bytes:
        said.append(
            f"each thread keeps {launch.scratch_bytes} bytes in memory that do not fit into its"
            " registers, or that it indexes: fewer values a thread"
        )
    return tuple(said)


def _arithmetic(launch: LaunchProfile, _: Terms) -> str:
    costs = {kind: CYCLES.get(kind, 0.0) * count for kind, count in launch.work.items()}
    total = sum(costs.values()) or 1.0
    most = sorted(costs, key=lambda kind: -costs[kind])[:3]
    listed = ", ".join(f"{kind} {costs[kind] / total:.0%}" for kind in most)
    return f"bound by instructions ({listed}): fewer of the dearest would move it"


def _cache(launch: LaunchProfile, _: Terms) -> str:
    taken = [r for r in (*launch.loads, *launch.stores) if r.instructions]
    each = sum(r.sectors for r in taken) / max(sum(r.instructions for r in taken), 1.0)
    return (
        f"bound by the cores' caches: an access of a SIMD-group touches {each:.1f} pieces of 32"
        " bytes (4 where 32 lanes read neighbouring floats): neighbours for neighbouring lanes,"
        " or values kept in registers, would move it"
    )


def _threadgroup(launch: LaunchProfile, _: Terms) -> str:
    shared = launch.shared
    each = shared.passes / max(shared.instructions, 1.0)
    return (
        f"bound by threadgroup memory: {each:.1f} passes over its banks an access: more work a"
        " thread for each value read, or padding against conflicts, would move it"
    )


def _memory(launch: LaunchProfile, _: Terms) -> str:
    bytes_ = sum(r.size_lines for r in (*launch.loads, *launch.stores) if r.touches) * LINE_BYTES
    return (
        f"bound by memory: the arrays hold {bytes_ / 1e6:,.1f} MB; reading them once, or in fewer"
        " bytes, is all that would move it"
    )


def _near(launch: LaunchProfile, _: Terms) -> str:
    taken = [r for r in (*launch.loads, *launch.stores) if r.touches]
    touches = sum(r.touches for r in taken)
    if launch.atomics > touches:
        return (
            f"bound by the second-level cache: {launch.atomics:,.0f} atomic operations of lanes are"
            " done there: sums of a SIMD-group or threadgroup first would move it"
        )
    if touches <= _ONCE * sum(r.size_lines for r in taken):
        return (
            "bound by the second-level cache, where the arrays lie: each line is touched about"
            " once, so only fewer bytes would move it"
        )
    return "bound by the second-level cache: tiles that are used more often would move it"


def _waiting(launch: LaunchProfile, terms: Terms) -> str:
    held = terms.resident * math.ceil(launch.threads / 32)
    return (
        f"bound by waiting: {held} SIMD-groups a core at most ({launch.registers} registers a"
        f" thread, {launch.threadgroup_bytes} bytes a threadgroup) do not cover the latency: more"
        " of them, or several loads before the first use, would move it"
    )


_BOUND = {
    "arithmetic": _arithmetic,
    "cache": _cache,
    "threadgroup": _threadgroup,
    "l2": _near,
    "memory": _memory,
    "waiting": _waiting,
}
_NAMES = {
    "arithmetic": "arithmetic",
    "cache": "the cores' caches",
    "threadgroup": "threadgroup memory",
    "l2": "the second-level cache",
    "memory": "memory",
    "waiting": "waiting",
}
