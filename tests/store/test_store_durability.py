"""What is left after a kill, a full disk, and several processes at once: real ones, all of them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import store_examples as ex

from foundry.errors import EnvironmentUnusable
from foundry.kernel import render
from foundry.store import CallState, NodeRecord, Store, settings_key
from foundry.store import connection as connection_module

WRITER = """
import itertools, sys
import store_examples as ex
from foundry.kernel import render
from foundry.store import NodeRecord, Store

path, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Store.open(path) as store:
    run_id = ex.begin(store, seed=first)
    store.begin_call(run_id, "anthropic", "claude", "hash", {"n": first}, most_usd=0.5)
    for number in itertools.count(first) if count < 0 else range(first, first + count):
        k = ex.kernel(number)
        with store.transaction():
            store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
            store.save_node(run_id, NodeRecord(number - first, None, "mutate", "judged", k.hash))
        print(k.hash, flush=True)
    store.finish_run(run_id, "done")
"""


@contextmanager
def writer(path: Path, first: int, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that saves kernels and prints the hash of each once it is saved."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    return str(found)


@pytest.mark.parametrize(
    ("how", "kill_after"),
    [(signal.SIGKILL, 1), (signal.SIGKILL, 7), (signal.SIGKILL, 23), (signal.SIGINT, 5)],
)
def test_a_kill_loses_nothing_that_was_saved(
    tmp_path: Path, how: signal.Signals, kill_after: int
) -> None:
    path = tmp_path / "x.db"
    with writer(path, 0, -1) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(kill_after)]
        process.send_signal(how)
        told += process.stdout.read().split()
        process.wait()
    assert process.returncode == -how
    with Store.open(str(path), read_only=True) as store:
        stored = [s.evaluation.kernel_hash for s in store.evaluations()]
        # One more may be saved than was told; a torn one may not be there.
        assert stored[: len(told)] == told
        assert len(stored) - len(told) in (0, 1)
        assert [node.kernel_hash for node in store.nodes(1)] == stored
        assert all(
            s.evaluation == ex.passed(ex.kernel(n)) for n, s in enumerate(store.evaluations())
        )
    with Store.open(str(path)) as store:
        run_id = store.resumable("run", settings_key({"ops": ["silu"]}, 0, ex.DEVICE))
        assert run_id == 1
        store.resume_run(run_id)
        assert [call.state for call in store.lose_calls(run_id)] == [CallState.LOST]
        done = {s.evaluation.kernel_hash for s in store.evaluations(run_id=run_id)}
        assert store.find_evaluation(told[0], ex.DEVICE.id, "float32") is not None
        assert done == set(stored)
    assert integrity(path) == "ok"


def test_writers_of_several_processes_all_arrive(tmp_path: Path) -> None:
    """They also race for making and migrating the file."""
    path, each = tmp_path / "new" / "x.db", 25
    writers = [writer(path, 1000 * number, each) for number in range(4)]
    processes = [w.__enter__() for w in writers]
    told = {line for p in processes for line in p.communicate(timeout=120)[0].split()}
    for w in writers:
        w.__exit__(None, None, None)
    assert [p.returncode for p in processes] == [0] * 4
    with Store.open(str(path), read_only=True) as store:
        stored = [s.evaluation.kernel_hash for s in store.evaluations()]
        runs = store.runs()
    assert set(stored) == told
    assert len(stored) == len(told) == 4 * each
    assert sorted(run.seed for run in runs) == [0, 1000, 2000, 3000]
    assert {(run.outcome, run.evaluations) for run in runs} == {("done", each)}
    assert integrity(path) == "ok"


def test_a_report_reads_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with writer(path, 0, -1) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(5)]
        with Store.open(str(path), read_only=True) as store:
            first = len(list(store.evaluations()))
            told += [process.stdout.readline().strip() for _ in range(5)]
            stored = [s.evaluation.kernel_hash for s in store.evaluations()]
    assert first >= 5
    assert stored[:10] == told


def test_read_modify_write_loses_no_update(tmp_path: Path) -> None:
    """BEGIN IMMEDIATE: two stores that read, then write, never overwrite each other."""
    path = str(tmp_path / "x.db")
    with Store.open(path) as one, Store.open(path) as two:
        run_id = ex.begin(one)
        one.save_node(run_id, NodeRecord(0, None, "p", "open"))

        def visit(store: Store) -> None:
            with store.transaction():
                (node,) = store.nodes(run_id)
                store.save_node(run_id, NodeRecord(0, None, "p", "open", visits=node.visits + 1))

        _from_threads(
            [lambda: [visit(one) for _ in range(30)], lambda: [visit(two) for _ in range(30)]]
        )
        assert one.nodes(run_id)[0].visits == 60


def _from_threads(tasks: list[Callable[[], object]]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()


@pytest.mark.parametrize("fixed", [(0, 0, 0), (999, 0, 0)])
def test_writers_keep_apart_with_every_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed: tuple[int, int, int]
) -> None:
    """The extra lock is there for versions with the WAL-reset bug, and only for them."""
    monkeypatch.setattr(connection_module, "FIRST_FIXED_SQLITE", fixed)
    path = tmp_path / "x.db"
    with Store.open(str(path)) as one, Store.open(str(path)) as two:
        first, second = ex.begin(one, 1), ex.begin(two, 2)

        def work(store: Store, run_id: int, start: int) -> None:
            for number in range(start, start + 20):
                k = ex.kernel(number)
                store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)

        _from_threads([lambda: work(one, first, 0), lambda: work(two, second, 100)])
        assert len(list(one.evaluations())) == 40
    assert (tmp_path / "x.db.locks" / "writer").exists() == (fixed[0] == 999)


def test_the_settings_of_sqlite_are_the_durable_ones(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "x.db")) as store, store._reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "mmap_size")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "mmap_size": 0,
    }


# A full disk


def _fill(store: Store) -> tuple[int, EnvironmentUnusable]:
    run_id = ex.begin(store)
    for number in range(5000):
        k = ex.kernel(number)
        try:
            store.save(run_id, k, render(k), ex.passed(k), ex.ORIGIN)
        except EnvironmentUnusable as error:
            return number, error
    raise AssertionError("the disk never got full")


def _check_full(path: Path, limit: Callable[[Store], None] = lambda store: None) -> None:
    with Store.open(str(path)) as store:
        limit(store)
        saved, error = _fill(store)
        assert "the disk is full" in str(error)
        assert "\n" not in str(error)
        assert error.exit_code == 3
        assert saved > 5
        assert len(list(store.evaluations())) == saved
    with Store.open(str(path), read_only=True) as store:
        stored = list(store.evaluations())
    assert [s.evaluation.kernel_hash for s in stored] == [ex.kernel(n).hash for n in range(saved)]
    assert integrity(path) == "ok"


def test_a_database_at_its_size_limit_keeps_what_was_saved(tmp_path: Path) -> None:
    def limit(store: Store) -> None:
        with store._reading() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 60")

    _check_full(tmp_path / "x.db", limit)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, timeout=20, check=False)
    except OSError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip("mounting a small disk needs rights this process lacks")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=20)


def test_a_full_disk_keeps_what_was_saved(small_disk: Path) -> None:
    _check_full(small_disk / "x.db")


def test_a_full_disk_before_the_first_byte_is_one_line(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(b"\0" * 2_000_000)
    with pytest.raises(EnvironmentUnusable, match="the disk is full"):
        Store.open(str(small_disk / "x.db"))


def test_after_space_is_freed_the_same_store_goes_on(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"\0" * 300_000)
    with Store.open(str(small_disk / "x.db")) as store:
        saved, _ = _fill(store)
        filler.unlink()
        k = ex.kernel(9999)
        store.save(1, k, render(k), ex.passed(k), ex.ORIGIN)
        assert len(list(store.evaluations())) == saved + 1
