"""Charts as SVG text, in the colours of the page around them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 28, 36
_TICKS = 5
"""At an axis, at most."""


@dataclass(frozen=True)
class Mark:
    """A labelled point."""

    x: float
    y: float
    label: str
    kind: str = "dot"
    """CSS class."""


@dataclass(frozen=True)
class Scale:
    """From values to places along one axis."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value stands."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, self.low))
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self) -> list[float]:
        """Values to write at the axis."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            whole = [10.0**p for p in powers if self.low <= 10.0**p <= self.high]
            return (
                whole if len(whole) > 1 else [self.low, math.sqrt(self.low * self.high), self.high]
            )
        step = _round_step((self.high - self.low) / _TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [step * i for i in range(first, last + 1)]


def _round_step(least: float) -> float:
    """The next of 1, 2, 2.5 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= least * (1 - 1e-9))


def stairs(points: Sequence[tuple[float, float]], x_title: str, y_title: str) -> str:
    """The best so far: flat until it rises."""
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x = Scale(0.0, max(xs), _LEFT, WIDTH - _RIGHT)
    y = Scale(0.0, max(ys) * 1.05, HEIGHT - _BOTTOM, _TOP)
    path = f"M{x(xs[0])} {y(ys[0])}" + "".join(f"H{x(px)}V{y(py)}" for px, py in points[1:])
    return _frame(x, y, x_title, y_title, f'<path class="line" d="{path}"/>')


def roofline(marks: Sequence[Mark], roofs: Sequence[tuple[float, float]]) -> str:
    """Work per second over work per byte, both as logarithms, under the roof where it is known."""
    known = [m for m in marks if m.x > 0 and m.y > 0]
    if not known:
        return ""
    xs = [m.x for m in known] + [px for px, _ in roofs]
    ys = [m.y for m in known] + [py for _, py in roofs]
    x = Scale(min(xs) / 2, max(xs) * 2, _LEFT, WIDTH - _RIGHT, log=True)
    y = Scale(min(ys) / 2, max(ys) * 2, HEIGHT - _BOTTOM, _TOP, log=True)
    shapes = [
        f'<path class="roof" d="M{x(px) - 14} {y(py)}h28"><title>the roof here</title></path>'
        for px, py in roofs
    ]
    shapes += [
        f'<circle class="{m.kind}" cx="{x(m.x)}" cy="{y(m.y)}" r="5">'
        f"<title>{escape(m.label)}</title></circle>"
        for m in known
    ]
    named = {m.kind: (x(m.x), y(m.y)) for m in reversed(known)}
    if roofs:
        named["roof"] = (x(roofs[0][0]) + 6, y(roofs[0][1]))
    shapes += [_name(kind, *place) for kind, place in named.items()]
    return _frame(x, y, "FLOP per byte", "GFLOP/s", "".join(shapes))


def _name(kind: str, x: float, y: float) -> str:
    """What a mark is; the start's name is on the other side, for it may be where the best is."""
    side, anchor = (-10, "end") if kind == "start" else (10, "start")
    return f'<text x="{x + side}" y="{y + 4}" text-anchor="{anchor}">{escape(kind)}</text>'


def _frame(x: Scale, y: Scale, x_title: str, y_title: str, inside: str) -> str:
    bottom = HEIGHT - _BOTTOM
    parts = [
        f'<text x="{x(t)}" y="{bottom + 16}" text-anchor="middle">{t:.3g}</text>' for t in x.ticks()
    ]
    parts += [
        f'<path class="grid" d="M{_LEFT} {y(t)}H{WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 6}" y="{y(t) + 4}" text-anchor="end">{t:.3g}</text>'
        for t in y.ticks()
    ]
    parts.append(
        f'<text class="axis" x="{WIDTH - _RIGHT}" y="{HEIGHT - 4}" text-anchor="end">'
        f"{escape(x_title)}</text>"
        f'<text class="axis" x="8" y="16">{escape(y_title)}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(y_title)} over {escape(x_title)}">{"".join(parts)}{inside}</svg>'
    )
