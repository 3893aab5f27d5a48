"""From a verified pair (slower, faster) to a lesson of one sentence. Pure.

Only the judge credits: both kernels passed, both were timed, and their intervals lie apart. What is
said of the change is what its author said, shortened, or what the offline mutator did.
"""

from __future__ import annotations

import re

from foundry.prompts.assignment import Attempt
from foundry.report.figures import Figures, figures

MAX_WORDS = 320
"""Characters of what an author said that are kept."""
_FENCE = re.compile(r"(?:```|~~~|/\*kernel).*", re.S)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def words_of(reply: str) -> str:
    """What an answer says before its kernel, in whole sentences within a length."""
    prose = " ".join(_FENCE.sub("", reply).split()).strip(" #*:")
    kept = ""
    for sentence in _SENTENCE.split(prose):
        if len(kept) + len(sentence) + 1 > MAX_WORDS:
            break
        kept = f"{kept} {sentence}".strip()
    return kept or prose[:MAX_WORDS].strip()


def lesson_of(slower: Attempt, faster: Attempt) -> tuple[str, float] | None:
    """What a faster kernel teaches, and its measured gain; None where nothing is proven or said."""
    before, after = figures(slower.evaluation), figures(faster.evaluation)
    if before is None or after is None or not _apart(before, after):
        return None
    said = str(faster.detail.get("words") or "") or _move(faster)
    return (said, before.kernel_us / after.kernel_us) if said else None


def _apart(before: Figures, after: Figures) -> bool:
    """Whether the clock and the ratios to the baseline agree that one is surely faster."""
    return after.speedup_low > before.speedup_high and after.kernel_us < before.kernel_us


def _move(attempt: Attempt) -> str:
    """What the offline mutator did; nothing of a model that said nothing."""
    return str(attempt.detail.get("label") or "") if attempt.detail.get("move") else ""
