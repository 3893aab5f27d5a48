"""The attack corpus: nothing wrong is accepted, nothing honest refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry.errors import UsageError
from foundry.harness.pool import WorkerPool
from foundry.judge.judge import Judge
from foundry.judge.options import SANITIZER, JudgeOptions
from foundry.judge.selftest import Attack, load, run, summary
from foundry.judge.verdict import Status

CORPUS = load()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with WorkerPool("cpu", 2) as pool:
        yield Judge(pool, JudgeOptions(timed=False, screen=SANITIZER, run_limit_s=4.0))


def of(kind: str) -> list[Attack]:
    found = [attack for attack in CORPUS if attack.kind == kind]
    # Mutants are many and much alike; `foundry judge selftest` runs them all.
    return found[::4] if kind == "mutants" else found


def batches() -> Iterator[tuple[str, int, list[Attack]]]:
    """The corpus in pieces small enough for the time limit of one test."""
    for kind in ("controls", "cheats", "hostile", "mutants"):
        chosen = of(kind)
        for start in range(0, len(chosen), 12):
            yield kind, start, chosen[start : start + 12]


@pytest.mark.parametrize(
    "attacks", [pytest.param(a, id=f"{kind}-{start}") for kind, start, a in batches()]
)
def test_the_judge_is_not_fooled(judge: Judge, attacks: list[Attack]) -> None:
    report = summary(run(judge, attacks, seed=5, workers=2))
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


def test_a_broken_attack_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no attack files"):
        load(tmp_path)
    (tmp_path / "x.metal").write_text("+++\nop = 1\n+++\n")
    with pytest.raises(UsageError, match=r"x\.metal is no attack file"):
        load(tmp_path)
