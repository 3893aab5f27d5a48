from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foundry.errors import EnvironmentUnusable
from foundry.harness.frames import Frame
from foundry.harness.jobs import (
    UNBUILT,
    BaselineRun,
    Build,
    Confine,
    Crash,
    Describe,
    Examine,
    ReportedFinding,
    Results,
    Run,
    Timeout,
    decode_program,
    encode_program,
)
from foundry.harness.processes.environment import clean_environment
from foundry.harness.processes.pool import WorkerPool
from foundry.harness.processes.start import Spawner, Starter, starter
from foundry.harness.sandbox import Level
from foundry.program import BuildFailure, Device, Launch, Program, TensorSpec
from ops import registry
from ops.workload import Case

SOFTMAX = registry.get("softmax")
WORKLOAD = SOFTMAX.workload(Case({"rows": 3, "cols": 40}), "float32")
OUT = TensorSpec("out", (3, 40), "float32")
X = np.random.default_rng(0).standard_normal((3, 40)).astype(np.float32)


def program(word: str) -> Program:
    launch = Launch("softmax", ("x",), (OUT,), f"//{word}", (1, 1, 1), (1, 1, 1))
    return Program((TensorSpec("x", (3, 40), "float32"),), ("out",), (launch,))


def run_of(index: int = 0) -> Run:
    return Run(index, ({"x": X},), (OUT,))


