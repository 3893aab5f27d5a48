"""What the judge learnt, in words for a proposer. Pure.

Hidden workloads stay hidden: a proposer learns that one failed, never its sizes or values.
Times carry their device; speedups are against the baseline, with the 95 % interval.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundry.judge.verdict import Diagnostic, Evaluation, Timing
from foundry.program import Device
from foundry.prompts import devices
from foundry.report import counters
from foundry.report.format import interval, latency, taken_off

_HIDDEN = "wrong on a hidden workload: the kernel must hold for every size, also 0, 1 and primes"
_PLACE = re.compile(r"\[(?:launch \d+, )?(?:header|source):\d+: (`[^`\n]*`)\]")
"""Where a sanitizer's sentence says its line, counted in a part of the file."""


@dataclass(frozen=True)
class TimingRow:
    """One timed workload, ready for a prompt."""

    workload: str
    label: str
    kernel_us: float
    baseline_us: float
    speedup: str
    taken_off: str
    """What the times do not hold."""
    left: str
    """What is left to win."""
    rate: str
    bound: str


def timing_rows(evaluation: Evaluation, device: Device) -> list[TimingRow]:
    """Timings of a kernel with what they achieved and what bounds them."""
    return [
        TimingRow(
            workload=t.workload,
            label=t.label,
            kernel_us=t.kernel_us,
            baseline_us=t.baseline_us,
            speedup=interval(t.speedup, t.speedup_low, t.speedup_high),
            taken_off=taken_off(t.baseline_dispatch_us, t.kernel_dispatch_us),
            left=left(t),
            rate=rate(t),
            bound=bound(t, device),
        )
        for t in evaluation.timings
    ]


def counted(evaluation: Evaluation) -> list[str]:
    """What the kernel's SIMD-groups do to memory on the last timed workload; empty if unknown."""
    found = counters.counters_of(evaluation)
    if not found:
        return []
    workload, summary = list(found.items())[-1]
    sample = counters.sampled(summary)
    lines = [f"{workload}: {sample}" if sample else workload, *counters.facts(summary)]
    if shares := counters.coalescing(summary):
        lines.append(f"coalescing (100 % is best): {shares}")
    return lines + counters.sentences(summary)


def left(timing: Timing) -> str:
    """What is left to win at most, by the physical floor; empty where that is not known."""
    if not timing.floor_us or timing.kernel_us <= 0:
        return ""
    won, times = timing.kernel_us - timing.floor_us, timing.kernel_us / timing.floor_us
    if won <= 0:
        return f"at its floor of {latency(timing.floor_us)} us"
    return f"at most {latency(won)} us ({times:.1f}x) left above the floor of " + (
        f"{latency(timing.floor_us)} us"
    )


def rate(timing: Timing) -> str:
    """Achieved memory traffic and arithmetic."""
    seconds = timing.kernel_us * 1e-6
    if seconds <= 0 or not timing.bytes_moved:
        return ""
    rates = f"{timing.bytes_moved / seconds / 1e9:.2f} GB/s"
    return f"{rates}, {timing.flops / seconds / 1e9:.2f} GFLOP/s" if timing.flops else rates


def bound(timing: Timing, device: Device) -> str:
    """Whether memory or compute bounds the workload, and how far the kernel is from its floor."""
    if not timing.bytes_moved:
        return ""
    intensity = timing.flops / timing.bytes_moved
    kind = "memory" if intensity < devices.ridge(device) else "compute"
    text = f"{kind} bound ({intensity:.2g} FLOP per byte)"
    if timing.floor_us and timing.kernel_us > 0:
        text += f", {timing.kernel_us / timing.floor_us:.1f} times its physical floor"
    return text


def reasons(evaluation: Evaluation, *, characters: int = 1500) -> list[str]:
    """Why a kernel failed, for a proposer, within a length; each reason once."""
    words = list(dict.fromkeys(_words(d) for d in evaluation.diagnostics))
    kept: list[str] = []
    for text in words:
        room = characters - sum(map(len, kept))
        if room <= 0:
            break
        kept.append(text if len(text) <= room else text[:room].rstrip() + " ...")
    return kept


def _words(diagnostic: Diagnostic) -> str:
    if diagnostic.hidden:
        return _HIDDEN
    said = sentence(diagnostic)
    is_named = diagnostic.workload is None or diagnostic.workload in said
    under = "" if is_named else f" (workload {diagnostic.workload})"
    return f"{diagnostic.stage}: {said}{under}"


def sentence(diagnostic: Diagnostic) -> str:
    """What a finding says; its line is told once, as the kernel file counts it."""
    message = diagnostic.message.strip()
    # The compiler's words have their places.
    if not diagnostic.line or message.startswith("kernel:"):
        return message
    return f"line {diagnostic.line}: " + _PLACE.sub(r"[\1]", message)
