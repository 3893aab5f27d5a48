from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from foundry.errors import UsageError
from foundry.judge.oracle.draws import spots
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS, largest_finite
from foundry.judge.oracle.inputs import applicable, make_inputs
from ops import registry
from ops.dtypes import numpy_dtype
from ops.fills import Index, LogSums, Real
from ops.spec import Op
from ops.workload import Case, Tensor, dtype_of, shape_of

SILU = registry.get("silu")


def draw(
    distribution: str, dtype: str = "float32", seed: int = 1, rows: int = 6, cols: int = 40
) -> NDArray[Any]:
    workload = SILU.workload(Case({"rows": rows, "cols": cols}), dtype)
    return make_inputs(SILU, workload, distribution, seed)["x"]


@given(
    distribution=st.sampled_from(list(DISTRIBUTIONS)),
    op=st.sampled_from(sorted(registry.all_ops())),
    seed=st.integers(0, 2**63),
    data=st.data(),
)
def test_inputs_have_the_ops_shapes_and_dtypes_and_are_finite_but_where_masked(
    distribution: str, op: str, seed: int, data: st.DataObject
) -> None:
    found: Op = registry.get(op)
    dtype = data.draw(st.sampled_from(found.dtypes))
    case = data.draw(st.sampled_from(found.visible + found.hidden))
    workload = found.workload(case, dtype)
    arrays = make_inputs(found, workload, distribution, seed)
    assert list(arrays) == [t.name for t in found.inputs] + list(found.params)
    for tensor in (t for t in found.inputs if t.name not in workload.absent):
        array = arrays[tensor.name]
        assert array.shape == shape_of(tensor, workload)
        assert array.dtype == numpy_dtype(dtype_of(tensor, workload))
        values = array.astype(np.float64)
        if distribution == "widest":  # some rows are masked
            values = values[~np.isinf(values)]
        if isinstance(tensor.fill, LogSums):  # of nothing too
            values = values[values != -np.inf]
        assert np.isfinite(values).all()


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    assert draw("normal").tobytes() == draw("normal").tobytes()
    assert draw("normal").tobytes() != draw("normal", seed=2).tobytes()


def test_scaled_distributions_are_multiples_of_the_normal_one() -> None:
    normal = draw("normal")
    np.testing.assert_array_equal(draw("negated"), -normal)
    np.testing.assert_allclose(draw("large"), 3 * normal, rtol=1e-6)
    np.testing.assert_allclose(draw("small"), 0.01 * normal, rtol=1e-6)


def test_faint_rows_lie_at_every_distance_above_the_smallest_numbers() -> None:
    for dtype, faintest in (("float32", 2.0**-38), ("float16", 2.0**-10.5)):
        sizes = np.abs(draw("faint", dtype, rows=400).astype(np.float64)).max(axis=1)
        assert sizes.min() < 4 * faintest
        assert sizes.max() > 2.0**-7


def test_inputs_of_one_kind_come_near_each_other_and_others_do_not() -> None:
    residual, silu = registry.get("speculative_residual"), registry.get("silu")
    assert "alike" in applicable(residual, tuple(DISTRIBUTIONS))
    assert "alike" not in applicable(silu, tuple(DISTRIBUTIONS))
    workload = residual.workload(Case({"rows": 200, "cols": 64}), "float32")
    drawn = make_inputs(residual, workload, "alike", 1)
    left = np.maximum(drawn["target"].astype(np.float64) - drawn["draft"], 0).sum(axis=1)
    assert (left == 0).any()
    assert ((left > 0) & (left < 1e-6)).any()
    assert ((left > 1e-4) & (left < 1e-2)).any()


def test_spots_are_a_few_values_of_every_size_in_one_input_alone() -> None:
    op = registry.get("attention_vjp")
    case = Case({"batch": 2, "heads": 8, "kv_heads": 8, "q_len": 40, "kv_len": 40, "head_dim": 64})
    workload = op.workload(case, "float32")
    assert spots.of_op(op, workload) == spots.SPOTS
    assert spots.of_op(SILU, SILU.workloads("visible", "float32")[0]) == spots.SPOTS[:1]
    holders = set()
    for distribution, seed in itertools.product(spots.SPOTS, range(8)):
        drawn = make_inputs(op, workload, distribution, seed)
        largest = {n: float(np.abs(drawn[n]).max()) for n in ("q", "k", "v", "dout")}
        (holder,) = (name for name, size in largest.items() if size > 10)
        holders.add(holder)
        far = drawn[holder][np.abs(drawn[holder]) > 6]
        assert far.size < 0.06 * drawn[holder].size
        bands = {int(np.floor(value)) for value in far}
        assert len(bands & {*range(-100, -8), *range(8, 100)}) > 150
    assert holders == {"q", "k", "v", "dout"}


