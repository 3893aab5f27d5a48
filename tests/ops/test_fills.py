"""Fills: whatever distribution is dealt, the rule of the fill is kept, and its marks are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS
from ops import fills
from ops.dtypes import DTYPE_BYTES, FLOAT_DTYPES, numpy_dtype
from ops.errors import UsageError
from ops.fills import Fill

SIZES = {"experts": 5, "tokens": 40, "pages": 4096, "few": 3}
SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (3, 0), (7,), (2, 40), (3, 4, 11))
INTEGERS = tuple(d for d in DTYPE_BYTES if "int" in d)
SIGNED = tuple(d for d in INTEGERS if not d.startswith("u"))
Array = NDArray[Any]


def wide(array: Array) -> Array:
    return array.astype(np.float64)


def rows(array: Array) -> Array:
    if not array.size or not array.ndim:
        return array.reshape(-1, 1)
    return array.reshape(-1, array.shape[-1])


def between(low: float, high: float) -> Callable[[Array], bool]:
    return lambda a: bool(((wide(a) >= low) & (wide(a) <= high)).all())


def is_segmented(array: Array, most: float = np.inf, padding: bool = True) -> bool:
    for row in rows(array).astype(np.int64):
        body = row[row >= 0]
        steps = np.diff(body)
        if (row[len(body) :] != -1).any() or (len(body) < len(row) and not padding):
            return False
        if len(body) and (body[0] != 0 or body[-1] >= most or not np.isin(steps, (0, 1)).all()):
            return False
    return True


def is_offsets(array: Array) -> bool:
    return all(
        row[0] == 0 and row[-1] == 40 and (np.diff(row.astype(np.int64)) >= 0).all()
        for row in rows(array)
    )


def is_permutation(array: Array) -> bool:
    return all(sorted(row) == list(range(len(row))) for row in rows(array))


def is_simplex(array: Array) -> bool:
    units = {"float32": 1e-6, "float16": 1e-2, "bfloat16": 1e-1}[array.dtype.name]
    sums = wide(array).sum(axis=-1) if array.ndim and array.size else np.ones(())
    return bool((wide(array) >= 0).all() and (np.abs(sums - 1) < units).all())


def is_log_sums(array: Array) -> bool:
    found = wide(array)
    nothing = (found == -np.inf) | (np.abs(found + 1e30) < 1e28)
    return bool((nothing | np.isfinite(found)).all()) and (found.size < 100 or nothing.any())


def is_padded(array: Array) -> bool:
    for row in rows(array):
        if not ((row >= -1) & (row < 4096)).all() or (np.diff((row == -1).astype(int)) < 0).any():
            return False
    kept = array[array >= 0]
    return len(np.unique(kept)) == len(kept)


def doubled(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Array:
    found: Array = values(rng, shape, dtype) * 2
    return found


RULES: dict[str, tuple[Fill, tuple[str, ...], Callable[[Array], bool]]] = {
    "any real": (fills.Real(), FLOAT_DTYPES, lambda a: bool(np.isfinite(wide(a)).all())),
    "unit": (fills.Real(0, 1), FLOAT_DTYPES, between(0, 1)),
    "odd ends": (fills.Real(-0.3, 0.1), FLOAT_DTYPES, between(-0.3, 0.1)),
    "from": (fills.Real(low=0.1), FLOAT_DTYPES, between(0.1, np.inf)),
    "up to": (fills.Real(high=-0.7), FLOAT_DTYPES, between(-np.inf, -0.7)),
    "index": (fills.Index("experts"), INTEGERS, between(0, 4)),
    "sorted": (
        fills.Sorted(fills.Index("experts")),
        INTEGERS,
        lambda a: between(0, 4)(a) and bool((np.diff(wide(a)) >= 0).all() if a.ndim else True),
    ),
    "distinct": (
        fills.Distinct("pages"),
        ("int32", "uint32", "int64", "uint64", "int16", "uint16"),
        lambda a: between(0, 4095)(a) and len(np.unique(a)) == a.size,
    ),
    "padded": (fills.Padded(fills.Distinct("pages")), ("int16", "int32", "int64"), is_padded),
    "segments": (fills.Segments(), SIGNED, is_segmented),
    "three segments": (fills.Segments("few"), SIGNED, lambda a: is_segmented(a, 3)),
    "all positions": (
        fills.Segments(padding=False),
        INTEGERS,
        lambda a: is_segmented(a, padding=False),
    ),
    "offsets": (fills.Offsets("tokens"), INTEGERS, is_offsets),
    "permutation": (fills.Permutation(), INTEGERS, is_permutation),
    "positive": (fills.Positive(), FLOAT_DTYPES, lambda a: bool((a > 0).all())),
    "log sums": (fills.LogSums(), ("float32", "bfloat16"), is_log_sums),
    "simplex": (fills.Simplex(), FLOAT_DTYPES, is_simplex),
    "int": (fills.Int(), INTEGERS, lambda a: True),
    "some ints": (fills.Int(-3, 8), SIGNED, between(-3, 8)),
    "bits": (fills.Bits(), INTEGERS, lambda a: True),
    "fp8": (
        fills.Bits(without=(0x7F, 0xFF)),
        ("uint8", "int8"),
        lambda a: not np.isin(a.view(np.uint8), (0x7F, 0xFF)).any(),
    ),
    "bool": (fills.Bool(), ("bool_",), lambda a: True),
    "custom": (fills.Custom(doubled), FLOAT_DTYPES, lambda a: True),
}


def draw(
    fill: Fill, shape: tuple[int, ...], dtype: str, distribution: str = "normal", seed: int = 1
) -> Array:
    rng = np.random.Generator(np.random.Philox(seed))

    def values(rng: Any, shape: Any, dtype: str) -> Array:
        return np.clip(DISTRIBUTIONS[distribution](rng, shape, dtype), -6e4, 6e4)

    return fill.draw(rng, shape, dtype, SIZES, values)


@given(
    name=st.sampled_from(sorted(RULES)),
    distribution=st.sampled_from(list(DISTRIBUTIONS)),
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 2**63),
    data=st.data(),
)
@settings(max_examples=400)
def test_a_fill_keeps_its_rule_its_shape_and_its_dtype_and_the_seed_decides(
    name: str, distribution: str, shape: tuple[int, ...], seed: int, data: st.DataObject
) -> None:
    fill, dtypes, rule = RULES[name]
    dtype = data.draw(st.sampled_from(dtypes))
    if fill.unfit(dtype) or fill.refusal(shape, SIZES):
        return
    found = draw(fill, shape, dtype, distribution, seed)
    assert found.shape == shape
    assert found.dtype == numpy_dtype(dtype)
    assert rule(found), found
    assert found.tobytes() == draw(fill, shape, dtype, distribution, seed).tobytes()


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_shape_is_drawn_or_refused_in_words(name: str) -> None:
    fill, dtypes, _ = RULES[name]
    assert [fill.unfit(dtype) for dtype in dtypes] == [""] * len(dtypes)
    refused = [shape for shape in SHAPES if fill.refusal(shape, SIZES)]
    assert len(refused) <= 2
    assert set(refused) <= {(), (1,)}


@pytest.mark.parametrize("distribution", ["normal", "uniform", "large", "duplicates", "cancelling"])
@pytest.mark.parametrize("dtype", ["uint32", "uint8", "int64"])
def test_packed_words_hold_every_nibble_in_every_place(distribution: str, dtype: str) -> None:
    words = draw(fills.Bits(), (64, 32), dtype, distribution)
    unsigned = words.view(f"u{words.dtype.itemsize}").astype(np.uint64)
    for shift in range(0, 8 * words.dtype.itemsize, 4):
        counts = np.bincount(((unsigned >> np.uint64(shift)) & np.uint64(15)).ravel().astype(int))
        assert len(counts) == 16
        assert counts.min() > 0.4 * words.size / 16


def test_patterns_follow_the_values_that_are_dealt() -> None:
    bits = fills.Bits()
    assert all(len(np.unique(row)) == 1 for row in draw(bits, (5, 9), "uint32", "constant"))
    assert len(np.unique(draw(bits, (20, 20), "uint32", "ties"))) <= 6
    normal, touched = (draw(bits, (9, 9), "uint32", d) for d in ("normal", "touched"))
    assert (normal != touched).sum() == 1
    assert (normal != draw(bits, (9, 9), "uint32", "negated")).all()


@pytest.mark.parametrize("below", [1, 2, 5, 300])
def test_indices_reach_both_ends_and_repeat(below: int) -> None:
    fill = fills.Index(below)
    found = draw(fill, (4, 8), "int32")
    assert (found.min(), found.max()) == (0, below - 1)
    assert len(np.unique(found)) < found.size
    assert set(np.unique(draw(fill, (64, 64), "int32"))) == set(range(below))
    normal, touched = (draw(fill, (64, 64), "int32", d) for d in ("normal", "touched"))
    assert (normal != touched).sum() <= 1


def test_indices_keep_the_character_of_what_is_dealt() -> None:
    index = fills.Index(1000)
    assert len(np.unique(draw(index, (8, 64), "int32", "ties"))) <= 8
    assert all(len(np.unique(row)) == 1 for row in draw(index, (8, 64), "int32", "constant"))
    steps = np.diff(draw(index, (64,), "int32", "sorted").astype(int))
    assert np.mean(steps >= 0) > 0.9 or np.mean(steps <= 0) > 0.9


def test_a_range_reaches_both_ends_in_every_dtype() -> None:
    for dtype in FLOAT_DTYPES:
        found = wide(draw(fills.Real(0, 1), (40,), dtype))
        assert (found.min(), found.max()) == (0.0, 1.0)
    for dtype in INTEGERS:
        found, info = draw(fills.Int(), (40,), dtype), np.iinfo(dtype)
        assert found.min() == info.min
        assert found.max() >= info.max - 2**11


def test_documents_of_length_one_padding_and_empty_spans_all_happen() -> None:
    segments = draw(fills.Segments(), (200, 24), "int32")
    lengths = [np.unique(row[row >= 0], return_counts=True)[1] for row in segments]
    assert any((length == 1).any() for length in lengths)
    assert any(len(length) == 1 and length[0] == 24 for length in lengths)
    assert any(len(length) > 5 for length in lengths)
    padded = (segments == -1).any(axis=-1)
    assert 0.3 < padded.mean() < 0.9
    assert (segments == -1).all(axis=-1).any()
    spans = np.diff(draw(fills.Offsets("tokens"), (50, 9), "int32"))
    assert (spans == 0).any(axis=-1).mean() > 0.3
    assert (spans > 0).any()


@pytest.mark.parametrize("name", sorted(set(RULES) - {"bool"}))
def test_other_values_that_are_dealt_make_other_inputs(name: str) -> None:
    """Else a kernel could leave the results of one call in place of those of the next."""
    fill, (dtype, *_), _ = RULES[name]
    drawn = [draw(fill, (4, 24), dtype, d).tobytes() for d in ("normal", "touched", "negated")]
    assert len(set(drawn)) >= 2, name
    assert drawn[0] != drawn[2], name


@pytest.mark.parametrize(
    ("fill", "shape", "said"),
    [
        (fills.Index("experts - 5"), (3,), "which is 0"),
        (fills.Distinct("few"), (2, 2), "4 distinct indices, and only 3"),
        (fills.Padded(fills.Distinct("few")), (4,), "4 distinct indices"),
        (fills.Sorted(fills.Index(0)), (1,), "which is 0"),
        (fills.Segments("few - 3"), (3,), "at most few - 3 documents"),
        (fills.Segments(), (), "is a scalar"),
        (fills.Offsets("tokens"), (1,), "has no span"),
    ],
)
def test_what_cannot_be_drawn_is_refused(fill: Fill, shape: tuple[int, ...], said: str) -> None:
    assert said in fill.refusal(shape, SIZES)


@pytest.mark.parametrize(
    ("fill", "dtype", "said"),
    [
        (fills.Real(1, 0), "float32", "low must be less"),
        (fills.Real(), "int32", "Real fills floats"),
        (fills.Int(2, 1), "int32", "low must not be more"),
        (fills.Int(), "float32", "Int fills integers"),
        (fills.Padded(fills.Index(3)), "uint32", "pads with -1"),
        (fills.Bool(), "int32", "Bool fills bool_"),
        (fills.Simplex(), "int32", "Simplex fills floats"),
        (fills.Positive(), "int32", "Positive fills floats"),
        (fills.LogSums(), "float16", "LogSums fills float32 and bfloat16"),
    ],
)
def test_a_dtype_that_cannot_hold_the_values_is_refused(fill: Fill, dtype: str, said: str) -> None:
    assert said in fill.unfit(dtype)


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (fills.Real(), ""),
        (fills.Real(0, 1), "from 0 up to 1"),
        (fills.Real(high=-0.5), "up to -0.5"),
        (fills.Int(low=3), "from 3"),
        (fills.Bits(), "any pattern of bits"),
        (fills.Bits((0x7F,)), "any pattern but 0x7f"),
        (fills.Sorted(fills.Index("e")), "indices below e, ascending along the last axis"),
        (fills.Sorted(fills.Real()), "ascending along the last axis"),
        (fills.Padded(fills.Distinct("p")), "indices below p, none twice, then -1 to the end"),
        (
            fills.Segments("d"),
            "the segment of each position, ascending from 0, at most d of them, then -1 to the end",
        ),
        (fills.Offsets("t"), "where each span begins, ascending from 0 to t"),
        (fills.Permutation(), "a permutation along the last axis"),
        (fills.Simplex(), "probabilities along the last axis"),
        (fills.Positive(), "above zero"),
        (fills.LogSums(), "any number, -1e30 and -infinity"),
    ],
)
def test_a_fill_tells_a_proposer_its_rule(fill: Fill, said: str) -> None:
    assert fill.in_words() == said


def test_a_custom_fill_of_another_shape_is_an_error_of_the_op() -> None:
    wrong = fills.Custom(lambda rng, shape, dtype, sizes, values: np.zeros(3))
    with pytest.raises(UsageError, match=r"drew shape \[3\] for \[2\]"):
        draw(wrong, (2,), "float32")


def test_a_tensor_that_says_nothing_holds_everything_of_its_dtype() -> None:
    assert fills.default("bfloat16") == fills.Real()
    assert fills.default("uint8") == fills.Int()
    assert fills.default("bool_") == fills.Bool()
