from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from foundry.errors import EnvironmentUnusable, UsageError
from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from foundry.judge.candidate import Candidate, Failed
from foundry.judge.options import BEHIND, Rivals, is_behind, is_settled, worth_timing
from foundry.judge.oracle.workloads.dealing import UNSEEN
from foundry.judge.stages import run_limit_s
from foundry.judge.time import plausible
from foundry.judge.time.statistics import speedup
from foundry.judge.verdict import TIMING_METHOD, Diagnostic
from foundry.kernel import parse
from foundry.program import Program, TensorSpec
from ops import registry
from ops.spec import Op
from ops.workload import Case

SOFTMAX = registry.get("softmax")
PLAN = TimingPlan(blocks=6, min_blocks=3, budget_s=0.05)


def kernel(word: str, **keys: str) -> str:
    entries = {"op": '"softmax"', "grid": "[1]", "threadgroup": "[1]"} | keys
    toml = "\n".join(f"{k} = {v}" for k, v in entries.items())
    return f"/*kernel\n{toml}\n*/\n// --- body ---\n//{word}\n"


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests run on the same cores, so slowness of the machine is no finding here."""
    monkeypatch.setattr(plausible, "agrees", lambda *us: True)


@pytest.fixture
def judge(pool: WorkerPool) -> Judge:
    return Judge(
        pool,
        JudgeOptions(sanitizer=None, reach_s=0.0, plan=PLAN, run_limit_s=1.0, build_limit_s=1.0),
    )


@pytest.mark.parametrize(
    ("word", "status", "stage", "says"),
    [
        ("zeros", Status.WRONG_RESULT, "verify", "softmax[rows=1,cols=1]float32"),
        ("nothing", Status.WRONG_RESULT, "verify", "never written"),
        ("lastelement", Status.WRONG_RESULT, "verify", "expected 1 within"),
        ("onenan", Status.WRONG_RESULT, "verify", "it is nan"),
        ("half", Status.WRONG_RESULT, "verify", "expected"),
        ("wrongshape", Status.WRONG_RESULT, "verify", "its shape is [1], not [1, 1]"),
        ("missing", Status.WRONG_RESULT, "verify", "it is missing"),
        ("hang", Status.TIMEOUT, "verify", "killed after 1 s"),
        ("segv", Status.CRASH, "verify", "SIGSEGV"),
        ("raise", Status.CRASH, "verify", "device lost"),
        ("forge", Status.CRASH, "verify", "protocol"),
        ("refused", Status.BUILD_ERROR, "build", "no such word"),
        ("hangbuild", Status.TIMEOUT, "build", "while it was compiled"),
        ("crashbuild", Status.CRASH, "build", "SIGABRT"),
    ],
)
def test_each_fault_has_its_status_stage_and_sentence(
    judge: Judge, word: str, status: Status, stage: str, says: str
) -> None:
    found = judge.evaluate(kernel(word), SOFTMAX, "float32", 3)
    assert found.status is status
    assert found.diagnostics[0].stage == stage
    assert says in found.diagnostics[0].message
    assert found.timings == ()
    assert found.score is None


@pytest.mark.parametrize(
    ("word", "status", "says"),
    [
        ("bypointer", Status.WRONG_RESULT, "expected"),
        ("byfingerprint", Status.WRONG_RESULT, "expected"),
        ("once", Status.WRONG_RESULT, "never written"),
        ("unlessdone", Status.WRONG_RESULT, "expected"),
        ("whenlisted", Status.WRONG_RESULT, "on a hidden workload"),
        ("zeroinput", Status.CRASH, "a write to an input"),
        ("aroundinput", Status.CRASH, "a write to an input"),
        ("race", Status.WRONG_RESULT, "different results"),
        ("haunt", Status.REJECTED, "even when the kernel is replaced by an empty one"),
    ],
)
def test_each_cheat_is_caught(judge: Judge, word: str, status: Status, says: str) -> None:
    found = judge.evaluate(kernel(word), SOFTMAX, "float32", 3)
    assert found.status is status, found
    assert says in found.diagnostics[0].message


@pytest.mark.slow
def test_a_kernel_may_race_where_it_declares_atomic_outputs(judge: Judge) -> None:
    found = judge.evaluate(kernel("race", atomic_outputs="true"), SOFTMAX, "float32", 3)
    assert found.status.passed


def test_a_judge_draws_its_seed_and_records_it(pool: WorkerPool) -> None:
    options = JudgeOptions(sanitizer=None, reach_s=0.0, timed=False)
    seeds = {Judge(pool, options).evaluate(kernel("right"), SOFTMAX, "float32").seed}
    seeds.add(Judge(pool, options).evaluate(kernel("right"), SOFTMAX, "float32").seed)
    assert len(seeds) == 2
    assert Judge(pool, options, secret=5).evaluate("", SOFTMAX, "float32").seed == 5


def test_a_right_kernel_is_timed_and_carries_its_samples(judge: Judge) -> None:
    found = judge.evaluate(kernel("right"), SOFTMAX, "float32", 3)
    assert found.status.passed
    (timing,) = found.timings
    timed = worth_timing(SOFTMAX, "float32")
    assert timing.label == timed.label
    assert len(timing.samples_baseline_us) == len(timing.samples_kernel_us) >= 2
    assert timing.speedup_low <= timing.speedup <= timing.speedup_high
    assert timing.bytes_moved == 2 * 4 * math.prod(timed.axes.values())
    assert timing.method == TIMING_METHOD
    assert timing.baseline_dispatch_us > 0
    assert timing.kernel_dispatch_us > 0
    assert {"parse", "build", "verify", "benchmark"} <= set(found.stage_ms)
    assert max(e.bound_ratio for e in found.errors) <= 1
    proven = len(SOFTMAX.visible) + len(SOFTMAX.hidden) + UNSEEN
    # On a busy machine it may not be surely faster, and is then run on no further sizes.
    beyond = len(SOFTMAX.bench) if found.status is Status.FASTER else 0
    assert len({e.workload for e in found.errors}) >= proven + beyond


def test_the_record_says_of_every_other_dtype_what_became_of_it(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    op = replace(SOFTMAX, dtypes=("float32", "float16", "bfloat16", "float64"))
    walk: Any = SimpleNamespace(
        candidate=Candidate(kernel("right"), op, "float32", 3),
        worker=SimpleNamespace(is_whole=True),
    )
    signal = Failed(Status.CRASH, Diagnostic(stage="verify", message="a signal"))
    answers = {"float16": None, "bfloat16": signal}
    monkeypatch.setattr(judge, "_prove_in", lambda walk, dtype: answers[dtype])
    judge._prove_in_others(walk)
    assert walk.candidate.also_right_in == ["float16"]
    assert walk.candidate.facts == {
        "not right in bfloat16": "a signal",
        "not tried in float64": "its crash in bfloat16 ended the worker",
    }


@pytest.mark.slow
def test_a_slow_kernel_is_correct_and_not_faster(judge: Judge) -> None:
    found = judge.evaluate(kernel("late 0.02"), SOFTMAX, "float32", 3)
    assert found.status is Status.CORRECT
    assert found.score is not None
    assert found.score < 1


def test_a_kernel_right_only_at_visible_sizes_is_blocked_and_told_little(judge: Judge) -> None:
    found = judge.evaluate(kernel("smallonly"), SOFTMAX, "float32", 3)
    assert found.status is Status.WRONG_RESULT
    (said,) = found.diagnostics
    assert said.hidden
    assert "8209" not in said.message
    assert "hidden workload" in said.message


def test_a_broken_file_is_invalid_with_its_line(judge: Judge) -> None:
    found = judge.evaluate(kernel("right", grid='["rows + colls"]'), SOFTMAX, "float32", 3)
    assert found.status is Status.INVALID
    assert found.diagnostics[0].line == 3
    assert "did you mean cols" in found.diagnostics[0].message


def test_text_that_is_no_kernel_has_a_hash_of_its_own(judge: Judge) -> None:
    found = judge.evaluate("Sure! Here is a kernel.", SOFTMAX, "float32", 3)
    assert found.status is Status.INVALID
    assert len(found.kernel_hash) == 64


def test_a_kernel_for_another_op_is_invalid(judge: Judge) -> None:
    found = judge.evaluate(kernel("right", op='"silu"'), SOFTMAX, "float32", 3)
    assert found.status is Status.INVALID
    assert "for 'silu'" in found.why


def test_a_size_that_only_a_hidden_workload_refuses_is_not_told(judge: Judge) -> None:
    text = kernel("right", threadgroup='["min(cols % 8209, 1)"]')
    found = judge.evaluate(text, SOFTMAX, "float32", 3)
    assert found.status is Status.INVALID
    assert found.diagnostics[0].hidden


@pytest.mark.slow
def test_text_and_kernel_are_judged_alike(judge: Judge) -> None:
    text = kernel("right")
    a = judge.evaluate(text, SOFTMAX, "float16", 3)
    b = judge.evaluate(parse(text), SOFTMAX, "float16", 3)
    assert a.kernel_hash == b.kernel_hash
    assert a.status.passed
    assert b.status.passed


@pytest.mark.slow
def test_finalists_are_stated_with_intervals_for_all_of_them(judge: Judge) -> None:
    found = judge.evaluate(kernel("right"), SOFTMAX, "float32", 3, rivals=Rivals(finalists=4))
    assert found.extra["benchmark"]["finalists"] == 4
    for timing in found.timings:
        plain = speedup(timing.samples_baseline_us, timing.samples_kernel_us)
        assert timing.speedup_low <= plain.low
        assert timing.speedup_high >= plain.high


def test_a_kernel_behind_the_best_is_no_settled_question(judge: Judge) -> None:
    found = judge.evaluate(kernel("right"), SOFTMAX, "float32", 3, rivals=Rivals(best=math.inf))
    assert found.status is Status.CORRECT
    behind = found.model_copy(update={"extra": {"benchmark": {BEHIND: 2.0}}})
    assert is_behind(behind)
    assert not is_settled(behind, SOFTMAX, "quick")
    assert is_settled(found.model_copy(update={"extra": {}}), SOFTMAX, "quick")
    assert found.proven is not None
    assert found.proven.dtypes == ("float32",)


def test_untimed_judging_stops_at_correct(pool: WorkerPool) -> None:
    judge = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False))
    found = judge.evaluate(kernel("right"), SOFTMAX, "bfloat16", 3)
    assert found.status is Status.CORRECT
    assert found.timings == ()


@pytest.mark.slow
def test_threads_share_a_judge_and_faults_stay_with_their_kernel(judge: Judge) -> None:
    words = ["right", "segv", "right", "hang", "right", "zeros"]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda w: judge.evaluate(kernel(w), SOFTMAX, "float32", 3), words))
    statuses = ["passed" if e.status.passed else e.status for e in found]
    assert statuses == ["passed", "crash", "passed", "timeout", "passed", "wrong_result"]


def test_the_screen_comes_first_and_its_sentence_is_the_diagnostic(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(
        pool, JudgeOptions(sanitizer="directive_sanitizer:examine", reach_s=0.0, timed=False)
    )
    found = judge.evaluate(kernel("segv"), SOFTMAX, "float32", 3)
    assert found.status is Status.SANITIZER_ERROR
    assert found.diagnostics[0].line == 7
    assert found.diagnostics[0].message == "thread 0 reads x[1] of 1"
    assert judge.evaluate(kernel("right"), SOFTMAX, "float32", 3).status is Status.CORRECT


def test_unknown_bench_label_and_dtype_are_usage_errors(pool: WorkerPool, judge: Judge) -> None:
    with pytest.raises(UsageError, match="float32"):
        judge.evaluate(kernel("right"), SOFTMAX, "float31", 3)
    odd = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, bench=("smollm2",)))
    with pytest.raises(UsageError, match="smollm2-135m"):
        odd.evaluate(kernel("right"), SOFTMAX, "float32", 3)


def test_a_workload_larger_than_the_memory_is_refused_before_it_is_made(judge: Judge) -> None:
    huge = replace(SOFTMAX, bench=(Case({"rows": 1 << 20, "cols": 1 << 20}, label="huge"),))
    with pytest.raises(EnvironmentUnusable, match="GB of memory"):
        judge.evaluate(kernel("right"), huge, "float32", 3)


USER_OPS = """
from ops import Case, Op, Tensor, axes


