"""The attack corpus: nothing wrong is accepted, nothing honest refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import ops
from foundry.errors import UsageError
from foundry.harness.processes.pool import WorkerPool
from foundry.harness.sandbox import Level, absence
from foundry.judge.attacks import Attack, corpus, load
from foundry.judge.attacks.slips import slips
from foundry.judge.selftest import Judges, run, summary
from foundry.judge.verdict import Proven, Status

CORPUS = corpus()


@pytest.fixture(scope="module")
def judges() -> Iterator[Judges]:
    with WorkerPool("cpu", 2) as pool:
        yield Judges.of(pool)


def of(kind: str) -> list[Attack]:
    found = [attack for attack in CORPUS if attack.kind == kind]
    # `make selftest` runs them all; here are a few of every kind, spread over the ops.
    step = max(1, len(found) // {"controls": 1, "mutants": 4}.get(kind, 4))
    return found[step // 2 :: step]


def batches() -> Iterator[tuple[str, int, list[Attack]]]:
    """The corpus in pieces small enough for the time limit of one test."""
    for kind in ("controls", "cheats", "hostile", "mutants"):
        chosen = of(kind)
        for start in range(0, len(chosen), 12):
            yield kind, start, chosen[start : start + 12]


@pytest.mark.parametrize(
    "attacks", [pytest.param(a, id=f"{kind}-{start}") for kind, start, a in batches()]
)
def test_the_judge_is_not_fooled(judges: Judges, attacks: list[Attack]) -> None:
    report = summary(run(judges, attacks, seed=5, workers=2))
    assert report["accepted"] == []
    assert report["refused"] == []
    assert not Path("/tmp/metal-foundry-attack").exists(), "a kernel reached the file system"


def test_the_corpus_is_as_large_as_promised() -> None:
    attacks = [a for a in CORPUS if not a.is_control]
    assert len(attacks) >= 150
    assert len({a.op for a in attacks if a.kind == "cheats"}) >= 4
    assert sum(a.kind == "hostile" for a in attacks) >= 36
    for attack in CORPUS:
        good = {Status.CORRECT, Status.FASTER}
        assert bool(good & set(attack.expect)) == attack.is_control, attack.name


def test_every_op_has_three_slips_of_its_own_kind() -> None:
    count = Counter(attack.op for attack in CORPUS if attack.kind == "slips")
    assert [name for name in ops.all_ops() if count[name] < 3] == []
    names = Counter((attack.name, attack.dtype) for attack in CORPUS if attack.kind == "slips")
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize(
    "level",
    list(Level),
)
@pytest.mark.slow
def test_honest_controls_pass_at_every_level_of_the_sandbox(level: Level) -> None:
    if absence(level):
        pytest.skip(f"this machine has no level '{level}'")
    with WorkerPool("cpu", 2, level=level) as pool:
        assert pool.level is level
        honest = [attack for attack in CORPUS if attack.is_control and attack.op == "silu"]
        report = summary(run(Judges.of(pool), honest, seed=5, workers=2))
    assert report["refused"] == []


def test_what_outlives_its_parent_is_found() -> None:
    script = (
        "from foundry.judge.selftest import adopt_orphans, strays; import subprocess;"
        "adopt_orphans(); subprocess.run(['sh', '-c', 'sleep 60 >/dev/null 2>&1 &']);"
        "print(*strays(0.2))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    (pid,) = map(int, found)
    os.kill(pid, signal.SIGKILL)


def test_a_broken_attack_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no attack files"):
        load(tmp_path)
    (tmp_path / "x.metal").write_text("+++\nop = 1\n+++\n")
    with pytest.raises(UsageError, match=r"x\.metal is no attack file"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("beyond", "contained"),
    [
        ({}, False),
        ({"cols": 101}, True),
        ({"cols": 100}, False),
        ({"elements": 1 << 31}, True),
        ({"written": 401}, True),
        ({"written": 400}, False),
        ({"cols": 50, "flops": 5001}, True),
        ({"cols": 50, "elements": 900, "flops": 5000}, False),
        ({"window": 201}, True),
        ({"window": 200.0}, False),
    ],
)
def test_an_attack_is_contained_where_what_is_proven_ends_first(
    beyond: dict[str, float], contained: bool
) -> None:
    proven = Proven(
        axes={"cols": (1, 100)}, params={"window": (0, 200)}, elements=1000, written=400, flops=5000
    )
    attack = replace(CORPUS[0], beyond=beyond)
    assert attack.is_right_within(proven) == contained
    assert not attack.is_right_within(None)


def test_every_op_has_an_attack_that_needs_more_than_32_bits_and_none_is_run_there() -> None:
    found = [a for a in CORPUS if a.kind == "limits" and a.name.endswith("_index")]
    assert len({a.op for a in found}) > 60
    assert {a.beyond["written"] for a in found} == {1 << 31}


def test_a_slip_that_finds_nothing_to_change_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slip = '[[slip]]\nop = "silu"\nname = "odd"\ndtype = "float32"\nwhy = "w"\nold = "?"\nnew = "!"'
    (tmp_path / "slips.toml").write_text(slip)
    monkeypatch.setattr(sys.modules[slips.__module__], "_FOLDER", tmp_path)
    with pytest.raises(
        UsageError, match=r"silu_elements has no '\?', which the slip 'odd' changes"
    ):
        slips()
