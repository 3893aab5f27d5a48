from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from foundry.engines.links import linked
from foundry.harness.frames import Frame
from foundry.harness.jobs import Build, Crash, Timeout
from foundry.harness.measuring.baseline import (
    BaselineCall,
    ProductProgram,
    product_of,
    tuned_blas,
)
from foundry.harness.measuring.calibration import cache_sizes
from foundry.harness.measuring.jobs import (
    BindSide,
    BoundSide,
    Calibrate,
    Go,
    Left,
    Leftovers,
    Peaks,
    Reach,
    Ready,
    Renew,
)
from foundry.harness.measuring.sides import LazySide, count_nodes
from foundry.harness.measuring.timed import Bench
from foundry.harness.processes.affinity import on_one_processor
from foundry.harness.processes.pool import Lease, WorkerPool
from foundry.harness.processes.process import WorkerProcess
from foundry.harness.processes.stopwatch import Lap, Stopwatch
from foundry.program import Launch, Program, TensorSpec
from ops import registry
from ops.workload import Case

SOFTMAX, RMS, MATMUL = (registry.get(name) for name in ("softmax", "rms_norm", "matmul"))
WORKLOAD = SOFTMAX.workload(Case({"rows": 2, "cols": 32}), "float32")
OUT = TensorSpec("out", (2, 32), "float32")
X = np.random.default_rng(0).standard_normal((2, 32)).astype(np.float32)
SETS = ({"x": X}, {"x": X + 1}, {"x": -X})


def program(source: str) -> Program:
    launch = Launch("softmax", ("x",), (OUT,), source, (1, 1, 1), (1, 1, 1))
    return Program((TensorSpec("x", (2, 32), "float32"),), ("out",), (launch,))


def bound(worker: Lease, word: str) -> None:
    worker.ask(Build((program(f"//{word}"), program(";")), (0, 1)), 20)
    assert worker.ask(BindSide("kernel", SETS, 8, 0), 20) == BoundSide(0)


def batch(worker: Lease | WorkerProcess, side: str, calls: int) -> Lap:
    assert worker.ask(Ready(side, calls), 20) is None
    found, lap = worker.clocked(Go(), 20)
    assert found is None
    return lap


def left(worker: Lease | WorkerProcess, side: str, *calls: int) -> Leftovers:
    found = worker.ask(Left(side, calls, (OUT,)), 20)
    assert isinstance(found, Leftovers)
    return found


