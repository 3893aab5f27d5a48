"""Two decodings of one prompt: where they part, and how far apart their scores are. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from foundry.judge.verdict import Record

if TYPE_CHECKING:
    from foundry.models.decoding import Decoded


class PromptComparison(Record):
    """One prompt, plain and with kernels."""

    tokens: int
    identical: int
    """Tokens before the first that differs."""
    furthest: float
    """Largest difference of two logits over the steps with equal tokens before them."""
    plain_margin: float | None = None
    """Where they part: by how much the plain model preferred its token to the other one."""
    parted_by: float | None = None
    """Where they part: the largest difference of two logits."""

    @property
    def is_same(self) -> bool:
        """Whether every token is the same."""
        return self.identical == self.tokens


class Throughput(Record):
    """Tokens a second with kernels over tokens a second without, in turns."""

    plain_tokens_s: float
    kernels_tokens_s: float
    gain: float
    """Median of the ratios."""
    gain_low: float
    """Lower end of the 95 % interval."""
    gain_high: float
    samples_plain_s: tuple[float, ...]
    samples_kernels_s: tuple[float, ...]


def compared(plain: Decoded, kernels: Decoded) -> PromptComparison:
    """Compare two decodings."""
    pairs = list(zip(plain.tokens, kernels.tokens, strict=True))
    identical = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
    steps = min(identical + 1, len(pairs))
    differences = np.abs(plain.scores[:steps] - kernels.scores[:steps]).max(axis=-1)
    if identical == len(pairs):
        return PromptComparison(
            tokens=len(pairs), identical=identical, furthest=float(differences.max())
        )
    ours, theirs = pairs[identical]
    row = plain.scores[identical]
    return PromptComparison(
        tokens=len(pairs),
        identical=identical,
        furthest=float(differences.max()),
        plain_margin=float(row[ours] - row[theirs]),
        parted_by=float(differences[-1]),
    )


def throughput(
    tokens: int, plain_s: Sequence[float], kernels_s: Sequence[float], seed: int = 0
) -> Throughput:
    """From seconds of both sides, pair by pair, to tokens a second and a ratio."""
    logs = np.log(np.asarray(plain_s) / np.asarray(kernels_s))
    rng = np.random.default_rng(seed)
    drawn = np.median(rng.choice(logs, (2000, len(logs))), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Throughput(
        plain_tokens_s=tokens / median(plain_s),
        kernels_tokens_s=tokens / median(kernels_s),
        gain=math.exp(float(np.median(logs))),
        gain_low=math.exp(float(low)),
        gain_high=math.exp(float(high)),
        samples_plain_s=tuple(plain_s),
        samples_kernels_s=tuple(kernels_s),
    )
