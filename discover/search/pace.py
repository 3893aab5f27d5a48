"""How long the judge takes: so much of a limit of time is kept for the second looks at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from discover.search.task import Evaluate
from foundry.judge.options import Rivals
from foundry.judge.verdict import Evaluation

MOST_S, MOST_SHARE = 60.0, 0.2
"""What is kept at most: seconds, and share of the whole."""
_MARGIN = 1.5
"""A finalist is proven wholly, which takes longer than most kernels took."""
_LATEST = 20
"""Evaluations that tell how long one takes."""


class JudgingPace:
    """Measures evaluations, on whichever threads they run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._took_s: deque[float] = deque(maxlen=_LATEST)

    def measured(self, evaluate: Evaluate) -> Evaluate:
        """A judge that tells how long it takes."""

        def judge(text: str, seed: int, rivals: Rivals) -> Evaluation:
            begun_s = self._clock()
            found = evaluate(text, seed, rivals)
            self._took_s.append(self._clock() - begun_s)
            return found

        return judge

    def looks_s(self, looks: int, limit_s: float) -> float:
        """Seconds that second looks will take; the most there may be while nothing is known.

        Args:
            looks: How many.
            limit_s: The limit of time.
        """
        most_s = min(MOST_S, MOST_SHARE * limit_s)
        slowest_s = max(self._took_s, default=most_s)
        return min(most_s, _MARGIN * looks * slowest_s)