def oracle(inputs, workload):
    {oracle}


mine = Op(
    name="{name}", family="user", formula="softmax", axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")),), outputs=(Tensor("out", ("rows", "cols")),),
    oracle=oracle, baselines={baselines}, flops="rows * cols",
    visible=(Case({{"rows": 2, "cols": 3}}),), hidden=(Case({{"rows": 1, "cols": 1}}),),
    bench=(Case({{"rows": 64, "cols": 2048}}, label="mine"),),
)
"""
RIGHT = "from ops.families.rows.softmax import softmax_rows; return (softmax_rows(inputs['x']),)"


def user_op(folder: Path, name: str, oracle: str, baselines: str) -> Op:
    file = folder / f"{name}.py"
    file.write_text(USER_OPS.format(name=name, oracle=oracle, baselines=baselines))
    return registry.load_file(file)[0]


def test_an_op_from_a_users_file_is_judged_and_a_broken_baseline_is_left_out(
    judge: Judge, tmp_path: Path
) -> None:
    op = user_op(
        tmp_path, "user_softmax", RIGHT, '{"bad": "x @ x", "good": "mx.softmax(x, axis=-1)"}'
    )
    found = judge.evaluate(kernel("right", op='"user_softmax"'), op, "float32", 3)
    assert found.status.passed
    assert found.timings[0].baseline == "good"


@pytest.mark.parametrize(
    ("name", "oracle", "baselines", "says"),
    [
        ("user_a", RIGHT, '{"bad": "x @ x"}', "no baseline of user_a runs"),
        (
            "user_b",
            "raise ZeroDivisionError('n')",
            '{"good": "mx.softmax(x, axis=-1)"}',
            "oracle of user_b fails",
        ),
    ],
)
def test_an_op_that_cannot_be_judged_is_not_the_kernels_fault(
    judge: Judge, tmp_path: Path, name: str, oracle: str, baselines: str, says: str
) -> None:
    op = user_op(tmp_path, name, oracle, baselines)
    with pytest.raises(EnvironmentUnusable, match=says):
        judge.evaluate(kernel("right", op=f'"{name}"'), op, "float32", 3)


def test_small_workloads_are_given_little_time_and_large_ones_what_is_allowed() -> None:
    spec = TensorSpec("x", (100,), "float32")
    small = Program((spec,), ("out",), ())
    large = Program((replace(spec, shape=(10**6,)),), ("out",), ())
    assert 2.0 < run_limit_s(small, 5, 10.0) < 2.1
    assert run_limit_s(large, 5, 10.0) == 10.0
    assert run_limit_s(small, 5, 0.5) == 0.5
