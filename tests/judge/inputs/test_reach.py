"""Sizes beyond the lists: which there are, what is sampled of them, and how far a kernel got."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.judge.attacks import corpus
from foundry.judge.attacks.limits import limits
from foundry.judge.candidate import Candidate, Pace, Target
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.sampling import independent_axes, sample
from foundry.judge.oracle.workloads.dealing import unseen
from foundry.judge.oracle.workloads.far import far_workloads
from foundry.judge.proof.forecast import forecast
from foundry.judge.proof.once import unwritten
from foundry.judge.stages import threads
from foundry.judge.verdict import Status
from foundry.kernel import bind, parse
from foundry.program import Arrays, TensorSpec
from ops import all_ops, axes, get
from ops.fills import Distinct
from ops.registry import load_file
from ops.spec import Op, widen
from ops.workload import Case, Tensor, Workload, shape_of
from templates import default, for_op, render

pytestmark = pytest.mark.slow

OPS = sorted(all_ops())
PAIRS, STEPS = "of every pair of places something is read", "steps follow one another in the oracle"
NOT_LONG = {
    "attention_block_sparse": PAIRS,
    "attention_graph": PAIRS,
    "attention_tree": PAIRS,
    "block_mask_document": PAIRS,
    "linear_attention_causal": PAIRS,
    "linear_attention_cosformer": PAIRS,
    "gated_delta": STEPS,
    "gated_delta_channels": STEPS,
    "selective_scan": STEPS,
    "ttt_linear_decode": "every sequence has a square of its own",
}
"""Ops one of whose axes never leaves 16 bits behind, and why."""
NOT_MANY = {
    "block_mask_document": PAIRS,
    "pack_bits": "a million outputs are nine million elements",
}
"""Ops without a workload of more than a million outputs, and why."""
NEAR = """\
import numpy as np
from ops.families.forms.pointwise import elementwise

near = elementwise("near", np=np.abs, flops=1, metal="abs(x)",
    mlx="mx.abs(x) if x.shape[-1] < 50000 else mx.abs(x)[0, 0, 0, 0]")
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool("cpu", 1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("op", "axes"),
    [
        ("silu", ("rows", "cols")),
        ("softmax", ("rows",)),
        ("cumsum", ("rows",)),
        ("topk", ("rows",)),
        ("matmul", ("m", "n")),
        ("attention", ("batch",)),
        ("rope", ("batch", "heads")),
    ],
)
def test_the_oracle_itself_shows_which_axes_are_independent(op: str, axes: tuple[str, ...]) -> None:
    assert independent_axes(get(op)) == axes


def test_indices_that_point_out_of_a_part_tie_its_axis() -> None:
    def oracle(inputs: Arrays, workload: Workload) -> tuple[NDArray[Any], ...]:
        return (inputs["x"][inputs["places"]],)

    op = replace(
        get("silu"),
        name="picked",
        axes=axes("n"),
        inputs=(Tensor("x", ("n",)), Tensor("places", ("n",), "uint32", fill=Distinct("n"))),
        outputs=(Tensor("out", ("n",)),),
        oracle=oracle,
        visible=tuple(Case({"n": n}) for n in (2, 64, 100)),
        hidden=(Case({"n": 33}), Case({"n": 1025})),
    )
    assert independent_axes(op) == ()


@pytest.mark.parametrize("name", [name for name in OPS if independent_axes(get(name))])
def test_a_sample_is_what_the_oracle_says_of_the_whole(name: str) -> None:
    op = get(name)
    case = max(op.visible, key=lambda case: min(case.axes.values()))
    long = dict.fromkeys(independent_axes(op)[:1], 300)
    workload = op.workload(replace(case, axes={**case.axes, **long}), "float32")
    found = sample(op, workload, np.random.default_rng(1))
    assert found is not None
    assert found.part.axes != workload.axes
    inputs = make_inputs(op, workload, "mixed", 3)
    with np.errstate(all="ignore"):
        whole = op.oracle(widen(op, workload, inputs), workload)
        part = op.oracle(widen(op, found.part, found.inputs(op, inputs)), found.part)
    for tensor, all_of_it, some in zip(op.outputs, whole, part, strict=True):
        np.testing.assert_allclose(found.of(tensor, all_of_it), some, rtol=1e-9)


def test_what_has_no_independent_axis_has_no_sample() -> None:
    op = get("rms_norm_vjp")
    (workload, *_) = op.workloads("bench", "float32")
    assert independent_axes(op) == ()
    assert sample(op, workload, np.random.default_rng(1)) is None


def test_an_axis_of_which_few_cases_have_several_places_is_independent_too() -> None:
    assert independent_axes(get("attention_decode_kv8")) == ("batch",)


def test_both_ends_are_sampled_and_the_sides_of_powers_of_two() -> None:
    op = get("softmax")
    workload = op.workload(Case({"rows": 70_000, "cols": 3}), "float32")
    found = sample(op, workload, np.random.default_rng(1))
    assert found is not None
    assert {0, 65535, 65536, 69_999} <= set(found.places["rows"].tolist())


