"""One search as a story: the best kernel, what it beats, how it was found, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discover.history.nodes import Seen, diff, look
from discover.history.reasons import kind
from discover.history.summary import Summary, origin_label
from discover.selection.tree import ROOT_PREFIX
from foundry.prompts.feedback import counted
from foundry.report.figures import figures
from foundry.report.predicted import predicted_gain, predicted_times

if TYPE_CHECKING:
    from foundry.store import Store


@dataclass(frozen=True)
class Step:
    """The best so far after an evaluation."""

    evaluations: int
    usd: float
    """Spent until then."""
    speedup: float
    """Over the common baseline."""


@dataclass(frozen=True)
class PredictedBest:
    """A kernel that the chip model takes for one of the fastest."""

    digest: str
    """First digits of its hash."""
    label: str
    """Where it came from."""
    words: str
    """Its predicted times."""
    gain: str
    """Over the best template, predicted too."""


@dataclass(frozen=True)
class Story:
    """One search, ready to be told."""

    summary: Summary
    seen: tuple[Seen, ...]
    best: Seen | None
    start: Seen | None
    """The best kernel that it began with."""
    steps: tuple[Step, ...]
    failures: Mapping[str, Mapping[str, int]]
    """By status, how often each reason."""

    @property
    def title(self) -> str:
        """`softmax float32`."""
        return f"{self.summary.op} {self.summary.dtype}"

    @property
    def gain_us(self) -> float | None:
        """Microseconds that the best saves over the best start."""
        if self.best is None or self.start is None:
            return None
        best, start = self.best.kernel_us, self.start.kernel_us
        return start - best if best is not None and start is not None else None

    @property
    def gain_words(self) -> str:
        """What `gain_us` is."""
        is_slower = self.gain_us is not None and self.gain_us < 0
        return "slower than the best start by" if is_slower else "saved over the best start"

    @property
    def predicted(self) -> list[PredictedBest]:
        """Of a search for a chip that is not here: its best kernels, which are no ranking."""
        found = []
        for one in self.summary.front:
            gain = predicted_gain(one.evaluation)
            words = "; ".join(time.words for time in predicted_times(one.evaluation))
            digest, label = one.evaluation.kernel_hash[:8], origin_label(one.node)
            found.append(PredictedBest(digest, label, words, f"{gain:.2f}x" if gain else "-"))
        return found

    @property
    def against_start(self) -> str:
        """The best against the best start, as a unified diff."""
        if self.best is None or self.start is None or self.best.node.id == self.start.node.id:
            return ""
        return diff(self.start.text, self.best.text)

    def counters(self) -> tuple[list[str], list[str]]:
        """What the SIMD-groups do to memory, of the best start and of the best."""
        pair = [one.evaluation for one in (self.start, self.best) if one]
        found = [counted(e) if e else [] for e in pair]
        return (found[0], found[1]) if len(found) == 2 else ([], [])


def gather(store: Store, summary: Summary) -> Story:
    """Read one search."""
    seen = tuple(look(store, summary))
    by_id = {one.node.id: one for one in seen}
    return Story(
        summary=summary,
        seen=seen,
        best=by_id[summary.best.node.id] if summary.best else None,
        start=by_id[summary.start.node.id] if summary.start else None,
        steps=tuple(_steps(seen)),
        failures=_failures(seen),
    )


def is_root(one: Seen) -> bool:
    """Whether a search began with it."""
    return one.node.proposer.startswith(ROOT_PREFIX)


def _steps(seen: tuple[Seen, ...]) -> list[Step]:
    """Of kernels that were timed: a predicted gain is no speedup."""
    steps: list[Step] = []
    best, evaluations, usd = 0.0, 0, 0.0
    for one in seen:
        evaluations += one.evaluation is not None
        usd += sum(call.cost_usd or 0.0 for call in one.calls)
        timed = one.evaluation is not None and bool(one.evaluation.timings)
        if timed and one.node.reward and one.node.reward > best:
            best = one.node.reward
            steps.append(Step(evaluations, usd, best))
    if steps:
        steps.append(Step(evaluations, usd, best))
    return steps


def _failures(seen: tuple[Seen, ...]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for one in seen:
        if one.evaluation is not None and not one.evaluation.status.passed:
            found.setdefault(one.status, Counter())[kind(one.evaluation)[:120]] += 1
    return {status: dict(reasons.most_common(5)) for status, reasons in sorted(found.items())}


def speedup_line(one: Seen | None) -> str:
    """Microseconds and speedup over MLX of a kernel."""
    from foundry.report.format import interval, latency

    found = figures(one.evaluation) if one and one.evaluation else None
    if found is None:
        return "-"
    measured = interval(found.speedup, found.speedup_low, found.speedup_high)
    return f"{latency(found.kernel_us)} us, {measured} over MLX"
