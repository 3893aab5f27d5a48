"""The gradient of what a score has learnt: of every element a sum over scores that it changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.declaring.masking import LearntBins, LearntRow, Score
from ops.declaring.members import asked
from ops.texts.metal import as_mlx

Learnt = LearntRow | LearntBins
OF_A_ROW = """
def key_of(q, column):
    return {key}
columns = {name}.shape[0] // heads
taker = key_of(at, mx.arange(columns)[None, :])
inside = (taker >= 0) & (taker < kv_len)
taker = mx.broadcast_to(mx.clip(taker, 0, kv_len - 1), (batch, heads, q_len, columns))
picked = mx.where(inside, mx.take_along_axis(lean, taker, axis=-1), 0)
d{name} = mx.sum(picked, axis=(0, 2)).reshape(-1)
"""
OF_BINS = """
def bin_of(q, k):
    return {bin}
def slope_of(s, q, k, h):
    return {slope}
given_to = mx.broadcast_to(head * {bins} + bin_of(at, there), lean.shape).reshape(-1)
each = mx.broadcast_to(lean * slope_of(scores, at, there, head), lean.shape).reshape(-1)
d{name} = mx.zeros((heads * {bins},)).at[given_to].add(each)
"""


def mlx_of(learnt: Learnt) -> str:
    """MLX lines that make `dNAME` of `lean`, what every changed score is to change by."""
    if isinstance(learnt, LearntRow):
        text = OF_A_ROW.replace("{key}", as_mlx(learnt.metal, whole=True))
    else:
        text = OF_BINS.replace("{bin}", learnt.mlx or as_mlx(learnt.metal, whole=True))
        text = text.replace("{bins}", str(learnt.bins))
        text = text.replace("{slope}", as_mlx(learnt.slope, whole=False))
    return text.replace("{name}", learnt.name)


def metal_of(score: Score) -> dict[str, Any]:
    """What the template of gradients knows of it."""
    match score.learnt:
        case LearntRow(metal=key):
            return {"key": key, "bins": 0}
        case LearntBins(metal=found, bins=bins, slope=slope):
            return {"bin": found, "bins": bins, "learnt_slope": slope}
    return {"bins": 0}


def terms(learnt: Learnt) -> str:
    """How many scores an element is in, at most."""
    every = "batch * q_len"
    return every if isinstance(learnt, LearntRow) else f"{every} * kv_len"


def summed(ds: Any, scores: Any, learnt: Learnt, known: Any) -> Any:
    """Of every element the sum of `ds` over the scores that it changed."""
    if isinstance(learnt, LearntRow):
        return _of_a_row(ds, learnt, known)
    given = {**known, "s": scores}
    each = ds * learnt.slope_np(**asked(learnt.slope_np, given))
    found = np.broadcast_to(learnt.np(**asked(learnt.np, known)), ds.shape[1:])
    sums = [np.where(found == one, each, 0.0).sum(axis=(1, 2)) for one in range(learnt.bins)]
    return np.stack(sums, axis=-1).ravel()


def _of_a_row(ds: Any, learnt: LearntRow, known: Any) -> Any:
    columns = len(known[learnt.name]) // known["heads"]
    key = learnt.np(**asked(learnt.np, {**known, "column": np.arange(columns)}))
    inside = (key >= 0) & (key < known["kv_len"])
    taker = np.broadcast_to(np.where(inside, key, 0), (len(ds), *key.shape))
    return np.where(inside, np.take_along_axis(ds, taker, axis=-1), 0.0).sum(axis=-2).ravel()