def children() -> list[int]:
    """Processes below this one, at any depth."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(parents.get(os.getpid(), []))
    for pid in found:
        found += parents.get(pid, [])
    return found


def gone(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def spawn_directives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every worker afresh, as on a Mac."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(
        "foundry.harness.processes.pool.starter",
        lambda engine, level: Spawner("directive_engine:DirectiveEngine"),
    )


def test_programs_cross_as_json_unchanged() -> None:
    made = program("right")
    assert decode_program(encode_program(made)) == made


def test_build_run_and_baseline_give_arrays(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        assert worker.ask(Build((program("right"),), (0,)), 20) == (None,)
        (outputs,) = worker.ask(run_of(), 20).outputs
    for name in SOFTMAX.baselines:
        found = pool.run(BaselineRun("softmax", "", WORKLOAD, name, {"x": X}, (OUT,)), 20)
        np.testing.assert_allclose(found["out"], outputs["out"], rtol=1e-5)


def test_a_build_failure_is_a_value(pool: WorkerPool) -> None:
    failures = pool.run(Build((program("right"), program("refused")), (0, 1)), 20)
    assert failures == (None, BuildFailure("kernel:1:1: error: no such word"))


@pytest.mark.parametrize(
    ("word", "signal", "reason"),
    [
        ("segv", 11, "SIGSEGV"),
        ("abort", 6, "SIGABRT"),
        ("exit", None, "exited with code 0"),
        ("raise", None, "RuntimeError: device lost"),
        ("environment", None, r"secrets: \[\]"),
    ],
)
def test_a_kernel_that_ends_its_process_is_a_crash(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch, word: str, signal: int | None, reason: str
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    with pool.lease() as worker:
        worker.ask(Build((program(word),), (0,)), 20)
        found = worker.ask(run_of(), 20)
        assert isinstance(found, Crash)
        assert found.signal == signal
        assert __import__("re").search(reason, found.reason)
        assert not worker.alive
        assert gone(worker.pid)


def test_a_hang_is_killed_at_its_limit_with_its_group(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        worker.ask(Build((program("hang"),), (0,)), 20)
        start = time.monotonic()
        assert worker.ask(run_of(), 0.3) == Timeout(0.3)
        assert time.monotonic() - start < 1.3
        assert gone(worker.pid)


def test_bytes_on_every_descriptor_are_no_reply(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        worker.ask(Build((program("forge"),), (0,)), 20)
        assert isinstance(worker.ask(run_of(), 20), Crash)


def test_numbers_beyond_all_bounds_are_no_reply(pool: WorkerPool) -> None:
    """As a process may send them that a kernel has taken over."""

    class Beyond(Run):
        def decode(self, frame: Frame) -> Results:
            return Results((), (), (int(json.loads("1e999")),))

    with pool.lease() as worker:
        worker.ask(Build((program("right"),), (0,)), 20)
        found = worker.ask(Beyond(0, ({"x": X},), (OUT,)), 20)
        assert isinstance(found, Crash)
        assert "does not fit the job" in found.reason


def test_the_pool_goes_on_after_a_crash(pool: WorkerPool) -> None:
    for word in ("segv", "right", "abort", "right"):
        with pool.lease() as worker:
            worker.ask(Build((program(word),), (0,)), 20)
            found = worker.ask(run_of(), 20)
        assert isinstance(found, Crash) == (word != "right")


def test_every_candidate_has_a_process_of_its_own_and_never_more_than_allowed(
    pool: WorkerPool,
) -> None:
    pids: list[int] = []
    inside: list[int] = []
    most: list[int] = []

    def evaluate() -> None:
        with pool.lease() as worker:
            inside.append(worker.pid)
            most.append(len(inside))
            pids.append(worker.pid)
            worker.ask(Describe(), 20)
            inside.remove(worker.pid)

    threads = [threading.Thread(target=evaluate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 8
    assert max(most) <= 2


def test_a_gpus_workers_are_started_afresh_for_each_candidate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spawn_directives(monkeypatch)
    with WorkerPool("metal", 1, tmp_path) as made:
        pids = set()
        for _ in range(3):
            with made.lease() as worker:
                assert isinstance(worker.ask(Describe(), 20), Device)
                pids.add(worker.pid)
        assert len(pids) == 3
        with made.lease() as worker:
            worker.ask(Build((program("segv"),), (0,)), 20)
            assert worker.ask(run_of(), 20) == Crash("killed by SIGSEGV", 11)
        with made.lease() as worker:
            assert worker.pid not in pids


def test_closing_leaves_no_process_and_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = WorkerPool("directive_engine:DirectiveEngine", 1, tmp_path / "locks")
    before = set(children())
    with made.lease() as worker:
        worker.ask(Describe(), 20)
        assert set(children()) > before
    with made.trusted() as trusted:
        trusted.ask(Describe(), 20)
    made.close()
    assert set(children()) == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("foundry-worker")] == []


def test_a_lost_fork_server_is_no_fault_of_a_kernel(pool: WorkerPool) -> None:
    def lose_it() -> None:
        with pool.lease() as worker:
            worker.ask(Build((program("late 60"),), (0,)), 20)
            lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children()}
            os.kill(min(pid for pid, line in lines.items() if b"fork_server" in line), 9)
            worker.ask(run_of(), 20)

    with pytest.raises(EnvironmentUnusable, match="fork server ended"):
        lose_it()
    with pool.lease() as worker:
        assert worker.ask(Build((program("right"),), (0,)), 20) == (None,)


KILLED_JUDGE = """
import sys
from pathlib import Path
from foundry.harness.jobs import Describe
from foundry.harness.processes.pool import WorkerPool
pool = WorkerPool(sys.argv[2], 1, Path(sys.argv[1]))
with pool.lease() as worker:
    worker.ask(Describe(), 60)
    print(worker.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("engine", ["directive_engine:DirectiveEngine", "cpu"])
def test_a_killed_judge_takes_its_workers_along(tmp_path: Path, engine: str) -> None:
    folder, left = str(Path(__file__).parent), tmp_path / "left"
    left.mkdir()
    judge = subprocess.Popen(
        [sys.executable, "-c", KILLED_JUDGE, str(tmp_path), engine],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": folder, "TMPDIR": str(left)},
    )
    with judge:
        assert judge.stdout is not None
        pid = int(judge.stdout.readline())
        assert not gone(pid)
        judge.kill()

    def is_clean() -> bool:
        # The fork server, of the cpu engine, takes its folder along.
        return gone(pid) and (engine != "cpu" or not list(left.glob("foundry-worker-*")))

    until = time.monotonic() + 10
    while not is_clean() and time.monotonic() < until:
        time.sleep(0.02)
    assert is_clean()


def test_an_engine_that_cannot_work_here_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with (
        WorkerPool("directive_engine:MissingEngine", 1, tmp_path) as made,
        pytest.raises(EnvironmentUnusable, match="Plug one in"),
    ):
        made.device()


def test_a_worker_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (
        WorkerPool("no_such_module:Engine", 1, tmp_path) as made,
        pytest.raises(EnvironmentUnusable, match="no_such_module"),
    ):
        made.device()


@pytest.mark.parametrize("start", [starter, Spawner])
def test_a_worker_that_knows_no_device_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: Callable[[str, Level], Starter]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(
        "foundry.harness.processes.pool.starter",
        lambda engine, level: start("directive_engine:BrokenEngine", level),
    )
    with (
        WorkerPool("cpu", 1, tmp_path) as made,
        pytest.raises(EnvironmentUnusable, match="did not start: .*the GPU is on fire"),
    ):
        made.device()


def test_workers_get_no_secret() -> None:
    source = {"PATH": "/bin", "ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "b", "HF_TOKEN": "c"}
    given = clean_environment(source)
    assert given["PATH"] == "/bin"
    assert not {"a", "b", "c"} & set(given.values())


def test_closing_the_pool_frees_a_thread_that_waits_for_a_worker(pool: WorkerPool) -> None:
    found: list[object] = []
    busy = threading.Event()

    def work() -> None:
        with pool.lease() as worker:
            worker.ask(Build((program("late 60"),), (0,)), 20)
            busy.set()
            found.append(worker.ask(run_of(), 120))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert busy.wait(60)
    pool.close()
    thread.join(30)
    assert not thread.is_alive()
    assert isinstance(found[0], Crash)


def test_who_times_a_baseline_may_ask_for_another_meanwhile(pool: WorkerPool) -> None:
    """What a timed kernel gave is looked at more closely while the trusted worker is held."""
    found: list[bool] = []

    def work() -> None:
        with pool.trusted() as outer, pool.trusted() as inner:
            found.append(inner is outer and isinstance(inner.ask(Describe(), 20), Device))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert found == [True]


def test_a_closed_pool_keeps_no_worker_that_it_started_late(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spawn_directives(monkeypatch)
    made = WorkerPool("metal", 1, tmp_path)
    made.close()
    before, opened = set(children()), len(os.listdir("/proc/self/fd"))
    with made.trusted(), made.lease():
        pass
    assert len(os.listdir("/proc/self/fd")) == opened
    assert all(gone(pid) for pid in set(children()) - before)


def test_a_runner_ends_whose_builder_did_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with WorkerPool("directive_engine:DirectiveEngine", 1, tmp_path) as made:
        made.device()
        before, opened = set(children()), len(os.listdir("/proc/self/fd"))

        def refused(builds: bool) -> Confine:
            if builds:
                raise EnvironmentUnusable("no process is left", "Wait.")
            return Confine(False, 0, (), None)

        monkeypatch.setattr(made, "_confine", refused)
        with pytest.raises(EnvironmentUnusable, match="no process is left"), made.lease():
            pass
        assert len(os.listdir("/proc/self/fd")) == opened
        assert all(gone(pid) for pid in set(children()) - before)


def test_what_is_built_during_a_screen_does_not_show_in_it(pool: WorkerPool) -> None:
    sanitizer = "directive_sanitizer:examine"
    with pool.lease() as worker:
        worker.prepare("softmax", "", ("directive_sanitizer",))
        ahead = Examine(sanitizer, program("right"), {"x": X}, program("refused"))
        assert worker.ask(ahead, 20) == ()
        assert worker.ask(Build((program("right"),), (0,)), 20) == (None,)
        (failure,) = worker.ask(Build((program("refused"),), (0,)), 20)
    assert isinstance(failure, BuildFailure)


def test_what_a_sanitizer_cannot_build_is_no_kernel_without_faults(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        worker.prepare("softmax", "", ("directive_sanitizer",))
        asked = Examine("directive_sanitizer:examine", program("refused"), {"x": X})
        assert worker.ask(asked, 20) == (ReportedFinding("error: too much", None, UNBUILT),)


def test_a_core_is_free_until_every_one_has_a_candidate(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pool.lease() as one, pool.lease() as two:
        assert one.has_room
        assert not two.has_room
