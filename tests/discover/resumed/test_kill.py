"""Kill -9 of the real program at arbitrary moments, then the same command again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_llm import Answer, FakeLLM

from foundry.store import CallState, Store
from templates import registry, space
from templates.render import render

EVALUATIONS = 9
START = registry.for_op("silu")[0]
REPLIES = [
    Answer(f"```metal\n{render(START, point)}```", slow_s=0.2)
    for point in list(space.points(START))[1:30]
]


def start(server: FakeLLM, db: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "ANTHROPIC_API_KEY": "k", "FOUNDRY_DB": f"sqlite:///{db}"}
    command = [
        sys.executable, "-c", "from discover.cli import main; main()",
        "search", "silu", "--llm", "anthropic:model-x", "--llm", "mutate",
        "--base-url", server.anthropic_url, "--max-evaluations", str(EVALUATIONS),
        "--parallel", "2", "--device", "cpu", "--seed", "4", "--json",
    ]  # fmt: skip
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
def test_ctrl_c_keeps_everything_and_says_how_to_go_on(tmp_path: Path) -> None:
    db = tmp_path / "interrupted.db"
    with Store.open(f"sqlite:///{db}"):
        pass
    with FakeLLM([Answer("x", slow_s=60)]) as server:
        process = start(server, db)
        try:
            while process.poll() is None and stored(db) < 2:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            # The call in flight takes a minute more: asked twice, nobody waits for it.
            time.sleep(1)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert "resume: " in errors
    with Store.open(f"sqlite:///{db}", read_only=True) as store:
        (run,) = store.runs()
        assert run.outcome == "interrupted"
        assert {c.state for c in store.calls(run.id)} == {CallState.SENT}


def killed_after(server: FakeLLM, db: Path, evaluations: int) -> bool:
    """Run until so many evaluations are stored, then kill; False when it ended before."""
    process = start(server, db)
    try:
        while process.poll() is None:
            if stored(db) >= evaluations:
                os.killpg(process.pid, signal.SIGKILL)
                return True
            time.sleep(0.05)
        return False
    finally:
        process.kill()
        process.communicate()


def stored(db: Path) -> int:
    if not db.exists():
        return 0
    with Store.open(f"sqlite:///{db}", read_only=True) as store:
        return sum(1 for _ in store.evaluations())


@pytest.mark.slow
def test_nothing_is_lost_judged_twice_or_bought_twice(tmp_path: Path) -> None:
    db = tmp_path / "killed.db"
    with Store.open(f"sqlite:///{db}"):
        pass
    kills = 0
    with FakeLLM(REPLIES) as server:
        for evaluations in (1, 3, 5):
            before = stored(db)
            kills += killed_after(server, db, evaluations)
            assert stored(db) >= max(before, evaluations)
        process = start(server, db)
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        found = json.loads(output)
        received = len(server.requests)
    assert kills >= 2
    with Store.open(f"sqlite:///{db}", read_only=True) as store:
        (run,) = store.runs()
        calls = store.calls(run.id)
        hashes = Counter(s.evaluation.kernel_hash for s in store.evaluations())
        nodes = store.nodes(run.id)
    assert (run.outcome, run.resumed) == ("done", kills)
    assert found["evaluations"] == EVALUATIONS
    again = {n.kernel_hash for n in nodes if n.detail.get("confirmed")}
    assert {h for h, times in hashes.items() if times > 1} <= again
    assert max(hashes.values()) <= 2
    # Every call that reached the server is a row, and answered requests were answered once.
    lost = [c for c in calls if c.state is CallState.LOST]
    assert received <= len(calls)
    assert len(lost) <= 2 * kills
    answered = [c.request_hash for c in calls if c.state is CallState.DONE]
    assert len(answered) == len(set(answered))
    assert found["llm"]["lost"] == len(lost)
