"""The judge judged: a corpus of attacks and honest controls, kill rate and false-alarm rate.

1. `load` reads the attack files of `foundry/judge/attacks`, or of a folder of your own.
2. `run` lets a judge evaluate each; an attack is killed when its verdict is not `correct` or
   `faster`, a control passes when it is.
3. `summary` counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.errors import UsageError
from foundry.judge.judge import Judge
from foundry.judge.verdict import Evaluation, Status
from ops import get

ATTACKS = Path(__file__).parent / "attacks"
CONTROLS = "controls"


@dataclass(frozen=True)
class Attack:
    """One file of the corpus."""

    kind: str
    """Its folder: `cheats`, `hostile`, `mutants` or `controls`."""
    name: str
    op: str
    dtype: str
    why: str
    """What is wrong with it."""
    expect: tuple[Status, ...]
    """Statuses that are right for it."""
    text: str

    @property
    def is_control(self) -> bool:
        """Whether it is honest."""
        return self.kind == CONTROLS


@dataclass(frozen=True)
class Outcome:
    """An attack and the judge's verdict."""

    attack: Attack
    evaluation: Evaluation

    @property
    def held(self) -> bool:
        """An attack was not accepted; a control was."""
        return self.evaluation.status.passed == self.attack.is_control

    @property
    def expected(self) -> bool:
        """Whether the status is one that the file names."""
        return self.evaluation.status in self.attack.expect


def load(folder: Path = ATTACKS) -> tuple[Attack, ...]:
    """Every attack file of a folder and its sub-folders.

    Raises:
        UsageError: No attack files, or one that does not parse.
    """
    attacks = tuple(_read(path) for path in sorted(folder.rglob("*.metal")))
    if not attacks:
        raise UsageError(f"no attack files (*.metal) in {folder}")
    return attacks


def _read(path: Path) -> Attack:
    head, found, text = path.read_text().removeprefix("+++\n").partition("\n+++\n")
    try:
        fields = tomllib.loads(head if found else "")
        return Attack(
            kind=path.parent.name,
            name=path.stem,
            op=fields["op"],
            dtype=fields["dtype"],
            why=fields["why"],
            expect=tuple(Status(status) for status in fields["expect"]),
            text=text,
        )
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is no attack file: {error}") from error


def run(
    judge: Judge,
    attacks: Iterable[Attack],
    seed: int,
    workers: int,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Iterator[Outcome]:
    """Judge every attack, several at once; outcomes in the order of the attacks."""

    def judged(attack: Attack) -> Outcome:
        evaluation = judge.evaluate(attack.text, get(attack.op), attack.dtype, seed)
        return Outcome(attack, evaluation)

    with ThreadPoolExecutor(workers) as threads:
        for outcome in threads.map(judged, attacks):
            progress(outcome)
            yield outcome


def summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Counts, rates, and every outcome that is not as it should be."""
    done = list(outcomes)
    attacks = [o for o in done if not o.attack.is_control]
    controls = [o for o in done if o.attack.is_control]
    return {
        "attacks": len(attacks),
        "accepted": [_row(o) for o in attacks if not o.held],
        "controls": len(controls),
        "refused": [_row(o) for o in controls if not o.held],
        "unexpected": [_row(o) for o in done if o.held and not o.expected],
        "kill_rate": _rate(attacks, held=True),
        "false_alarm_rate": _rate(controls, held=False),
    }


def _rate(outcomes: list[Outcome], *, held: bool) -> float | None:
    if not outcomes:
        return None
    return sum(o.held == held for o in outcomes) / len(outcomes)


def _row(outcome: Outcome) -> dict[str, Any]:
    attack, evaluation = outcome.attack, outcome.evaluation
    return {
        "kind": attack.kind,
        "name": attack.name,
        "what": attack.why,
        "expected": [str(status) for status in attack.expect],
        "status": str(evaluation.status),
        "why": evaluation.why,
    }