def test_calls_take_turns_with_the_sets_and_write_to_memory_of_their_own(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        bound(worker, "right")
        batch(worker, "kernel", 8)
        first, fourth, fifth = left(worker, "kernel", 0, 3, 4).outputs
        assert left(worker, "kernel", 7).changed is None
    np.testing.assert_array_equal(first["out"], fourth["out"])
    np.testing.assert_allclose(fifth["out"], first["out"], rtol=1e-5)  # shifted: equal in softmax
    assert not np.array_equal(fifth["out"], first["out"])


def test_nothing_of_an_earlier_batch_is_found_in_the_outputs(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        bound(worker, "unlessdone")
        batch(worker, "kernel", 8)
        worker.ask(Renew("kernel", tuple({"x": s["x"] * 3} for s in SETS)), 20)
        batch(worker, "kernel", 8)
        (again,) = left(worker, "kernel", 0).outputs
        worker.ask(Ready("kernel", 8, keep=True), 20)
        worker.ask(Go(), 20)
        (kept,) = left(worker, "kernel", 0).outputs
    np.testing.assert_array_equal(kept["out"], again["out"])
    e = np.exp(3 * X)
    np.testing.assert_allclose(again["out"], e / e.sum(axis=1, keepdims=True), rtol=1e-4)


def test_a_write_to_an_input_ends_the_worker(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        bound(worker, "zeroinput")
        assert worker.ask(Ready("kernel", 1), 20) is None
        found, _ = worker.clocked(Go(), 20)
    assert isinstance(found, Crash)
    assert found.signal in (signal.SIGSEGV, signal.SIGBUS)


def test_a_baseline_is_a_side_with_as_many_operations_as_its_graph(pool: WorkerPool) -> None:
    workload = RMS.workload(Case({"rows": 2, "cols": 32}), "float32")
    inputs = {"x": X, "weight": X[0]}
    nodes = {}
    with pool.trusted() as worker:
        for name in ("mx.fast.rms_norm", "compiled"):
            job = BindSide(name, (inputs,), 4, op="rms_norm", workload=workload, baseline=name)
            found = worker.ask(job, 60)
            assert isinstance(found, BoundSide)
            nodes[name] = found.nodes
            batch(worker, name, 4)
            (outputs,) = left(worker, name, 3).outputs
            root = np.sqrt((X**2).mean(axis=1, keepdims=True))
            np.testing.assert_allclose(outputs["out"], X / root * X[0], rtol=1e-3)
    assert 0 < nodes["compiled"] < nodes["mx.fast.rms_norm"]  # the parts that can be are fused


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells it on Linux alone")
def test_both_sides_lie_in_small_pages(pool: WorkerPool) -> None:
    with pool.lease() as runner, pool.trusted() as trusted:
        bound(runner, "right")
        workload = SOFTMAX.workload(Case({"rows": 2, "cols": 32}), "float32")
        job = BindSide("it", SETS, 4, op="softmax", workload=workload, baseline="mx.softmax")
        assert isinstance(trusted.ask(job, 60), BoundSide)
        for worker in (runner, trusted):
            status = Path(f"/proc/{worker.pid}/status").read_text()
            assert re.search(r"^THP_enabled:\s*0$", status, re.MULTILINE)


def test_no_batch_that_is_not_ready_is_run(pool: WorkerPool) -> None:
    found = pool.run(Go(), 20)
    assert isinstance(found, Crash)
    assert "no batch is ready" in found.reason
    with pytest.raises(ValueError, match="no batch"):
        Bench("cpu", lambda number: pytest.fail("nothing to build")).go(Frame({}, memoryview(b"")))


def test_a_batch_that_does_not_end_is_ended(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        bound(worker, "hang")
        worker.ask(Ready("kernel", 1), 20)
        found, _ = worker.clocked(Go(), 0.3)
    assert isinstance(found, Timeout)


def test_a_device_has_peaks(pool: WorkerPool) -> None:
    found = pool.run(Calibrate(), 60)
    assert isinstance(found, Peaks)
    assert [c.size for c in found.caches] == list(cache_sizes())
    rates = [*(c.gb_s for c in found.caches), found.memory_gb_s]
    assert min(*rates, found.gflops) > 0
    assert rates[:-1] == sorted(rates[:-1], reverse=True)


def test_the_level_that_holds_the_bytes_gives_the_bandwidth() -> None:
    peaks = Peaks((Reach(100, 9.0), Reach(1000, 4.0)), 1.0, 1.0)
    assert [peaks.gb_s(held) for held in (0, 100, 101, 1000, 1001)] == [9.0, 9.0, 4.0, 4.0, 1.0]


def test_a_product_of_matrices_is_numpys_too() -> None:
    rng = np.random.default_rng(1)
    workload = MATMUL.workload(Case({"m": 3, "n": 5, "k": 7}), "float32")
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((3, 7), (5, 7)))
    call = ProductProgram(MATMUL, workload).bind({"a": a, "b": b})
    call()
    np.testing.assert_allclose(call.outputs()["out"], a @ b.T, rtol=1e-6)
    assert product_of(MATMUL) == ("a", "b", True)
    assert product_of(SOFTMAX) is None
    assert tuned_blas() is None or "blas" in tuned_blas().lower() or "accelerate" in tuned_blas()
    with pytest.raises(ValueError, match="no product"):
        ProductProgram(SOFTMAX, WORKLOAD)


def test_a_narrow_product_is_rounded_once() -> None:
    workload = MATMUL.workload(Case({"m": 2, "n": 2, "k": 64}), "float16")
    a = np.full((2, 64), 0.1, np.float16)
    call = ProductProgram(MATMUL, workload).bind({"a": a, "b": a})
    call()
    wide = (a.astype(np.float32) @ a.T.astype(np.float32)).astype(np.float16)
    np.testing.assert_array_equal(call.outputs()["out"], wide)


class Machine:
    """A worker as its clocks show it: busy, waiting for a processor, idle."""

    def __init__(self) -> None:
        self.wall_s, self.busy_s, self.waited_s = 5.0, 1.0, 0.5
        self.late_s: list[float] = []

    def watch(self) -> Stopwatch:
        return Stopwatch(
            7,
            lambda pid: self.busy_s,
            lambda pid: self.waited_s,
            lambda: self.wall_s,
            lambda seconds: self.settle(),
        )

    def settle(self) -> None:
        if self.late_s:
            self.busy_s += self.late_s.pop()

    def run(self, busy_s: float, waited_s: float = 0.0, idle_s: float = 0.0) -> None:
        self.busy_s += busy_s
        self.waited_s += waited_s
        self.wall_s += busy_s + waited_s + idle_s


@pytest.mark.parametrize(
    ("waited_s", "idle_s", "own_s"),
    [(0.0, 0.0, 0.01), (3.0, 0.0, 0.01), (3.0, 0.001, 0.01), (0.0, 0.5, 0.51), (3.0, 0.5, 0.51)],
)
def test_others_do_not_count_and_idling_does(waited_s: float, idle_s: float, own_s: float) -> None:
    machine = Machine()
    watch = machine.watch()
    machine.run(0.01, waited_s, idle_s)
    assert watch.stop().own_s == pytest.approx(own_s)


def test_processor_time_that_is_booked_late_counts() -> None:
    machine = Machine()
    watch = machine.watch()
    machine.run(0.01)
    machine.late_s = [0.002, 0.004]
    assert watch.stop().own_s == pytest.approx(0.016)


def test_where_no_processor_time_is_known_the_wall_counts() -> None:
    wall = iter((1.0, 3.5))
    lap = Stopwatch(7, lambda pid: None, lambda pid: 0.0, lambda: next(wall), lambda s: None).stop()
    assert lap == Lap(2.5)
    assert lap.own_s == 2.5


@pytest.mark.skipif(sys.platform != "linux", reason="processor time of another process: Linux")
def test_work_is_clocked_and_sleep_is_no_way_out(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        bound(worker, "right")
        start_s = time.perf_counter()
        worked = batch(worker, "kernel", 8)
        assert 0 < worked.own_s < time.perf_counter() - start_s
        bound(worker, "late 0.01")
        assert batch(worker, "kernel", 4).own_s > 0.03


@pytest.mark.skipif(sys.platform != "linux", reason="processors of another process: Linux")
def test_a_process_is_kept_on_one_processor_for_a_while(pool: WorkerPool) -> None:
    with pool.trusted() as worker:
        worker.ask(Calibrate(), 60)
        before = os.sched_getaffinity(worker.pid)
        with on_one_processor([worker.pid, 1 << 30]):
            assert len(os.sched_getaffinity(worker.pid)) == 1
            assert os.sched_getscheduler(worker.pid) == os.SCHED_BATCH
        assert os.sched_getaffinity(worker.pid) == before
        assert os.sched_getscheduler(worker.pid) == os.SCHED_OTHER


def test_a_confined_worker_fuses_as_the_trusted_one_does(pool: WorkerPool) -> None:
    workload = RMS.workload(Case({"rows": 2, "cols": 32}), "float32")
    inputs = {"x": X, "weight": X[0]}
    job = BindSide("fused", (inputs,), 4, op="rms_norm", workload=workload, baseline="compiled")
    with pool.lease() as runner, pool.trusted() as trusted:
        confined = runner.ask(job, 60)
        assert confined == trusted.ask(job, 60)


def test_calls_that_are_chained_give_what_they_give_alone() -> None:
    workload = RMS.workload(Case({"rows": 2, "cols": 32}), "float32")
    calls = [
        BaselineCall(RMS, workload, "mx.fast.rms_norm", {"x": s["x"], "weight": X[0] + 1})
        for s in SETS
    ]
    plain, chained = (LazySide(calls, chained=chained) for chained in (False, True))
    for side in (plain, chained):
        side.ready(7)
        side.run()
    for one, other in zip(plain.left(range(7)), chained.left(range(7)), strict=True):
        np.testing.assert_array_equal(one["out"], other["out"])
    links = LazySide(calls, chained=True, links=True)
    links.ready(3)
    links.run()
    (weight,) = links.left([2])
    np.testing.assert_array_equal(weight["weight"], X[0] + 1)


@pytest.mark.parametrize("value", [0.0, -1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
def test_a_link_changes_no_value_whatever_it_waits_for(value: float, dtype: str) -> None:
    import mlx.core as mx

    whole = 0 if dtype == "int32" and value != value or abs(value) == float("inf") else value
    after = mx.full((3, 2), whole).astype(getattr(mx, dtype))
    for array in (mx.array(2.5), mx.arange(6).reshape(2, 3)):
        found = linked(array, after)
        assert found.shape == array.shape
        assert count_nodes([found]) > 0
        assert found.tolist() == array.tolist()
