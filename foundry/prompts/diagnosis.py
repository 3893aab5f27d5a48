"""One paragraph on a kernel: what bounds it, and what would move it. Pure.

It speaks of the timed workload that is furthest from its floor. Counts come from a modelled GPU:
on a processor only what holds there too is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foundry.judge.verdict import Evaluation, Timing
from foundry.program import Device
from foundry.prompts import devices
from foundry.prompts.causes import Cause, Summary, causes, idle
from foundry.report import counters
from foundry.report.format import latency

MAX_CAUSES = 3
_AT_FLOOR = 1.2
_CURES = {
    "memory": "fewer bytes: each element loaded once, no second pass, no array in between",
    "compute": "fewer or cheaper operations, and more of them independent of one another",
}


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a kernel that passed."""

    text: str
    """The paragraph; empty where nothing was timed or counted."""
    costly: tuple[str, ...] = ()
    """Foci of what costs most, the worst first."""
    idle: tuple[str, ...] = ()
    """Foci that have nothing to give."""


def diagnose(evaluation: Evaluation, device: Device) -> Diagnosis:
    """What bounds a kernel on a device."""
    found = counters.counters_of(evaluation)
    timing = _furthest([t for t in evaluation.timings if t.workload in found or not found])
    workload = timing.workload if timing else next(reversed(found), None)
    summary = found.get(workload or "")
    if workload is None:
        return Diagnosis("")
    costs = causes(summary, device.kind, devices.cores(device)) if summary else ()
    bounded = _bounded(timing, device) if timing else ""
    said = [f"{workload}:", bounded, *_told(costs, summary, device, _kind(timing, device))]
    return Diagnosis(
        " ".join(filter(None, said)),
        tuple(cause.focus for cause in costs),
        tuple(idle(summary)) if summary else (),
    )


def _furthest(timings: Sequence[Timing]) -> Timing | None:
    """The timing with most to win."""

    def above_floor(timing: Timing) -> float:
        return timing.kernel_us / timing.floor_us if timing.floor_us else 1.0

    return max(timings, key=above_floor, default=None)


def _kind(timing: Timing | None, device: Device) -> str:
    """`memory` or `compute`; empty where the work is not known."""
    if timing is None or not timing.bytes_moved:
        return ""
    return "memory" if timing.flops / timing.bytes_moved < devices.ridge(device) else "compute"


def _bounded(timing: Timing, device: Device) -> str:
    kind = _kind(timing, device)
    if not kind:
        return ""
    intensity, own = timing.flops / timing.bytes_moved, devices.own_ridge(device)
    side = "below" if kind == "memory" else "above"
    turns = (
        f"the {own:.2g} where this device turns"
        if own
        else f"about {devices.ridge(device):.2g}, where such devices turn"
    )
    said = (
        f"{'memory traffic' if kind == 'memory' else 'arithmetic'} bounds it at best: "
        f"{intensity:.2g} FLOP per byte is {side} {turns}."
    )
    if timing.floor_us and timing.kernel_us <= _AT_FLOOR * timing.floor_us:
        return f"{said} At {latency(timing.kernel_us)} us it is at its floor: little is left."
    return said


def _told(costs: Sequence[Cause], summary: Summary | None, device: Device, kind: str) -> list[str]:
    """What costs most, then what would move it."""
    if summary is None:
        return [f"What would move it: {_CURES[kind]}."] if kind else []
    method = _method(summary, device)
    if not costs:
        return [
            f"{method} nothing stands out: no byte is moved twice, and no access is wider spread "
            "than it need be. What would move it: more independent work for each thread."
        ]
    shown = costs[:MAX_CAUSES]
    whats = [f"({n}) {cause.what}" for n, cause in enumerate(shown, 1)]
    cures = [f"({n}) {cause.cure}" for n, cause in enumerate(shown, 1)]
    return [f"{method} {'; '.join(whats)}.", f"What would move it: {'; '.join(cures)}."]


def _method(summary: Summary, device: Device) -> str:
    sampled = counters.sampled(summary)
    estimate = f" ({sampled})" if sampled else ""
    if device.kind == "cpu":
        return f"Counted over its threads{estimate}:"
    return f"Counted for a modelled GPU, lines of 128 bytes and 32 banks{estimate}:"