def test_some_rows_of_ties_are_zeros_most_of_them_positive() -> None:
    softmax = registry.get("softmax")
    workload = softmax.workload(Case({"rows": 200, "cols": 48}), "float32")
    ties = make_inputs(softmax, workload, "ties", 1)["x"]
    zeros = ties[(ties == 0).all(axis=1)]
    assert 40 < len(zeros) < 100
    negative = np.signbit(zeros).mean(axis=1)
    assert ((negative > 0) & (negative < 0.1)).sum() > 10
    alone = softmax.workload(Case({"rows": 1, "cols": 48}), "float32")
    assert all(make_inputs(softmax, alone, "ties", seed)["x"].any() for seed in range(20))


def test_the_two_kinds_of_spots_lie_in_two_inputs() -> None:
    workload = registry.get("matmul").workload(Case({"m": 9, "n": 9, "k": 40}), "float32")
    drawn = [make_inputs(registry.get("matmul"), workload, name, 1) for name in spots.SPOTS]
    assert [max("ab", key=lambda n: np.abs(d[n]).max()) for d in drawn] in (["a", "b"], ["b", "a"])


def test_each_distribution_has_its_mark() -> None:
    assert len(np.unique(draw("ties"))) <= 5
    assert all(len(np.unique(row)) == 1 for row in draw("constant"))
    assert len(np.unique(draw("duplicates"))) < 0.5 * 240
    assert (np.diff(draw("sorted")) >= 0).all() or (np.diff(draw("sorted")) <= 0).all()
    assert (draw("sparse") == 0).mean() > 0.7
    assert draw("sparse").any()
    tiny = np.abs(draw("denormal"))
    assert ((tiny > 0) & (tiny < 2.0**-126)).any()
    cancelling = draw("cancelling", rows=200)
    assert np.abs(cancelling.sum(axis=1)).mean() < 0.1 * np.abs(cancelling).sum(axis=1).mean()
    assert np.ptp(np.log2(np.abs(draw("extreme")))) > 20


def test_fills_are_kept() -> None:
    op = Op(
        **{
            **{f: getattr(SILU, f) for f in SILU.__dataclass_fields__},
            "inputs": (
                Tensor("u", ("rows", "cols"), fill=Real(0, 1)),
                Tensor("p", ("rows", "cols"), fill=Real(low=2**-10)),
                Tensor("i", ("rows",), dtype="uint32", fill=Index("cols")),
            ),
        }
    )
    workload = op.workload(Case({"rows": 50, "cols": 7}), "float32")
    for distribution in DISTRIBUTIONS:
        arrays = make_inputs(op, workload, distribution, 3)
        assert ((arrays["u"] >= 0) & (arrays["u"] <= 1)).all()
        assert (arrays["p"] > 0).all()
        assert arrays["i"].max() < 7


def test_an_unknown_distribution_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="normal"):
        draw("norml")


def test_numbers_up_to_the_largest_are_for_ops_that_only_select() -> None:
    topk, softmax = registry.get("topk"), registry.get("softmax")
    assert "widest" in applicable(topk, tuple(DISTRIBUTIONS))
    assert "widest" not in applicable(softmax, tuple(DISTRIBUTIONS))
    for dtype, largest in (("float16", 2.0**15), ("float32", 2.0**125)):
        (workload, *_) = topk.workloads("bench", dtype)
        workload = topk.workload(Case({**workload.axes, "rows": 8}), dtype)
        x = make_inputs(topk, workload, "widest", 1)["x"].astype(np.float64)
        drawn = x[np.isfinite(x) & (np.abs(x) <= largest)]
        assert largest / 16 < np.abs(drawn).max()
        masked = {float(v) for v in x[np.abs(x) > largest]}
        ends = {np.inf, largest_finite(dtype)}
        assert masked <= ends | {-end for end in ends}


def test_rows_are_masked_by_the_lowest_and_by_the_largest_numbers() -> None:
    row_min = registry.get("row_min")
    workload = row_min.workload(Case({"rows": 200, "cols": 40}), "float32")
    x = make_inputs(row_min, workload, "widest", 1)["x"]
    most = largest_finite("float32")
    for end in (np.inf, -np.inf, most, -most):
        assert {39, 40} <= set((x == end).sum(axis=1).tolist())


def test_ties_hold_both_zeros_and_one_touched_element_is_anywhere() -> None:
    softmax = registry.get("softmax")
    workload = softmax.workloads("visible", "float32")[2]
    ties = make_inputs(softmax, workload, "ties", 1)["x"]
    zeros = np.signbit(ties[ties == 0])
    assert zeros.any()
    assert not zeros.all()
    places = set()
    for seed in range(20):
        normal = make_inputs(softmax, workload, "normal", seed)["x"]
        touched = make_inputs(softmax, workload, "touched", seed)["x"]
        (place,) = np.flatnonzero(normal != touched)
        places.add(int(place))
    assert len(places) > 15
