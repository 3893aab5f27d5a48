"""The whole way on the cpu engine: real kernels, compiled, confined, judged, timed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from foundry.judge.time import plausible
from ops import registry
from templates import registry as templates
from templates import space
from templates.render import render

PLAN = TimingPlan(blocks=6, min_blocks=3, budget_s=0.05)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    with WorkerPool("cpu", 1, tmp_path_factory.mktemp("locks")) as made:
        yield made


def template(name: str) -> tuple[str, str]:
    found = templates.get(name)
    return found.op, render(found, space.default(found))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("silu_elements", "float16"),
        ("rope_pairs", "bfloat16"),
        ("softmax_two_stage", "float32"),
        ("cumsum_simdgroup", "float16"),
    ],
)
def test_honest_kernels_are_proven(pool: WorkerPool, name: str, dtype: str) -> None:
    op, text = template(name)
    found = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False)).evaluate(
        text, registry.get(op), dtype
    )
    assert found.status is Status.CORRECT, found.why


@pytest.mark.slow
def test_a_kernel_with_two_outputs_is_timed(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausible, "agrees", lambda *us: True)
    op, text = template("topk_lists")
    judge = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, plan=PLAN, per_workload=2))
    found = judge.evaluate(text, registry.get(op), "float32")
    assert found.status.passed, found.why
    (timing,) = found.timings
    assert timing.kernel_us > 0
    assert timing.floor_us is not None
    assert timing.floor_us < timing.kernel_us


SOFTMAX = """/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [1, 1, 1]
*/
{head}
// --- body ---
uint row = thread_position_in_grid.x;
uint cols = x_shape[1];
{before}
float peak = -INFINITY;
for (uint c = 0; c < cols; ++c) peak = max(peak, float(x[row * cols + c]));
float total = 0;
for (uint c = 0; c < cols; ++c) total += exp(float(x[row * cols + c]) - peak);
for (uint c = 0; c < {count}; ++c)
  out[row * cols + c] = T(exp(float(x[row * cols + c]) - peak) / total);
{after}
"""


SPOILS = """template <typename U> void spoil(const device U* at) {
  *const_cast<device U*>(at) = 0;
}
template <typename U> void spoil(const constant U*) {}
"""


def softmax(before: str = "", after: str = "", count: str = "cols", head: str = "") -> str:
    return SOFTMAX.format(before=before, after=after, count=count, head=head)


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        (softmax(), Status.CORRECT, ""),
        (softmax("undeclared += 1;"), Status.BUILD_ERROR, "undeclared"),
        (softmax("if (cols == 1024) return;"), Status.WRONG_RESULT, "never written"),
        (softmax(count="min(cols, 4096u)"), Status.WRONG_RESULT, "hidden workload"),
        (
            softmax(before="volatile uint go = 1; while (cols == 128 && go) {}"),
            Status.TIMEOUT,
            "killed",
        ),
        (
            softmax(head=SPOILS, after="spoil(x + row * cols);"),
            Status.CRASH,
            "belongs to no array",
        ),
        (softmax(after="out[row * cols] += 1e-3f;"), Status.WRONG_RESULT, "expected"),
    ],
)
def test_each_fault_ends_where_it_should(
    pool: WorkerPool, text: str, status: Status, says: str
) -> None:
    judge = Judge(
        pool,
        JudgeOptions(sanitizer=None, reach_s=0.0, timed=False, run_limit_s=2.0, per_workload=2),
    )
    found = judge.evaluate(text, registry.get("softmax"), "float32")
    assert found.status is status, found
    assert says in found.why


def test_user_ops_reach_a_confined_worker(pool: WorkerPool, tmp_path: Path) -> None:
    file = tmp_path / "doubling.py"
    file.write_text(
        """
from ops import Case, Op, Tensor, axes

doubling = Op(
    name="doubling", family="user", formula="out = 2 x", axes=axes("n"),
    inputs=(Tensor("x", ("n",)),), outputs=(Tensor("out", ("n",)),),
    oracle=lambda inputs, workload: (2.0 * inputs["x"],),
    baselines={"plain": "x * 2"},
    flops="n", visible=(Case({"n": 5}),), hidden=(Case({"n": 0}), Case({"n": 33}),),
    bench=(Case({"n": 1 << 18}, label="large"),),
)
"""
    )
    (op,) = registry.load_file(file)
    text = (
        '/*kernel\nop = "doubling"\ngrid = ["n"]\nthreadgroup = [32]\n*/\n// --- body ---\n'
        "out[thread_position_in_grid.x] = x[thread_position_in_grid.x] * T(2);\n"
    )
    judge = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, plan=PLAN))
    assert judge.evaluate(text, op, "float32").status.passed