def _axes_beyond(op: Op, seed: int) -> set[str]:
    found = far_workloads(op, "float32", seed)
    return {axis for axis in op.axis_names if any(w.axes[axis] > 1 << 16 for w in found)}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_far_workloads_leave_16_bits_and_a_million_elements_behind(name: str, seed: int) -> None:
    op = get(name)
    free = {axis.name for axis in op.axes if not axis.compiled and not axis.values}
    # As many queries as keys are asked for, and their product is what costs.
    short = free - {"q_len"} - _axes_beyond(op, seed)
    assert bool(short) is (name in NOT_LONG), short
    # A sum over everything has large inputs alone.
    large = [t for t in op.outputs if any(isinstance(n, str) and n != "1" for n in t.shape)]
    found = far_workloads(op, "float32", seed)
    most = max(math.prod(shape_of(t, w)) for w in found for t in (large or op.inputs))
    assert (most <= 1 << 20) is (name in NOT_MANY), most


@pytest.mark.parametrize(
    ("op", "axis", "most"), [("attention", "head_dim", 256), ("topk", "k", 512)]
)
def test_the_largest_compiled_size_is_always_tried(op: str, axis: str, most: int) -> None:
    for seed in range(40):
        assert any(w.axes[axis] == most for w in unseen(get(op), "bfloat16", seed))


def _target(rows: int, cols: int) -> Target:
    op = get("cumsum")
    workload = op.workload(Case({"rows": rows, "cols": cols}), "float32")
    (template, *_) = for_op("cumsum")
    kernel = parse(render(template, default(template)))
    return Target(workload, bind(kernel, op, workload), ())


def test_a_forecast_grows_as_the_work_does_and_allows_brute_force() -> None:
    candidate = Candidate("", get("cumsum"), "float32", 1)
    assert forecast(candidate, _target(20, 4000)).seconds == math.inf
    known = _target(10, 1000).workload
    candidate.paces.append(Pace(known, work(candidate.op, known), 1 << 20, 0.5))
    found = forecast(candidate, _target(20, 4000))
    assert found.seconds == pytest.approx(4.0)
    assert found.most_s == pytest.approx(16.0)


def test_a_forecast_grows_with_the_threads_of_a_kernel() -> None:
    candidate = Candidate("", get("cumsum"), "float32", 1)
    known, wanted = _target(10, 1000), _target(200, 1000)
    amount = work(candidate.op, known.workload)
    candidate.paces.append(Pace(known.workload, amount, threads(wanted.program) // 30, 0.5))
    assert forecast(candidate, wanted).seconds == pytest.approx(15.0, rel=0.1)


def test_what_was_never_written_is_found() -> None:
    spec = TensorSpec("out", (4,), "float32")
    array = np.ones(4, np.float32)
    assert unwritten({"out": array}, [spec]) is None
    array.view(np.uint32)[2] = 0xFFFFFFFF
    assert "1 of 4 elements of output 'out'" in str(unwritten({"out": array}, [spec]))


@pytest.mark.parametrize("name", ["softmax_rows", "silu_cols", "softmax_elements"])
def test_a_kernel_that_ends_somewhere_is_wrong(pool: WorkerPool, name: str) -> None:
    (attack,) = (a for a in limits() if a.name == name)
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=60.0))
    found = judge.evaluate(attack.text, get(attack.op), attack.dtype)
    assert found.status is Status.WRONG_RESULT, found.why


def test_a_bench_shape_of_much_work_is_run_where_little_time_is_given(pool: WorkerPool) -> None:
    name = "softmax_bench_unshifted"
    (attack,) = (a for a in corpus() if a.name == name and a.dtype == "float32")
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=0.01))
    found = judge.evaluate(attack.text, get(attack.op), attack.dtype)
    assert found.status is Status.WRONG_RESULT, found.why
    assert "rows=16384" in found.why


def test_a_baseline_that_goes_less_far_leaves_less_proven(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "near.py").write_text(NEAR)
    (op,) = load_file(tmp_path / "near.py")
    (template, *_) = for_op(op.name)
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=60.0))
    found = judge.evaluate(render(template, default(template)), op, "float32")
    assert found.status is Status.CORRECT, found.why
    assert found.proven is not None
    assert found.proven.axes["cols"][1] < 1 << 14
    assert found.proven.axes["rows"][1] > 1 << 16


def test_what_was_proven_is_on_record(pool: WorkerPool) -> None:
    (template, *_) = for_op("silu")
    text = render(template, default(template))
    near = Judge(pool, JudgeOptions(timed=False, reach_s=0.0)).evaluate(
        text, get("silu"), "float32"
    )
    far = Judge(pool, JudgeOptions(timed=False, reach_s=60.0)).evaluate(
        text, get("silu"), "float32"
    )
    assert near.proven is not None
    assert far.proven is not None
    assert near.proven.axes["cols"][1] < 1 << 14
    assert far.proven.axes["cols"][1] > 1 << 16
    assert far.proven.elements > 1 << 20
