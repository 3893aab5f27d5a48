"""Masks and scores held to themselves: their NumPy, their Metal and their MLX say the same.

A grid of sizes, every value of every parameter, drawn inputs. The first point where two of them
part is named, so that a modifier that is wrong is refused where it was written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ops.declaring.cases import Values
from ops.declaring.masking import Mask, Score
from ops.declaring.members import asked
from ops.errors import UsageError
from ops.fills import default
from ops.texts import wide_mlx
from ops.texts.expressions import evaluate as size_of
from ops.texts.metal_values import evaluate
from ops.workload import Tensor

_SIZES = ((4, 7, 7), (6, 5, 13), (9, 1, 9), (3, 70, 70), (12, 2, 300))
"""Numbers of heads, queries and keys. No power of two alone: powers of it hide in a shift."""
_EARLY_SIZES = ((4, 9, 4), (5, 3, 1))
"""Those of masks and scores that hold before the first key."""
_FAR_SIZES = (2, 2, 65_539)
"""Places whose products pass 32 bits, which the whole numbers of a kernel have."""
_MANY_ELEMENTS = 2**24
"""Of an input, which is not drawn for them."""
_BATCH = 1
_MANY_PAIRS = 500
"""Of a query and a key, for which not every choice of parameters is tried."""
_NEAR = 1e-5
_FAR_SCORES = (-63.7, -19.3, 19.3, 63.7)
"""Scores far from zero: what limits a score shows on large ones alone."""
Known = dict[str, Any]


def check(mask: Mask, score: Score, inputs: tuple[Tensor, ...]) -> None:
    """Hold mask and score to themselves.

    Raises:
        UsageError: The first point where two languages part, a key that is seen outside of the
            bounds, an input that is read beyond its ends, or a NumPy function that fails, gives
            another kind or shape, or changes what it is given.
    """
    for heads, q_len, kv_len in _sizes(mask, score, inputs):
        sizes = _named(heads, q_len, kv_len)
        for known in _grids(sizes, mask.params, inputs):
            _check_mask(mask, known)
        for known in _grids(sizes, score.params, inputs):
            _check_score(score, known)


def _sizes(mask: Mask, score: Score, inputs: tuple[Tensor, ...]) -> Iterator[tuple[int, int, int]]:
    yield from _SIZES
    if mask.early and score.early:
        yield from _EARLY_SIZES
    far = _named(*_FAR_SIZES)
    if all(math.prod(_shape(tensor, far)) <= _MANY_ELEMENTS for tensor in inputs):
        yield _FAR_SIZES


def _named(heads: int, q_len: int, kv_len: int) -> dict[str, int]:
    return {"batch": _BATCH, "heads": heads, "q_len": q_len, "kv_len": kv_len}


def _shape(tensor: Tensor, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(size_of(size, sizes) for size in tensor.shape)


def _grids(
    sizes: Mapping[str, int], params: Mapping[str, Values], inputs: tuple[Tensor, ...]
) -> Iterator[Known]:
    rows = {tensor.name: _drawn(tensor, sizes) for tensor in inputs}
    heads, q_len, kv_len = (sizes[n] for n in ("heads", "q_len", "kv_len"))
    for values in _chosen(params, every=q_len * kv_len < _MANY_PAIRS):
        yield {
            "q": _fixed(np.arange(q_len)[:, None] + (kv_len - q_len)),
            "k": _fixed(np.arange(kv_len)[None, :]),
            "h": _fixed(np.arange(heads)[:, None, None]),
            "heads": heads,
            "q_len": q_len,
            "kv_len": kv_len,
            **rows,
            **dict(zip(params, values, strict=True)),
        }


def _chosen(params: Mapping[str, Values], *, every: bool) -> Iterable[tuple[Any, ...]]:
    """Values of all parameters: every choice of them, or each value of each once."""
    choices = [v if isinstance(v, tuple) else (v,) for v in params.values()]
    if every:
        return itertools.product(*choices)
    turns = [itertools.cycle(values) for values in choices]
    return itertools.islice(zip(*turns, strict=False), max(map(len, choices))) if turns else [()]


def _drawn(tensor: Tensor, sizes: Mapping[str, int]) -> Any:
    shape = _shape(tensor, sizes)
    dtype = "float32" if tensor.dtype == "T" else tensor.dtype
    fill = tensor.fill or default(dtype)
    rng = np.random.default_rng(7)
    found = fill.draw(rng, shape, dtype, sizes, lambda r, s, d: r.standard_normal(s))
    return _fixed(found[0] if tensor.shape[0] == "batch" else found)


def _fixed(array: Any) -> Any:
    """The array, which a function that is given it cannot change."""
    array.setflags(write=False)
    return array


def _said(what: str, formula: Callable[..., Any], known: Known, shape: tuple[int, ...]) -> Any:
    """What a NumPy function gives, asked twice."""
    arguments = asked(formula, known)
    try:
        with np.errstate(all="ignore"):  # what is no number is told below
            found, again = (np.asarray(formula(**arguments)) for _ in range(2))
    except Exception as error:  # the author's code
        raise UsageError(
            f"the {what}'s NumPy raises {type(error).__name__}: {error}; it takes arrays of places "
            "that broadcast, and changes none of them"
        ) from error
    is_mask = what == "mask"
    if found.dtype.kind not in ("b" if is_mask else "iuf"):
        wanted = "truth values" if is_mask else "numbers"
        raise UsageError(f"the {what}'s NumPy gives {found.dtype}; give {wanted}")
    if not np.array_equal(found, again, equal_nan=not is_mask):
        raise UsageError(f"the {what}'s NumPy gives another value when it is asked again")
    try:
        return np.broadcast_to(found, shape)
    except ValueError as error:
        raise UsageError(
            f"the {what}'s NumPy gives the shape {list(found.shape)}, which does not broadcast to "
            f"{list(shape)}: {'' if is_mask else 'heads, '}queries, keys"
        ) from error


def _check_mask(mask: Mask, known: Known) -> None:
    shape = (known["q_len"], known["kv_len"])
    wanted = _said("mask", mask.np, known, shape)
    texts = {"Metal": _metal("mask", mask.metal, known), "MLX": _mlx(mask.text, known)}
    for language, value in texts.items():
        found = wanted if value is None else np.broadcast_to(np.asarray(value, bool), shape)
        if (at := _first(wanted != found)) is not None:
            raise UsageError(
                f"the mask's NumPy and {language} differ at {_point(known, at)}: NumPy says "
                f"{bool(wanted[at])}, {language} {bool(found[at])}; {_advice(known)}"
            )
    first = np.broadcast_to(evaluate(mask.first, known), shape)
    until = np.broadcast_to(evaluate(mask.until, known), shape)
    outside = wanted & ((known["k"] < first) | (known["k"] >= until))
    if (at := _first(outside)) is not None:
        raise UsageError(
            f"the mask sees a key outside of its bounds at {_point(known, at)}: first is "
            f"{int(first[at])}, until {int(until[at])}; widen them"
        )


def _metal(what: str, text: str, known: Known) -> Any:
    """The value of a Metal text, which nothing beyond the ends of an input may change."""
    shape = (known["q_len"], known["kv_len"])
    found = np.broadcast_to(evaluate(text, known), shape)
    if "[" not in text:
        return found
    other = np.broadcast_to(evaluate(text, known, beyond=1), shape)
    if (at := _first(_parted(found, other))) is not None:
        raise UsageError(
            f"the {what}'s Metal reads an input beyond its ends at {_point(known, at)}: '{text}'; "
            "keep the place within it, or let a condition come before"
        )
    return found


def _mlx(text: str, known: Known) -> Any:
    """The value of an MLX text; None where it is not known without MLX."""
    if wide_mlx.lacks(text):
        return None
    names = {"mx": wide_mlx.namespace(), "math": math, **known}
    try:
        return eval(text, names)  # of the author; every baseline is read before it is run
    except Exception:
        # What a text may name and do is told where baselines are read.
        return None


def _check_score(score: Score, known: Known) -> None:
    shape = (known["heads"], known["q_len"], known["kv_len"])
    given = {**known, "s": _scores(shape)}
    wanted = np.asarray(_said("score", score.np, given, shape), np.float64)
    _check_finite(wanted, given)
    written = _mlx(score.text, given)
    slope = _slope(score, given, shape)
    for head in range(shape[0]):
        values = {**given, "h": head, "s": given["s"][head]}
        texts = {"Metal": _metal("score", score.metal, values)}
        if written is not None:
            texts["MLX"] = np.broadcast_to(written, shape)[head]
        for language, value in texts.items():
            found = np.broadcast_to(value, shape[1:])
            if (at := _first(_parted(wanted[head], found))) is not None:
                raise UsageError(
                    f"the score's NumPy and {language} differ at {_place(given, head, at)}: NumPy "
                    f"says {wanted[head][at]:.9g}, {language} {found[at]:.9g}; {_advice(given)}"
                )
        if slope is not None:
            _check_slope((slope[head], evaluate(score.slope, values)), score, given, head)


def _scores(shape: tuple[int, ...]) -> Any:
    """Scores as they are met, one in eight of them far from zero."""
    rng = np.random.default_rng(11)
    usual = rng.normal(0.0, 3.0, shape)
    far = np.where(rng.random(shape) < 0.125, rng.choice(_FAR_SCORES, shape), usual)
    return _fixed(far)


def _check_finite(wanted: Any, given: Known) -> None:
    """A score may be -infinity, which gives its key no weight, but nothing that makes NaN."""
    if (at := _first(np.isnan(wanted) | (wanted == np.inf))) is not None:
        raise UsageError(
            f"the score's NumPy gives {wanted[at]} at {_place(given, at[0], at[1:])}; give a "
            "number for every finite s, or -infinity where the key is to have no weight"
        )


def _parted(wanted: Any, found: Any) -> Any:
    """Where two values are not near; an infinity is near to itself alone."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.subtract(wanted, found, dtype=np.float64))
    near = apart <= _NEAR * (1.0 + np.where(np.isfinite(wanted), np.abs(wanted), 0.0))
    return ~(near | (wanted == found))


