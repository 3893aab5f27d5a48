"""Masks and scores held to themselves: their Metal and their NumPy say the same, point by point.

A grid of small sizes, every value of every parameter, drawn inputs. The first point where the two
part is named, so that a modifier that is wrong is refused where it was written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ops.cases import Values
from ops.errors import UsageError
from ops.expressions import evaluate as size_of
from ops.fills import default
from ops.masking import Mask, Score
from ops.members import asked
from ops.metal_values import evaluate
from ops.spec import Tensor

_SIZES = ((7, 7), (5, 13), (1, 9))
"""Numbers of queries and keys."""
_EARLY_SIZES = ((9, 4), (3, 1))
"""Those of masks and scores that hold before the first key."""
_HEADS, _BATCH = 4, 1
_NEAR = 1e-5


def check(mask: Mask, score: Score, inputs: tuple[Tensor, ...]) -> None:
    """Hold mask and score to themselves.

    Raises:
        UsageError: The first point where NumPy and Metal part, or a key that is seen outside of
            the bounds.
    """
    for q_len, kv_len in (*_SIZES, *(_EARLY_SIZES if mask.early and score.early else ())):
        for known in _grids(q_len, kv_len, {**mask.params, **score.params}, inputs):
            _check_mask(mask, known)
            _check_score(score, known)


def _grids(
    q_len: int, kv_len: int, params: Mapping[str, Values], inputs: tuple[Tensor, ...]
) -> Iterator[dict[str, Any]]:
    sizes = {"batch": _BATCH, "heads": _HEADS, "q_len": q_len, "kv_len": kv_len}
    rows = {tensor.name: _drawn(tensor, sizes) for tensor in inputs}
    choices = [v if isinstance(v, tuple) else (v,) for v in params.values()]
    for values in itertools.product(*choices):
        yield {
            "q": np.arange(q_len)[:, None] + (kv_len - q_len),
            "k": np.arange(kv_len)[None, :],
            "h": np.arange(_HEADS)[:, None, None],
            "heads": _HEADS,
            "q_len": q_len,
            "kv_len": kv_len,
            **rows,
            **dict(zip(params, values, strict=True)),
        }


def _drawn(tensor: Tensor, sizes: Mapping[str, int]) -> Any:
    shape = tuple(size_of(size, sizes) for size in tensor.shape)
    dtype = "float32" if tensor.dtype == "T" else tensor.dtype
    fill = tensor.fill or default(dtype)
    rng = np.random.default_rng(7)
    found = fill.draw(rng, shape, dtype, sizes, lambda r, s, d: r.standard_normal(s))
    return found[0] if tensor.shape[0] == "batch" else found


def _check_mask(mask: Mask, known: dict[str, Any]) -> None:
    shape = (known["q_len"], known["kv_len"])
    wanted = np.broadcast_to(np.asarray(mask.np(**asked(mask.np, known)), bool), shape)
    found = np.broadcast_to(np.asarray(evaluate(mask.metal, known), bool), shape)
    if (at := _first(wanted != found)) is not None:
        raise UsageError(
            f"the mask's NumPy and Metal differ at {_point(known, at)}: NumPy says "
            f"{bool(wanted[at])}, Metal {bool(found[at])}; correct one of them"
        )
    first = np.broadcast_to(evaluate(mask.first, known), shape)
    until = np.broadcast_to(evaluate(mask.until, known), shape)
    outside = found & ((known["k"] < first) | (known["k"] >= until))
    if (at := _first(outside)) is not None:
        raise UsageError(
            f"the mask sees a key outside of its bounds at {_point(known, at)}: first is "
            f"{int(first[at])}, until {int(until[at])}; widen them"
        )


def _check_score(score: Score, known: dict[str, Any]) -> None:
    shape = (_HEADS, known["q_len"], known["kv_len"])
    given = np.random.default_rng(11).normal(0.0, 3.0, shape)
    wanted = np.broadcast_to(score.np(**asked(score.np, {**known, "s": given})), shape)
    for head in range(_HEADS):
        values = {**known, "h": head, "s": given[head]}
        found = np.broadcast_to(evaluate(score.metal, values), shape[1:])
        apart = np.abs(wanted[head] - found) > _NEAR * (1.0 + np.abs(wanted[head]))
        if (at := _first(apart)) is not None:
            raise UsageError(
                f"the score's NumPy and Metal differ at h = {head}, {_point(known, at)}, s "
                f"= {given[head][at]:.6g}: NumPy says {wanted[head][at]:.9g}, Metal "
                f"{found[at]:.9g}; correct one of them"
            )
        if score.slope_np is not None:
            lean = score.slope_np(**asked(score.slope_np, {**known, "s": given}))
            slopes = (np.broadcast_to(lean, shape)[head], evaluate(score.slope, values))
            _check_slope(slopes, score, {**known, "s": given}, head)


def _check_slope(slopes: tuple[Any, Any], score: Score, known: dict[str, Any], head: int) -> None:
    """Both texts of the slope against the difference quotient of the score."""
    step = 1e-5
    above, below = (
        score.np(**asked(score.np, {**known, "s": known["s"] + way * step})) for way in (1, -1)
    )
    quotient = np.broadcast_to((above - below) / (2.0 * step), known["s"].shape)[head]
    for language, found in zip(("NumPy", "Metal"), slopes, strict=True):
        slope = np.broadcast_to(found, quotient.shape)
        apart = np.abs(quotient - slope) > 1e-4 * (1.0 + np.abs(quotient))
        if (at := _first(apart)) is not None:
            raise UsageError(
                f"the score's slope in {language} is {slope[at]:.6g} at h = {head}, "
                f"{_point(known, at)}, s = {known['s'][head][at]:.6g}; by its NumPy the score "
                f"changes by {quotient[at]:.6g}: give slope= and slope_np= what the score's "
                "derivative by s is"
            )


def _first(wrong: Any) -> tuple[int, ...] | None:
    places = np.argwhere(wrong)
    return tuple(int(i) for i in places[0]) if len(places) else None


def _point(known: Mapping[str, Any], at: tuple[int, ...]) -> str:
    q, k = known["q"][at[0], 0], known["k"][0, at[1]]
    others = ", ".join(
        f"{n} = {v}" for n, v in known.items() if n not in ("q", "k", "h", "s") and np.ndim(v) == 0
    )
    return f"q = {q}, k = {k} ({others})"
