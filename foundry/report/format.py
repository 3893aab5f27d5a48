"""How figures are written, in tables and in live lines."""

from __future__ import annotations

import math
from collections.abc import Mapping

STATUS_ORDER = (
    "faster",
    "correct",
    "wrong_result",
    "build_error",
    "invalid",
    "sanitizer_error",
    "timeout",
    "crash",
    "rejected",
)


def latency(us: float | None) -> str:
    """Microseconds with three significant digits: `8.24`, `82.4`, `1,240`; `-` for None."""
    if us is None:
        return "-"
    if us >= 100:
        return f"{us:,.0f}"
    return f"{us:.1f}" if us >= 10 else _hundredths(us)


def ratio(speedup: float | None) -> str:
    """A speedup: `1.43x`, `0.0034x`; `-` for None."""
    return "-" if speedup is None else f"{_hundredths(speedup)}x"


def interval(speedup: float | None, low: float | None, high: float | None) -> str:
    """A speedup with its 95 % interval: `1.43x [1.38, 1.47]`."""
    if speedup is None or low is None or high is None:
        return ratio(speedup)
    return f"{ratio(speedup)} [{_hundredths(low)}, {_hundredths(high)}]"


def _hundredths(value: float) -> str:
    """With two digits behind the point; with more where both were 0."""
    return f"{value:.2g}" if 0 < value < 0.01 else f"{value:.2f}"


def taken_off(baseline_us: float, kernel_us: float) -> str:
    """What no time of a timing holds: `net of 9.41 us of dispatch a call, the kernel's of 2.10`."""
    if not baseline_us and not kernel_us:
        return "dispatch included"
    return (
        f"net of {latency(baseline_us)} us of dispatch a call, the kernel's of {latency(kernel_us)}"
    )


def meaning(kind: str) -> str:
    """What times of a kind of device are good for, in one sentence; empty where they need none."""
    if kind == "model":
        return (
            "Times on a chip that is not here are predicted, not measured: they choose what is "
            "worth timing there (foundry shortlist, foundry confirm)."
        )
    if kind != "cpu":
        return ""
    return (
        "A CPU's times are those of the work on one core, without dispatch: they rank kernels by "
        "instructions and memory traffic there, and say nothing about a GPU."
    )


def duration(seconds: float) -> str:
    """A time span: `8s`, `2m05s`, `1h04m`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def statuses(counts: Mapping[str, int]) -> str:
    """Counts by status, best first: `faster 3, correct 12, wrong_result 1`."""
    known = [name for name in STATUS_ORDER if counts.get(name)]
    other = sorted(name for name in counts if name not in STATUS_ORDER and counts[name])
    return ", ".join(f"{name} {counts[name]}" for name in (*known, *other)) or "none"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 kernel`, `3 kernels`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(count: float) -> str:
    """Bytes with three significant digits: `512 B`, `73.7 KB`, `1.23 GB` (of 1000 each)."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    digits = 0 if unit == "B" or count >= 99.95 else 1 if count >= 9.995 else 2
    return f"{count:.{digits}f} {unit}"


def factor(value: float) -> str:
    """How many times: `1x`, `1.5x`, `12x`, `1,024x`."""
    return f"{value:,.0f}x" if value >= 9.95 else f"{value:.1f}x".replace(".0x", "x")


def percent(share: float) -> str:
    """A share with two significant digits: `0.043 %`, `3.1 %`, `47 %`, `100 %`."""
    value = 100 * share
    digits = 0 if value >= 9.95 or value <= 0 else min(3, 1 - math.floor(math.log10(value)))
    return f"{value:.{digits}f} %"
