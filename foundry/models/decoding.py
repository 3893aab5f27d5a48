"""Greedy decoding, token by token, with the scores of each step and the time of both parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Clock = Callable[[], float]


@dataclass(frozen=True)
class Decoded:
    """What came of one prompt."""

    tokens: tuple[int, ...]
    scores: NDArray[np.float32]
    """Logits before each token: steps, words."""
    prefill_s: float
    """Until the first token."""
    decode_s: float
    """All further tokens."""


def decode(
    model: Any, prompt: Sequence[int], count: int, clock: Clock = time.perf_counter
) -> Decoded:
    """Take the most likely token `count` times.

    Args:
        model: A model of mlx-lm.
        prompt: Token numbers.
        count: Tokens to make, at least 1.
        clock: Seconds.
    """
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache

    cache = make_prompt_cache(model)
    begun = clock()
    logits = model(mx.array([list(prompt)]), cache=cache)[0, -1].astype(mx.float32)
    token = _best(logits)
    first = clock()
    tokens, scores = [token], [np.array(logits)]
    while len(tokens) < count:
        logits = model(mx.array([[token]]), cache=cache)[0, -1].astype(mx.float32)
        token = _best(logits)
        tokens.append(token)
        scores.append(np.array(logits))
    return Decoded(tuple(tokens), np.stack(scores), first - begun, clock() - first)


def _best(logits: Any) -> int:
    import mlx.core as mx

    found: Any = mx.argmax(logits).item()
    return int(found)
