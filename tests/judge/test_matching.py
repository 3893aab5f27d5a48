"""Ties, sets and distributions: right outputs pass, nearly right ones do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from foundry.judge.matching import Difference, Equal, Sampled, Tied, Unordered, Within
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import make_inputs
from ops import Case, Close, Op, Tensor, Ties, axes
from ops.fills import Real

KEYS = np.array([[3.0, 1.0, 3.0, 2.0], [0.0, -0.0, np.inf, np.inf]])
TOP = Tied(np.array([[0, 2], [2, 3]], np.uint32), KEYS, None, -1)


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ([[0, 2], [2, 3]], None),
        ([[2, 0], [3, 2]], None),
        ([[0, 0], [2, 3]], "at [0, 1] it is 0, which is there already; 1 of 4 elements are wrong"),
        ([[0, 3], [2, 3]], "at [0, 1] it is 3, which points at 2.0; expected 2 or another that"),
        ([[0, 2], [2, 4]], "at [1, 1] it is 4, expected an index below 4"),
        ([[5, 2], [2, 0xFFFFFFFF]], "expected an index below 4; 2 of 4 elements are wrong"),
        ([[0, 2], [2, 0xFFFFFFFF]], "1 of 4 elements were never written, the first at [1, 1]"),
    ],
)
def test_indices_that_tie_are_as_right(got: list[list[int]], said: str | None) -> None:
    fault = TOP.compare(np.array(got, np.uint32)).fault
    assert (fault is None) if said is None else said in str(fault)


def test_one_index_a_row_needs_no_axis_of_its_own() -> None:
    best = Tied(np.array([0, 2], np.int32), KEYS, None, 1)
    assert best.compare(np.array([2, 3], np.int32)).fault is None
    assert "at [1] it is -2" in str(best.compare(np.array([2, -2], np.int32)).fault)
    down = Tied(np.array([0, 0, 0, 1]), KEYS, None, 0)
    assert down.compare(np.array([0, 0, 0, 1])).fault is None
    assert "at [2] it is 1, which points at inf" in str(down.compare(np.array([0, 0, 1, 1])).fault)


def test_an_index_may_repeat_where_the_oracles_does() -> None:
    padded = Tied(np.array([[0, 1, 1]]), np.array([[5.0, 0.0]]), None, -1)
    assert padded.compare(np.array([[0, 1, 1]])).fault is None
    assert padded.compare(np.array([[0, 0, 1]])).fault is not None


def test_large_integer_keys_are_told_apart() -> None:
    keys = np.array([2**62, 2**62 + 1])
    assert Tied(np.array([1]), keys, None, -1).compare(np.array([0])).fault is not None


def test_computed_keys_tie_within_their_error() -> None:
    pick = Op(
        name="pick",
        family="test",
        formula="argmax of sigmoid(x) + b",
        axes=axes("rows cols"),
        inputs=(Tensor("x", ("rows", "cols")), Tensor("b", ("cols",))),
        outputs=(Tensor("index", ("rows",), "uint32", match=Ties(by=lambda i, w: keys(i))),),
        oracle=lambda i, w: (np.argmax(keys(i), axis=-1).astype(np.uint32),),
        baselines={},
        flops="rows * cols",
        visible=(),
        hidden=(),
        bench=(),
    )

    def keys(inputs: Any) -> NDArray[Any]:
        return 1.0 / (1.0 + np.exp(-inputs["x"])) + inputs["b"]

    workload = pick.workload(Case({"rows": 500, "cols": 64}), "float32")
    inputs = make_inputs(pick, workload, "normal", 3)
    (want,) = expected(pick, workload, inputs, {}, np.random.default_rng(1))
    narrow = keys({k: v.astype(np.float32) for k, v in inputs.items()})
    assert want.compare(np.argmax(narrow, axis=-1).astype(np.uint32)).fault is None
    half = keys({k: v.astype(np.float16) for k, v in inputs.items()})
    assert want.compare(np.argmax(half, axis=-1).astype(np.uint32)).fault is not None
    without = np.argmax(inputs["x"], axis=-1).astype(np.uint32)
    assert want.compare(without).fault is not None


WHOLE = arrays(np.int32, (3, 6), elements=st.integers(0, 5))


@given(WHOLE, st.randoms())
def test_sets_have_no_order_but_count(values: NDArray[Any], random: Any) -> None:
    want = Unordered(Equal(values))
    shuffled = values.copy()
    for row in shuffled:
        random.shuffle(row)
    assert want.compare(shuffled).fault is None
    shuffled[1, random.randrange(6)] += 1
    assert "once its rows are sorted, at [1" in str(want.compare(shuffled).fault)


def test_rows_of_a_set_do_not_mix() -> None:
    want = Unordered(Equal(np.array([[1, 2], [3, 4]])))
    assert want.compare(np.array([[1, 3], [2, 4]])).fault is not None


def test_a_set_of_floats_gives_every_value_a_place_of_its_own() -> None:
    value = np.array([[1.0, 1.05, 7.0]])
    want = Unordered(Within(value, np.array([[0.1, 1e-6, 1e-6]])))
    assert want.compare(np.array([[7.0, 1.09, 1.05]], np.float32)).fault is None
    assert want.compare(np.array([[7.0, 1.09, 1.09]], np.float32)).fault is not None
    assert want.compare(np.array([[7.0, np.nan, 1.05]], np.float32)).fault is not None


def probabilities(rows: int, outcomes: int) -> NDArray[Any]:
    raw = np.exp(2.0 * np.random.default_rng(7).standard_normal((rows, outcomes)))
    raw[:, 3] = 0.0
    result: NDArray[Any] = raw / raw.sum(axis=-1, keepdims=True)
    return result


def drawn(p: NDArray[Any], seed: int) -> NDArray[Any]:
    u = np.random.default_rng([seed, 1]).random((len(p), 1))
    return np.argmax(np.cumsum(p, axis=-1) > u, axis=-1).astype(np.uint32)


P = probabilities(4000, 30)


def judged(outcomes: NDArray[Any], p: NDArray[Any] = P) -> Difference:
    return Sampled(p, 5).compare(outcomes)


def test_right_samples_pass() -> None:
    ratios = [judged(drawn(P, seed)).bound_ratio for seed in range(200)]
    assert max(ratios) < 1.0
    few = probabilities(3, 9)
    assert all(judged(drawn(few, seed), few).fault is None for seed in range(200))


def squared(p: NDArray[Any], power: float) -> NDArray[Any]:
    raised: NDArray[Any] = p**power / (p**power).sum(axis=-1, keepdims=True)
    return raised


@pytest.mark.parametrize(
    "outcomes",
    [
        pytest.param(np.argmax(P, axis=-1), id="always the likeliest"),
        pytest.param(drawn(squared(P, 1.2), 1), id="a temperature that is 20 % off"),
        pytest.param(drawn((P > 0) / (P > 0).sum(-1, keepdims=True), 1), id="all as likely"),
        pytest.param(drawn(np.where(np.arange(30) < 29, P, 0), 1), id="the last never"),
        pytest.param(drawn(np.roll(P, 2, axis=0) * (P > 0), 1), id="another row's"),
        pytest.param(
            np.argmax(np.cumsum(P, axis=-1) > 0.4, axis=-1), id="one random number for all rows"
        ),
    ],
)
def test_samples_of_another_law_fail(outcomes: NDArray[Any]) -> None:
    assert "not drawn with the probabilities asked" in str(judged(outcomes.astype(np.uint32)).fault)


def test_an_impossible_outcome_fails_at_once() -> None:
    outcomes = drawn(P, 1)
    outcomes[17] = 3
    said = "at [17] it is 3, expected an outcome below 30 whose probability is not 0"
    assert said in str(judged(outcomes).fault)
    outcomes[17] = 30
    assert "at [17] it is 30" in str(judged(outcomes).fault)


def test_integers_that_are_computed_may_round_either_way() -> None:
    codes = Tensor("codes", ("n",), "int8", match=Close())
    op = Op(
        name="codes",
        family="test",
        formula="round(100 x)",
        axes=axes("n"),
        inputs=(Tensor("x", ("n",), "float32", Real(0, 1)),),
        outputs=(codes,),
        oracle=lambda i, w: (100.0 * i["x"],),
        baselines={},
        flops="n",
        visible=(),
        hidden=(),
        bench=(),
    )
    workload = op.workload(Case({"n": 5000}), "float32")
    inputs = make_inputs(op, workload, "uniform", 2)
    (want,) = expected(op, workload, inputs, {}, np.random.default_rng(0))
    scaled = inputs["x"] * np.float32(100)
    assert want.compare(np.rint(scaled).astype(np.int8)).fault is None
    assert want.compare(np.floor(scaled + 0.5).astype(np.int8)).fault is None
    assert want.compare(scaled.astype(np.int8)).fault is not None
    assert replace(codes, match=None).compared != codes.compared
