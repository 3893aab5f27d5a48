"""`foundry run` with the real engine: repeats, kills, interrupts, names that do not exist."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from foundry.store import Store

RUN = ("run", "--ops", "silu,relu2", "--seed", "1")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A database and a device lock of this test's own."""
    (tmp_path / "tmp").mkdir()
    return {
        **os.environ,
        "FOUNDRY_DB": str(tmp_path / "t.db"),
        "TMPDIR": str(tmp_path / "tmp"),
        "XDG_RUNTIME_DIR": str(tmp_path / "tmp"),
    }


def start(environment: dict[str, str], *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "foundry", *args],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def foundry(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    process = start(environment, *args)
    out, err = process.communicate(timeout=150)
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def rows(environment: dict[str, str], statement: str) -> list[Any]:
    connection = sqlite3.connect(environment["FOUNDRY_DB"])
    try:
        return connection.execute(statement).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def saved(environment: dict[str, str]) -> int:
    if not Path(environment["FOUNDRY_DB"]).exists():
        return 0
    found = rows(environment, "SELECT count(*) FROM evaluations")
    return int(found[0][0]) if found else 0


def wait_for(environment: dict[str, str], process: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + 120
    while saved(environment) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Ids of the processes it started; none where there is no /proc."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def twice_judged(environment: dict[str, str]) -> list[Any]:
    return rows(
        environment,
        "SELECT kernel_hash, count(*) FROM evaluations "
        "GROUP BY kernel_hash, device_id, dtype HAVING count(*) > 1",
    )


@pytest.mark.slow
def test_the_same_command_again_has_nothing_left_to_do(environment: dict[str, str]) -> None:
    first = foundry(environment, *RUN, "--budget", "2", "--json")
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    assert (document["new"], document["known"]) == (2, 0)
    assert {task["op"]: task["evaluations"] for task in document["tasks"]} == {
        "silu": 1,
        "relu2": 1,
    }
    for task in document["tasks"]:
        assert set(task["statuses"]) <= {"correct", "faster"}, task
        assert task["best"]["timings"][0]["speedup_low"] > 0

    second = json.loads(foundry(environment, *RUN, "--budget", "2", "--json").stdout)
    assert (second["new"], second["known"], second["run_id"]) == (0, 2, None)
    assert [t["best"] for t in second["tasks"]] == [t["best"] for t in document["tasks"]]
    assert rows(environment, "SELECT outcome FROM runs") == [("done",)]

    further = json.loads(foundry(environment, *RUN, "--budget", "3", "--json").stdout)
    assert (further["new"], further["known"]) == (1, 2)
    assert saved(environment) == 3


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(environment: dict[str, str]) -> None:
    command = (*RUN, "--budget", "8")
    for least in (1, 3):
        process = start(environment, *command)
        wait_for(environment, process, least)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = rows(environment, "SELECT id, kernel_hash FROM evaluations ORDER BY id")
    done = foundry(environment, *command)
    assert done.returncode == 0, done.stderr
    assert f"{8 - len(kept)} new evaluation" in done.stdout
    assert (
        rows(environment, "SELECT id, kernel_hash FROM evaluations ORDER BY id")[: len(kept)]
        == kept
    )
    assert saved(environment) == 8
    assert twice_judged(environment) == []
    assert rows(environment, "SELECT outcome, resumed FROM runs") == [("done", 2)]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupt_keeps_what_is_saved_and_says_how_to_go_on(
    environment: dict[str, str], sent: signal.Signals
) -> None:
    command = (*RUN, "--budget", "4")
    process = start(environment, *command)
    wait_for(environment, process, 1)
    workers = children(process.pid)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in said
    assert said.splitlines()[-1] == f"resume: python -m foundry {' '.join(command)}"
    kept = saved(environment)
    assert 1 <= kept < 4
    assert rows(environment, "SELECT outcome FROM runs") == [("interrupted",)]
    done = foundry(environment, *command, "--json")
    assert json.loads(done.stdout)["known"] == kept
    assert twice_judged(environment) == []
    assert rows(environment, "SELECT outcome, resumed FROM runs") == [("done", 1)]


@pytest.mark.parametrize("moment_s", [0.1, 0.3, 0.6, 1.2])
def test_an_interrupt_at_any_moment_is_a_clear_line(
    environment: dict[str, str], moment_s: float
) -> None:
    process = start(environment, *RUN, "--budget", "12")
    time.sleep(moment_s)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    # Before any code of ours ran, the signal itself ends the process.
    assert process.returncode in (130, -signal.SIGTERM), said
    assert "Traceback" not in said
    assert twice_judged(environment) == []


@pytest.mark.slow
def test_two_runs_at_once_do_not_do_the_same_work(environment: dict[str, str]) -> None:
    first = start(environment, *RUN, "--budget", "12")
    wait_for(environment, first, 1)
    second = foundry(environment, *RUN, "--budget", "12")
    assert second.returncode == 2
    assert "at work in another process" in second.stderr
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)


def test_time_ends_a_run(environment: dict[str, str]) -> None:
    done = foundry(environment, *RUN, "--coverage", "40", "--time", "2s", "--json")
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["new"] < 60


def test_a_title_counts_ops_that_are_too_many_to_name(environment: dict[str, str]) -> None:
    ops = "silu,relu,tanh,elu,mish,exp,log,softplus,sigmoid"
    done = foundry(environment, "run", "--ops", ops, "--coverage", "1", "--time", "1s")
    assert " · 9 ops · float32 · " in done.stderr.splitlines()[0]


@pytest.mark.slow
def test_a_template_of_ones_own_and_a_held_knob(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "silu_mine.toml").write_text(
        'op = "silu"\nsummary = "mine"\n[knobs]\nthreads = [32, 64]\nbroken = [false, true]\n'
    )
    (folder / "silu_mine.metal").write_text(
        '/*kernel\nop = "silu"\ngrid = ["rows * cols", 1, 1]\nthreadgroup = [{{ threads }}, 1, 1]\n'
        "*/\n// --- body ---\nuint i = thread_position_in_grid.x;\nfloat v = float(x[i]);\n"
        "out[i] = T(v / (1.0f + metal::precise::exp(-v))){{ ' * T(2)' if broken else '' }};\n"
    )
    mine = ("run", "--templates", str(folder), "--template", "silu_mine", "--ops", "silu")
    done = foundry(environment, *mine, "--budget", "9", "--knob", "broken=true", "--json")
    (task,) = json.loads(done.stdout)["tasks"]
    assert task["statuses"] == {"wrong_result": 2}
    assert task["best"] is None
    assert done.returncode == 1, "no kernel passed"
    every = json.loads(foundry(environment, *mine, "--budget", "9", "--json").stdout)
    assert (every["new"], every["known"]) == (2, 2)
    assert every["tasks"][0]["best"]["template"] == "silu_mine"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--ops", "sofmax"), 2, "unknown op 'sofmax': did you mean softmax"),
        (("--dtype", "float23"), 2, "unknown dtype 'float23': did you mean float32"),
        (("--device", "metl"), 2, "unknown device 'metl': did you mean metal?"),
        (("--ops", "silu", "--template", "silu_elemnts"), 2, "did you mean silu_elements"),
        (
            ("--ops", "silu", "--knob", "thread=64"),
            2,
            "unknown knob 'thread': did you mean threads",
        ),
        (("--ops", "silu", "--knob", "threads"), 2, "write NAME=VALUE"),
        (("--strategy", "mixx"), 2, "unknown strategy 'mixx': did you mean mix?"),
        (("--ops", "silu", "--bench", "quik"), 2, "did you mean quick?"),
        (("--budget", "0"), 2, "0 is not in the range"),
        (("--budgt", "1"), 2, "--budget"),
        (("--ops", "silu", "--device", "metal"), 3, "--device cpu"),
        (("--ops", "silu", "--device", "cuda"), 2, "unknown device 'cuda'"),
        (("--op-file", "no.py"), 2, "no.py"),
        (("--db", "/proc/none/x.db", "--ops", "silu"), 3, "/proc/none"),
        (("--db", "nosuch://x", "--ops", "silu"), 2, "is not a URL"),
    ],
)
def test_bad_input(
    environment: dict[str, str], args: tuple[str, ...], code: int, said: str
) -> None:
    if "metal" in args and sys.platform == "darwin":
        pytest.skip("Metal works here")
    done = foundry(environment, "run", *args)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_database_of_a_newer_version_is_left_alone(environment: dict[str, str]) -> None:
    Store.open(environment["FOUNDRY_DB"]).close()
    connection = sqlite3.connect(environment["FOUNDRY_DB"])
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    for command in (RUN, ("report",), ("export",)):
        done = foundry(environment, *command)
        assert done.returncode == 3
        assert "Upgrade metal-foundry" in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_line(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    done = foundry(environment, *RUN, "--db", str(folder / "x.db"))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert str(folder) in done.stderr
