"""Outcomes of a self-test in a file, one a line: a test that was cut short goes on behind them.

An outcome counts as long as the attack's text and the version of the judge are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from foundry.judge.attacks import Attack
from foundry.judge.selftest import AttackOutcome
from foundry.judge.verdict import JUDGE_VERSION, Evaluation
from foundry.kernel import text_hash


def add(path: Path, outcome: AttackOutcome) -> None:
    """Append one outcome."""
    line = {
        "attack": _key(outcome.attack),
        "evaluation": json.loads(outcome.evaluation.model_dump_json()),
    }
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def outcomes(path: Path, attacks: Iterable[Attack]) -> list[AttackOutcome]:
    """What a file holds of some attacks; a last line that was cut short is cut off."""
    known = _lines(path)
    return [AttackOutcome(a, known[key]) for a in attacks if (key := _key(a)) in known]


def _lines(path: Path) -> dict[str, Evaluation]:
    if not path.exists():
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    found = [json.loads(line) for line in whole.splitlines()]
    read = ((line["attack"], Evaluation.model_validate(line["evaluation"])) for line in found)
    return {key: known for key, known in read if known.judge_version == JUDGE_VERSION}


def _key(attack: Attack) -> str:
    return f"{attack.kind}/{attack.name} {attack.op} {attack.dtype} {text_hash(attack.text)}"
