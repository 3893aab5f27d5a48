"""A search that is killed (-9) again and again ends as the one that never was."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_llm import Answer, FakeLLM
from searching import failing, scored

from foundry.judge.verdict import Status
from foundry.store import NodeRecord, Store

PROGRAM = Path(__file__).parents[1] / "killed_search.py"
FAILS = (Status.WRONG_RESULT, Status.BUILD_ERROR, Status.CRASH)


def answer(body: dict[str, Any]) -> Answer:
    """A kernel that hangs on what was asked alone: the same question, the same answer."""
    asked = json.dumps([body["system"], body["messages"]], sort_keys=True)
    number = int(hashlib.sha256(asked.encode()).hexdigest()[:8], 16)
    salt = f" int n = {number};"
    if number % 10 < 3:
        return Answer(f"```metal\n{failing(FAILS[number % 3], salt)}```")
    return Answer(f"```metal\n{scored(1 + number % 997 / 997, salt)}```")


def session(folder: Path, server: FakeLLM, candidates: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PROGRAM), str(folder), server.anthropic_url, str(candidates)]
    environment = {**os.environ, "ANTHROPIC_API_KEY": "k"}
    return subprocess.Popen(command, env=environment)


def outcome(folder: Path) -> list[tuple[NodeRecord, ...]]:
    """Kernels, parents and verdicts."""
    with Store.open(f"sqlite:///{folder}/search.db", read_only=True) as store:
        return [
            (n.id, n.parent, n.state, n.kernel_hash, n.reward, n.detail.get("status"))
            for n in store.nodes(1)
        ]  # type: ignore[misc]


def killed(folder: Path, candidates: int, kills: int) -> tuple[int, int]:
    """Kill sessions at random moments until enough were; kills that hit, and calls of all.

    The moments follow the first, second or third call of a session in turn. On a busy machine each
    would fall on the first one otherwise, and a call that was lost five times is given up.
    """
    rng, hit, turns = random.Random(7), 0, itertools.cycle((1, 2, 3))
    with FakeLLM(["x"], answering=answer) as server:
        while True:
            process = session(folder, server, candidates)
            until = len(server.requests) + next(turns)
            while hit < kills and process.poll() is None and len(server.requests) < until:
                time.sleep(0.01)
            if hit < kills and process.poll() is None:
                time.sleep(rng.random() * 0.15)
                process.kill()
                hit += 1
            assert process.wait(300) in (0, -9)
            if process.returncode == 0:
                return hit, len(server.requests)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("candidates", "kills"), [(40, 6), (300, 50)])
def test_kills_change_nothing(tmp_path: Path, candidates: int, kills: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    with FakeLLM(["x"], answering=answer) as server:
        assert session(whole, server, candidates).wait(600) == 0
        calls = len(server.requests)
    hit, more = killed(cut, candidates, kills)
    print(f"\n{hit} kills, {calls} calls without and {more} with them")
    assert hit == kills
    assert outcome(cut) == outcome(whole)
    assert more - calls <= kills
