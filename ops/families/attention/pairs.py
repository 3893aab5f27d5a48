"""How many pairs of a query and a key the masks of the literature see, as expressions over sizes.

Exact where every query stands at the place of a key and the canvas is whole, and never too many:
queries before the first key, and keys of what is only begun, may be left out. The queries are the
last `q_len` places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PAIRED = "min(q_len, kv_len)"
"""Queries at the place of a key."""
CANVAS_KEYS = "min(q_len, kv_len)"
"""Every query on a canvas sees its own place, however far it is moved inwards."""


def within(reach: str) -> str:
    """Pairs of the queries and what lies up to `reach` in front of them, without themselves."""
    missed = f"max(0, min({reach}, kv_len - 1) - (kv_len - {PAIRED}))"
    return f"({PAIRED} * max(0, min({reach}, kv_len - 1)) - {missed} * ({missed} + 1) // 2)"


def beyond(reach: str) -> str:
    """Pairs of the queries and what lies up to `reach` behind them, without themselves."""
    near = f"min({PAIRED}, {reach} + 1)"
    return f"({near} * ({near} - 1) // 2 + ({PAIRED} - {near}) * ({reach}))"


def two_sided(before: str, behind: str) -> str:
    """Pairs of the queries with themselves, `before` places in front and `behind` after."""
    return f"{PAIRED} + {within(before)} + {beyond(behind)}"


def every_nth(reach: str, step: str) -> str:
    """Those within `reach` whose distance is a multiple of `step`, less one a query at most."""
    left_out = f"{PAIRED} * ({step} - 1)"
    sides = (f"max(0, {side} - {left_out}) // {step}" for side in (within(reach), beyond(reach)))
    return f"{PAIRED} + {' + '.join(sides)}"


def until_prefix(prefix: str, causal: str) -> str:
    """Causal pairs, and those of the first `prefix` keys with queries before them."""
    more = f"max(0, min({prefix}, kv_len) - 1 - (kv_len - {PAIRED}))"
    return f"{causal} + {more} * ({more} + 1) // 2"


INVERSE_CAUSAL = f"{PAIRED} * ({PAIRED} + 1) // 2 + max(0, q_len - kv_len) * kv_len"


def batches(length: str) -> str:
    """Causal pairs within sequences of `length`."""

    def first(count: str) -> str:
        rest = f"(({count}) % {length})"
        whole = f"({count}) // {length} * ({length} * ({length} + 1) // 2)"
        return f"({whole} + {rest} * ({rest} + 1) // 2)"

    return f"{first('kv_len')} - {first('kv_len - q_len')}"


def diffusion(block: str) -> str:
    """Blocks of noisy places and of clean ones: each sees its own, and clean ones before it."""
    half, skipped = "(kv_len // 2)", "(kv_len - q_len)"

    def first(count: str) -> str:
        blocks, rest = f"(({count}) // {block})", f"(({count}) % {block})"
        whole = f"{block} * {block} * ({blocks} * ({blocks} + 1) // 2)"
        return f"({whole} + {rest} * min(({blocks} + 1) * {block}, {half}))"

    noisy, clean = f"min({skipped}, {half})", f"min(max({skipped} - {half}, 0), {half})"
    return f"2 * {first(half)} - {first(noisy)} - {first(clean)}"


def canvas(*directions: tuple[str, str], places: str = "1", begun: str) -> str:
    """Pairs of the queries on a canvas and what lies within a reach in every direction.

    Args:
        directions: How far is seen, and how much there is, of each direction; the last is that in
            which the canvas may be begun and not whole.
        places: Places of an element of the directions.
        begun: How many elements of the last direction may lack keys.
    """
    *across, (reach, size) = directions
    counts = [f"min(2 * {r} + 1, {s})" for r, s in across]
    return " * ".join(["q_len", places, *counts, f"max(0, min(2 * {reach} + 1, {size}) - {begun})"])


def frames(words: str, frame: str, within_frames: str, of_last: tuple[str, str]) -> str:
    """A text, then frames, where the text sees and is seen by all.

    Args:
        words: Places of the text.
        frame: Places of a frame.
        within_frames: Pairs of places of frames, of `FULL` whole frames and a last one of `REST`;
            told where all queries are asked.
        of_last: How many of the last queries see at least so many places of frames each; told where
            no more are asked. `LAST` is how many places the last frame has, `BEFORE` how many
            frames are before it, `SHOWN` the places of all.
    """
    shown = f"max(0, kv_len - {words})"
    text = f"min({words}, kv_len)"
    counts = {
        "FULL": f"({shown} // {frame})",
        "REST": f"({shown} % {frame})",
        "LAST": f"(max(0, {shown} - 1) % {frame} + min(1, {shown}))",
        "BEFORE": f"(max(0, {shown} - 1) // {frame})",
        "SHOWN": shown,
    }
    pairs, count, seen = (_counted(given, counts) for given in (within_frames, *of_last))
    every = f"({text} * kv_len + {shown} * {text} + {pairs})"
    is_every = "(q_len // max(kv_len, 1))"
    each = f"max({text} + (1 - min(1, max(0, q_len - {count}))) * {seen}, min(1, kv_len))"
    return f"{is_every} * {every} + (1 - {is_every}) * q_len * {each}"


def _counted(text: str, counts: Mapping[str, str]) -> str:
    return re.sub("[A-Z]+", lambda word: counts[word[0]], text)


def near_of(count: str, reach: str) -> str:
    """Pairs of `count` things in a row that are up to `reach` apart."""
    apart = f"min({reach}, max({count} - 1, 0))"
    return f"({count} + 2 * {apart} * {count} - {apart} * ({apart} + 1))"
