"""Counting in a sandboxed worker: whatever the kernel does comes back as data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from foundry.harness.frames import Frame
from foundry.harness.jobs import Crash, ReplyError, Timeout, Unanswered
from foundry.harness.measuring.counting import Count, Uncounted
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.options import worth_timing
from foundry.judge.time.counting import with_counters
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.msl.counters import Counters
from foundry.program import Launch, Program, TensorSpec
from foundry.report.counters import KEY, counters_of
from ops import registry

SILU = """/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.x;
float v = float(x[i]);
out[i] = T(v / (1.0f + metal::precise::exp(-v)));
"""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    with WorkerPool("cpu", 1, tmp_path_factory.mktemp("locks")) as made:
        yield made


def job(body: str) -> Count:
    x, out = TensorSpec("x", (64,), "float32"), TensorSpec("out", (64,), "float32")
    head = "uint i = thread_position_in_grid.x;\n"
    launch = Launch("k", ("x",), (out,), head + body, (64, 1, 1), (64, 1, 1))
    return Count(Program((x,), ("out",), (launch,)), {"x": np.arange(64, dtype=np.float32)})


def counted(
    pool: WorkerPool, body: str, limit_s: float = 60.0
) -> Counters | Uncounted | Unanswered:
    with pool.lease() as lease:
        return (lease.builder or lease.runner).ask(job(body), limit_s)


def test_counters_come_back(pool: WorkerPool) -> None:
    found = counted(pool, "out[i] = x[(2 * i) % 64];")
    assert isinstance(found, Counters)
    assert found.loads.per_instruction == 2
    assert found.hottest(1)[0].text == "out[i] = x[(2 * i) % 64];"


def test_a_kernel_that_does_not_build_is_not_counted(pool: WorkerPool) -> None:
    found = counted(pool, "out[i] = y[i];")
    assert isinstance(found, Uncounted)
    assert "undeclared identifier 'y'" in found.reason


def test_a_crash_and_a_hang_end_the_worker_alone(pool: WorkerPool) -> None:
    assert isinstance(counted(pool, "*(device float*)(8ul + i) = 1; out[i] = 0;"), Crash)
    endless = "volatile uint k = 1; while (k) k += 2; out[i] = k;"
    assert isinstance(counted(pool, endless, limit_s=5.0), Timeout)
    assert isinstance(counted(pool, "out[i] = x[i];"), Counters)


@pytest.mark.parametrize("header", [{}, {"counters": {"stages": [{}]}}, {"counters": []}])
def test_a_reply_that_is_none_is_refused(header: dict[str, object]) -> None:
    with pytest.raises(ReplyError):
        job("").decode(Frame(header, memoryview(b"")))


def evaluation(status: Status) -> Evaluation:
    said = () if status.passed else (Diagnostic(stage="verify", message="no"),)
    return Evaluation(
        kernel_hash="0", op="silu", dtype="float16", device_id="d", status=status, diagnostics=said
    )


def test_an_evaluation_that_passed_gets_counters(pool: WorkerPool) -> None:
    op = registry.get("silu")
    failed = evaluation(Status.WRONG_RESULT)
    assert with_counters(pool, failed, SILU, op) is failed
    found = with_counters(pool, evaluation(Status.CORRECT), SILU, op)
    workload = worth_timing(op, "float16")
    (summary,) = counters_of(found).values()
    assert list(found.extra[KEY]) == [workload.id]
    assert summary["moved_bytes"] == summary["ideal_bytes"]
    assert {line["line"] for line in summary["lines"]} == {8, 9}
    assert Evaluation.model_validate_json(found.model_dump_json()) == found
