"""Timing has the machine alone: others are waited for, or stand still and go on afterwards."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from foundry.harness.frames import Channel
from foundry.harness.jobs import Build, Results, Run
from foundry.harness.processes.clock import Clock, children_s, processor_s
from foundry.harness.processes.lock import DeviceLock
from foundry.harness.processes.pool import WorkerPool
from foundry.harness.processes.turns import Turn, Turns
from foundry.program import Launch, Program, TensorSpec

SHORT_S, LONG_S = 0.1, 20.0
OUT = TensorSpec("out", (3, 40), "float32")
X = np.zeros((3, 40), np.float32)


class Workers:
    def __init__(self, can_stop: bool = True) -> None:
        self.can_stop = can_stop
        self.calls: list[str] = []

    def stop(self) -> None:
        self.calls.append("stop")

    def resume(self) -> None:
        self.calls.append("resume")


class Held:
    """A context held by a thread of its own, so that its end can wait for others."""

    def __init__(self, context: AbstractContextManager[object]) -> None:
        self.inside, self.outside = threading.Event(), threading.Event()
        self._end = threading.Event()
        self.value: object = None
        self._thread = threading.Thread(target=self._hold, args=(context,), daemon=True)
        self._thread.start()

    def _hold(self, context: AbstractContextManager[object]) -> None:
        with context as self.value:
            self.inside.set()
            assert self._end.wait(LONG_S)
        self.outside.set()

    def end(self) -> None:
        self._end.set()


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    return Turns(DeviceLock("cpu", tmp_path))


def taken(turns: Turns, workers: Workers) -> Iterator[Turn]:
    with turns.turn(workers) as turn:
        yield turn


@pytest.fixture
def first(turns: Turns) -> Iterator[Turn]:
    yield from taken(turns, Workers())


@pytest.fixture
def second(turns: Turns) -> Iterator[Turn]:
    yield from taken(turns, Workers())


def test_timing_waits_for_whoever_is_busy(first: Turn, second: Turn) -> None:
    timing = Held(second.alone())
    assert not timing.inside.wait(SHORT_S)
    asking = Held(first.asking())
    assert asking.inside.wait(LONG_S)
    assert timing.inside.wait(LONG_S)
    timing.end()
    assert timing.outside.wait(LONG_S)
    asking.end()
    assert asking.outside.wait(LONG_S)


def test_workers_that_are_asked_stand_still_and_go_on(first: Turn, second: Turn) -> None:
    asking = Held(first.asking())
    assert asking.inside.wait(LONG_S)
    with second.alone():
        assert first.workers.calls == ["stop"]
        asking.end()
        assert not asking.outside.wait(SHORT_S)
    assert asking.outside.wait(LONG_S)
    assert first.workers.calls == ["stop", "resume"]
    assert first.stood_s >= SHORT_S
    assert second.workers.calls == []
    assert second.stood_s == 0
    assert first.is_busy
    assert second.is_busy


def test_workers_that_cannot_stop_are_waited_for(turns: Turns, second: Turn) -> None:
    with turns.turn(Workers(can_stop=False)) as first:
        asking = Held(first.asking())
        assert asking.inside.wait(LONG_S)
        timing = Held(second.alone())
        assert not timing.inside.wait(SHORT_S)
        asking.end()
        assert asking.outside.wait(LONG_S)
        assert not timing.inside.wait(SHORT_S)
    assert timing.inside.wait(LONG_S)
    timing.end()
    assert timing.outside.wait(LONG_S)


def test_nobody_comes_in_while_one_times(turns: Turns, first: Turn) -> None:
    with first.alone():
        late = Held(turns.turn(Workers()))
        assert not late.inside.wait(SHORT_S)
    assert late.inside.wait(LONG_S)
    late.end()
    assert late.outside.wait(LONG_S)


def test_two_never_time_together(turns: Turns) -> None:
    one = Held(turns.alone())
    assert one.inside.wait(LONG_S)
    two = Held(turns.alone())
    assert not two.inside.wait(SHORT_S)
    one.end()
    assert two.inside.wait(LONG_S)
    two.end()
    assert two.outside.wait(LONG_S)


def test_other_processes_prove_between_timings_and_never_during_one(
    turns: Turns, first: Turn, tmp_path: Path
) -> None:
    elsewhere = DeviceLock("cpu", tmp_path)
    with elsewhere.shared():
        timing = Held(first.alone())
        assert not timing.inside.wait(SHORT_S)
    assert timing.inside.wait(LONG_S)
    other = Held(elsewhere.shared())
    assert not other.inside.wait(SHORT_S)
    timing.end()
    assert other.inside.wait(LONG_S)
    other.end()
    assert timing.outside.wait(LONG_S)
    timing = Held(elsewhere.exclusive())
    assert not timing.inside.wait(SHORT_S)
    timing.end()


def test_timing_that_fails_lets_everybody_go_on(first: Turn, second: Turn) -> None:
    asking = Held(first.asking())
    assert asking.inside.wait(LONG_S)
    with pytest.raises(ZeroDivisionError), second.alone():
        raise ZeroDivisionError
    asking.end()
    assert asking.outside.wait(LONG_S)
    assert first.workers.calls == ["stop", "resume"]
    assert second.is_busy


def test_a_clock_leaves_out_the_time_it_stood_still() -> None:
    now = [100.0]
    clock = Clock(wall_s=lambda: now[0])
    start = clock()
    now[0] += 1.0
    clock.stop()
    now[0] += 5.0
    assert clock() - start == 1.0
    clock.resume()
    now[0] += 2.0
    assert clock() - start == 3.0


def test_a_clock_counts_what_a_busy_machine_left_for_the_worker() -> None:
    now, used = [100.0], [3.0]
    clock = Clock(lambda: used[0], lambda: now[0])
    now[0], used[0] = 108.0, 6.0
    assert clock() == 3.0
    now[0] = 120.0
    assert clock() == 5.0, "a worker that waits for ever has an end too"
    used[0] = 99.0
    assert clock() == 20.0, "several threads do not make time pass faster than on the wall"
    clock.restart()
    assert clock() == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such clock")
def test_the_processor_time_of_another_process_is_known() -> None:
    """Once the process has had any: a machine may count in steps."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        while (used_s := processor_s(child.pid)) == 0.0:
            time.sleep(SHORT_S)
        child.kill()
        child.wait()
    assert used_s is not None
    assert 0.0 < used_s < 60.0
    assert processor_s(child.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say")
def test_what_ended_children_used_is_known() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}]); input()"
    work = "import time\nwhile time.process_time() < 0.1: pass"
    command = [sys.executable, "-c", script.format(work)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        while not (used_s := children_s(child.pid)):
            time.sleep(SHORT_S)
        child.kill()
        child.wait()
    assert 0.05 < used_s < 60.0
    assert children_s(child.pid) == 0.0


def test_elsewhere_what_children_used_is_unknown_and_not_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert children_s(1) is None


def test_a_deadline_does_not_pass_while_its_clock_stands_still() -> None:
    ours, theirs = socket.socketpair()
    clock = [0.0]
    with ours, theirs:
        late = threading.Timer(SHORT_S, Channel(theirs).send, [{"late": True}])
        late.start()
        frame = Channel(ours, lambda: clock[0]).receive(0, SHORT_S / 10)
        late.join()
    assert frame.header == {"late": True}


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_worker_stands_still_while_another_is_timed(pool: WorkerPool) -> None:
    launch = Launch("softmax", ("x",), (OUT,), "//late 0.2", (1, 1, 1), (1, 1, 1))
    program = Program((TensorSpec("x", (3, 40), "float32"),), ("out",), (launch,))
    with pool.lease() as one, pool.lease() as two, pool.turn(one), pool.turn(two) as turn:
        assert one.ask(Build((program,), (0,)), LONG_S) == (None,)
        found: list[object] = []
        asks = threading.Thread(
            target=lambda: found.append(one.ask(Run(0, ({"x": X},), (OUT,), 10), LONG_S))
        )
        asks.start()
        while one.turn and one.turn.is_busy:
            time.sleep(0.001)
        with turn.alone():
            while state_of(one.pid) != "T":
                time.sleep(0.001)
            assert state_of(two.pid) != "T"
            asks.join(3 * SHORT_S)
            assert not found
        asks.join(LONG_S)
    assert isinstance(found[0], Results)


def test_processes_that_time_and_one_that_begins_do_not_wait_in_a_circle(
    turns: Turns, tmp_path: Path
) -> None:
    """One holds the device and wants to time; another process wants to time as well; a third
    candidate of the first process waits behind that one.
    """
    first = Held(turns.turn(Workers()))
    assert first.inside.wait(LONG_S)
    assert isinstance(first.value, Turn)
    elsewhere = Held(DeviceLock("cpu", tmp_path).exclusive())
    assert not elsewhere.inside.wait(SHORT_S)
    third = Held(turns.turn(Workers()))
    assert not third.inside.wait(SHORT_S)
    timing = Held(first.value.alone())
    assert elsewhere.inside.wait(LONG_S)
    elsewhere.end()
    assert third.inside.wait(LONG_S)
    third.end()
    assert timing.inside.wait(LONG_S)
    timing.end()
    assert timing.outside.wait(LONG_S)
    first.end()
