"""NaN and infinities: what is planted, what is asked, and kernels that lose a NaN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from foundry.judge.matching import Within
from foundry.judge.oracle.draws.nonfinite import INFINITE, NAN, NAN_OF_ANOTHER, of_large, stated
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.workloads.dealing import with_nonfinite
from ops import Case, registry
from ops.declaring.validation import problems

SOFTMAX, LOG, RMS_NORM, MATMUL = map(registry.get, ("softmax", "log", "rms_norm", "matmul"))
OPTIONS = JudgeOptions(sanitizer=None, reach_s=0.0, timed=False, per_workload=1)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    with WorkerPool("cpu", 1, tmp_path_factory.mktemp("locks")) as made:
        yield made


@pytest.mark.parametrize("dtype", SOFTMAX.dtypes)
@pytest.mark.parametrize("seed", range(5))
def test_some_rows_hold_them_and_others_do_not(dtype: str, seed: int) -> None:
    workload = SOFTMAX.workload(Case({"rows": 7, "cols": 33}), dtype)
    nan = make_inputs(SOFTMAX, workload, NAN, seed)["x"].astype(np.float64)
    infinite = make_inputs(SOFTMAX, workload, INFINITE, seed)["x"].astype(np.float64)
    assert 0 < np.isnan(nan).any(axis=-1).sum() < 7
    assert 0 < np.isinf(infinite).any(axis=-1).sum() < 7
    assert not np.isinf(nan).any()
    assert not np.isnan(infinite).any()


@pytest.mark.parametrize("seed", range(5))
def test_one_factor_leaves_the_nan_of_the_other_to_be_seen(seed: int) -> None:
    workload = MATMUL.workload(Case({"m": 9, "n": 5, "k": 700}), "float32")
    given = make_inputs(MATMUL, workload, NAN, seed)
    most, least = sorted((int(np.isnan(given[n]).sum()) for n in ("a", "b")), reverse=True)
    assert least <= 1 <= most


@pytest.mark.parametrize("seed", range(5))
def test_where_it_counts_each_factor_holds_many_once(seed: int) -> None:
    workload = MATMUL.workload(Case({"m": 9, "n": 8, "k": 700}), "float32")
    assert of_large(MATMUL, workload) == (NAN, NAN_OF_ANOTHER)
    counts = {
        name: tuple(int(np.isnan(given[n]).sum()) for n in ("a", "b"))
        for name in of_large(MATMUL, workload)
        for given in (make_inputs(MATMUL, workload, name, seed),)
    }
    assert {c.index(max(c)) for c in counts.values()} == {0, 1}
    assert of_large(SOFTMAX, SOFTMAX.workloads("bench", "float32")[0]) == (NAN,)


def test_inputs_with_a_range_stay_within_it() -> None:
    workload = LOG.workload(Case({"rows": 7, "cols": 33}), "float32")
    assert np.isfinite(make_inputs(LOG, workload, INFINITE, 1)["x"]).all()


@pytest.mark.parametrize(("rule", "names"), [("undefined", ()), ("nan", (NAN,))])
def test_what_is_dealt_follows_the_rule(rule: str, names: tuple[str, ...]) -> None:
    op = replace(SOFTMAX, nonfinite=rule)
    dealt = [(w, ("normal",)) for w in op.workloads("hidden", "float32")]
    found = [further[1:] for _, further in with_nonfinite(op, dealt, 2, seed=1)]
    assert sorted(found, key=len)[-2:] == [names, names]
    assert sum(map(bool, found)) == 2 * len(names)


def test_only_what_oracle_and_baseline_agree_on_is_asked() -> None:
    value = np.array([1.0, np.nan, np.inf, np.nan, -np.inf, 2.0])
    other = np.array([1.0, np.nan, np.inf, 0.0, np.inf, np.nan], np.float32)
    want = Within(value, np.full(6, 0.1))
    (nan,) = stated(SOFTMAX, NAN, (want,), {"out": other})
    (infinite,) = stated(SOFTMAX, INFINITE, (want,), {"out": other})
    assert isinstance(nan, Within)
    assert nan.free is not None
    assert nan.free.tolist() == [False, False, False, True, True, True]
    assert isinstance(infinite, Within)
    assert infinite.free is not None
    assert infinite.free.tolist() == [False, True, True, True, True, True]
    assert nan.compare(np.array([1, np.nan, np.inf, 7, 7, 7], np.float32)).fault is None
    assert "expected nan" in str(nan.compare(np.array([1, 0, np.inf, 7, 7, 7], np.float32)).fault)


def test_an_element_that_was_never_written_is_no_nan() -> None:
    want = Within(np.array([np.nan]), np.array([1.0]))
    assert "never written" in str(want.compare(np.array([-1], np.int32).view(np.float32)).fault)


def test_a_rule_that_does_not_exist_is_named() -> None:
    (said,) = problems(replace(SOFTMAX, nonfinite="all"))  # type: ignore[arg-type]
    assert "undefined, nan, propagate" in said


SKIPS_NAN = """
/*kernel
op = "rms_norm"
grid = ["rows", 1, 1]
threadgroup = [1, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.x, n = x_shape[1];
float total = 0.0f;
for (uint j = 0; j < n; ++j) { float v = x[row * n + j]; total += STEP; }
float scale = rsqrt(total / n + eps);
for (uint j = 0; j < n; ++j) out[row * n + j] = T(x[row * n + j] * scale * weight[j]);
"""


@pytest.mark.parametrize(
    ("step", "status"),
    [("v * v", Status.CORRECT), ("isnan(v) ? 0.0f : v * v", Status.WRONG_RESULT)],
)
def test_a_kernel_that_loses_a_nan_is_wrong(pool: WorkerPool, step: str, status: Status) -> None:
    text = SKIPS_NAN.replace("STEP", step)
    found = Judge(pool, OPTIONS, secret=1).evaluate(text, RMS_NORM, "float32")
    assert found.status is status, found.why
    if status is Status.CORRECT:
        return
    free = replace(RMS_NORM, nonfinite="undefined")
    assert Judge(pool, OPTIONS, secret=1).evaluate(text, free, "float32").status is Status.CORRECT