def _slope(score: Score, given: Known, shape: tuple[int, ...]) -> Any:
    return None if score.slope_np is None else _said("slope", score.slope_np, given, shape)


def _check_slope(slopes: tuple[Any, Any], score: Score, known: Known, head: int) -> None:
    """Both texts of the slope against the difference quotient of the score."""
    step = 1e-5
    above, below = (
        score.np(**asked(score.np, {**known, "s": known["s"] + way * step})) for way in (1, -1)
    )
    with np.errstate(invalid="ignore"):  # -infinity less itself
        quotient = np.broadcast_to((above - below) / (2.0 * step), known["s"].shape)[head]
    for language, found in zip(("NumPy", "Metal"), slopes, strict=True):
        slope = np.broadcast_to(found, quotient.shape)
        apart = np.abs(quotient - slope) > 1e-4 * (1.0 + np.abs(quotient))
        if (at := _first(apart)) is not None:
            raise UsageError(
                f"the score's slope in {language} is {slope[at]:.6g} at "
                f"{_place(known, head, at)}; by its NumPy the score "
                f"changes by {quotient[at]:.6g}: give slope= and slope_np= what the score's "
                "derivative by s is"
            )


def _first(wrong: Any) -> tuple[int, ...] | None:
    places = np.argwhere(wrong)
    return tuple(int(i) for i in places[0]) if len(places) else None


def _advice(known: Known) -> str:
    if known["kv_len"] < _FAR_SIZES[-1]:
        return "correct one of them"
    return "a kernel's whole numbers have 32 bits: let none of its terms pass 2^31"


def _place(known: Known, head: int, at: tuple[int, ...]) -> str:
    return f"h = {head}, {_point(known, at)}, s = {known['s'][head][at]:.6g}"


def _point(known: Mapping[str, Any], at: tuple[int, ...]) -> str:
    q, k = known["q"][at[0], 0], known["k"][0, at[1]]
    others = ", ".join(
        f"{n} = {v}" for n, v in known.items() if n not in ("q", "k", "h", "s") and np.ndim(v) == 0
    )
    return f"q = {q}, k = {k} ({others})"
