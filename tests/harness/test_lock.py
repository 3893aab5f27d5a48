from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from foundry.harness.processes.lock import DeviceLock

HOLDER = """
import sys
from pathlib import Path
from foundry.harness.processes.lock import DeviceLock
with DeviceLock("cpu", Path(sys.argv[1])).exclusive():
    print("held", flush=True)
    sys.stdin.read()
"""


def waits(lock: DeviceLock, mode: str) -> tuple[threading.Thread, threading.Event]:
    got = threading.Event()

    def take() -> None:
        with getattr(lock, mode)():
            got.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread, got


def test_shared_use_overlaps_and_exclusive_use_does_not(tmp_path: Path) -> None:
    lock = DeviceLock("cpu", tmp_path)
    with lock.shared():
        thread, got = waits(lock, "shared")
        assert got.wait(5)
        thread.join()
        thread, got = waits(lock, "exclusive")
        assert not got.wait(0.1)
    assert got.wait(5)
    thread.join()


def test_a_waiting_timing_job_is_not_starved_by_builds(tmp_path: Path) -> None:
    lock = DeviceLock("cpu", tmp_path)
    with lock.shared():
        timing, timed = waits(lock, "exclusive")
        assert not timed.wait(0.1)
        late, built = waits(lock, "shared")
        assert not built.wait(0.1)
    assert timed.wait(5)
    assert built.wait(5)
    timing.join()
    late.join()


def test_other_processes_wait_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        thread, got = waits(DeviceLock("cpu", tmp_path), "shared")
        assert not got.wait(0.1)
        holder.kill()
        assert got.wait(5)
        thread.join()


def test_devices_do_not_wait_for_one_another(tmp_path: Path) -> None:
    with DeviceLock("cpu", tmp_path).exclusive():
        thread, got = waits(DeviceLock("metal", tmp_path), "exclusive")
        assert got.wait(5)
        thread.join()


def test_what_is_timed_is_seen_by_others_and_what_is_built_is_not(tmp_path: Path) -> None:
    lock, other = DeviceLock("cpu", tmp_path), DeviceLock("cpu", tmp_path)
    with lock.shared():
        assert not other.is_taken()
    with lock.exclusive():
        assert other.is_taken()
    assert not other.is_taken()


def test_the_lock_lies_where_there_is_a_folder_to_write_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own folder is named where there is none, as in a container, or after `su`."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = tmp_path / "run"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own))
    with DeviceLock("cpu").shared():
        assert not own.exists()
        assert list(tmp_path.glob("metal-foundry-*/cpu.device.lock"))
    own.mkdir()
    with DeviceLock("cpu").shared():
        assert list(own.glob("metal-foundry-*/cpu.device.lock"))
