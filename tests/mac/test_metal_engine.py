"""The metal engine through the whole judge: spawned workers over a stand-in for MLX on a Mac."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry.errors import EnvironmentUnusable
from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.processes import pool as pools
from foundry.harness.processes.pool import WorkerPool
from foundry.harness.processes.start import Spawner
from foundry.judge import Judge, JudgeOptions, Status
from foundry.judge.attacks import Attack, corpus
from foundry.judge.selftest import Judges, run
from foundry.judge.time import plausible
from ops import registry as ops
from templates import registry, space
from templates.render import render

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PLAN = TimingPlan(blocks=4, min_blocks=2, budget_s=0.05)
QUICK_OPS = ("silu", "softmax", "rms_norm", "topk", "rope")
SILU = """/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [{threads}, 1, 1]
{keys}
*/
{header}
// --- body ---
uint i = thread_position_in_grid.x;
{body}
"""
RIGHT = "float v = x[i]; out[i] = T(v / (1.0f + metal::exp(-v)));"


def silu(body: str = RIGHT, header: str = "", keys: str = "", threads: int = 64) -> str:
    return SILU.format(body=body, header=header, keys=keys, threads=threads)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WorkerPool]:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setattr(pools, "starter", Spawner)
    monkeypatch.setattr(plausible, "agrees", lambda *us: True)
    with WorkerPool("mac_engine:MacEngine", 1, tmp_path / "locks") as made:
        yield made


@pytest.fixture
def judge(pool: WorkerPool) -> Judge:
    return Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=1.0))


@pytest.mark.parametrize("name", ["silu", "softmax", "rope", "topk"])
def test_right_kernels_of_every_kind_of_output_pass(name: str, judge: Judge) -> None:
    template = registry.for_op(name)[0]
    op = ops.get(name)
    found = judge.evaluate(render(template, space.default(template)), op, op.dtypes[0], 0)
    assert found.status is Status.CORRECT, found.why


def test_a_kernel_is_sanitized_and_timed(pool: WorkerPool) -> None:
    judge = Judge(pool, JudgeOptions(plan=PLAN, reach_s=1.0))
    found = judge.evaluate(silu(), ops.get("silu"), "float32", 0)
    assert found.status in {Status.CORRECT, Status.FASTER}, found.why
    assert found.stage_ms["sanitize"] > 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("out[i] = T(0);", Status.WRONG_RESULT),
        (f"if (i > 0) {{ {RIGHT} }}", Status.WRONG_RESULT),
        (f"{RIGHT} if (i == 0) const_cast<device T*>(x)[0] = T(7);", Status.REJECTED),
    ],
)
def test_wrong_kernels_do_not_pass(body: str, status: Status, judge: Judge) -> None:
    found = judge.evaluate(silu(body), ops.get("silu"), "float32", 0)
    assert found.status in {status, Status.BUILD_ERROR, Status.WRONG_RESULT}, found.why
    assert not found.status.passed


def test_the_compilers_words_carry_the_line_of_the_kernel_file(judge: Judge) -> None:
    for text in (silu("out[i] = missing;"), silu(RIGHT, "inline float f() { return missing; }")):
        found = judge.evaluate(text, ops.get("silu"), "float32", 0)
        assert found.status is Status.BUILD_ERROR
        (said,) = found.diagnostics
        assert said.line == 1 + text.splitlines().index(
            next(line for line in text.splitlines() if "missing" in line)
        )


def test_whatever_a_compiler_refuses_is_a_build_error(judge: Judge) -> None:
    text = silu(RIGHT, "// macos 14", 'math_mode = "relaxed"')
    found = judge.evaluate(text, ops.get("silu"), "float32", 0)
    assert found.status is Status.BUILD_ERROR
    assert "macOS 15" in found.why


def test_a_pipeline_that_allows_fewer_threads_is_told_as_such(judge: Judge) -> None:
    text = silu(RIGHT, "// pipeline 512", threads=1024)
    found = judge.evaluate(text, ops.get("silu"), "float32", 0)
    assert found.status is Status.BUILD_ERROR
    assert "at most 512 of its threads together" in found.why


def orders(tmp_path: Path, count: int) -> Path:
    made = tmp_path / "orders"
    made.write_text("stop\n" * count)
    return made


@pytest.mark.parametrize(
    "fault", ["InnocentVictim", "SubmissionsIgnored", "ImpactingInteractivity", "Timeout"]
)
def test_a_gpu_that_was_stopped_once_is_no_verdict(
    fault: str, judge: Judge, tmp_path: Path
) -> None:
    left = orders(tmp_path, 1)
    found = judge.evaluate(silu(RIGHT, f"// gpu {fault} {left}"), ops.get("silu"), "float32", 0)
    assert found.status is Status.CORRECT, found.why
    assert left.read_text() == ""


def test_a_kernel_that_stops_the_gpu_twice_timed_out(judge: Judge, tmp_path: Path) -> None:
    text = silu(RIGHT, f"// gpu ImpactingInteractivity {orders(tmp_path, 99)}")
    found = judge.evaluate(text, ops.get("silu"), "float32", 0)
    assert found.status is Status.TIMEOUT
    assert "ImpactingInteractivity" in found.why


def test_a_bystander_is_never_judged(judge: Judge, tmp_path: Path) -> None:
    text = silu(RIGHT, f"// gpu InnocentVictim {orders(tmp_path, 99)}")
    with pytest.raises(EnvironmentUnusable, match="another program keeps the GPU"):
        judge.evaluate(text, ops.get("silu"), "float32", 0)


def test_every_candidate_has_a_process_of_its_own(pool: WorkerPool, judge: Judge) -> None:
    seen = set()
    for body in (RIGHT, "out[i] = T(0);", RIGHT):
        judge.evaluate(silu(body), ops.get("silu"), "float32", 0)
        with pool.lease() as worker:
            seen.add(worker.pid)
    assert len(seen) == 3


def test_the_record_says_what_mlx_cannot_give(pool: WorkerPool) -> None:
    device = pool.device()
    assert device.kind == "metal"
    assert "memory beside arrays" in str(device.fingerprint["unguarded"])


def test_one_runner_has_the_gpu_of_a_mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pools.sys, "platform", "darwin")
    monkeypatch.setattr(pools, "starter", Spawner)
    for engine, workers in (("metal", 1), ("auto", 1), ("cpu", 8)):
        with WorkerPool(engine, 8, tmp_path) as made:
            assert made.workers == workers


def sample() -> list[Attack]:
    """A few attacks of every kind and two controls; what a Mac's MLX cannot run is for Linux."""
    found: list[Attack] = []
    for kind, count in (("controls", 2), ("cheats", 4), ("hostile", 4), ("mutants", 6)):
        those = [a for a in corpus() if a.kind == kind and not a.timed and a.op in QUICK_OPS]
        step = max(1, len(those) // count)
        found += those[step // 2 :: step][:count]
    return found


def test_the_self_test_holds_over_a_macs_engine(pool: WorkerPool) -> None:
    outcomes = list(run(Judges.of(pool), sample(), seed=5, workers=1))
    assert len(outcomes) >= 14
    assert [(o.attack.name, o.evaluation.why) for o in outcomes if not o.held] == []
