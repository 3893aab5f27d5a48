"""Slips: the first template of an op with one place changed, so that it is wrong where few look.

`slip_texts` lists them by kind: state that is kept, sizes, parameters, values, order, memory, NaN;
`of_...` those of an op's own kind: a wrong nibble, a dropped tie, a lost offset. One that every op
of a form can have names `ops`. Those that are `honest` change a place too, and are right all the
same: they are controls.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foundry.errors import UsageError
from foundry.judge.attacks.attack import CONTROLS, REFUSED, Attack
from foundry.judge.verdict import Status
from ops.texts.metal import with_precise_calls
from templates import default, for_op, render

KIND = "slips"
_FOLDER = Path(__file__).with_name("slip_texts")


def slips(only: str = "") -> tuple[Attack, ...]:
    """Every slip.

    Args:
        only: What `kind/name` has to hold.

    Raises:
        UsageError: A template does not hold what a slip changes.
    """
    return tuple(_slips(only))


def _slips(only: str) -> Iterator[Attack]:
    files = sorted(_FOLDER.glob("*.toml"))
    for found in (slip for file in files for slip in tomllib.loads(file.read_text())["slip"]):
        for op in found.get("ops") or [found["op"]]:
            attack_kind = CONTROLS if found.get("honest") else KIND
            if only in f"{attack_kind}/{op}_{found['name']}":
                yield _attack({**found, "op": op}, attack_kind)


def _attack(found: dict[str, Any], kind: str) -> Attack:
    return Attack(
        kind=kind,
        name=f"{found['op']}_{found['name']}",
        op=found["op"],
        dtype=found["dtype"],
        why=found["why"],
        expect=REFUSED if kind == KIND else (Status.CORRECT, Status.FASTER),
        text=_changed(found),
        beyond=found.get("beyond", {}),
    )


def _changed(found: dict[str, Any]) -> str:
    (template, *_) = for_op(found["op"])
    text = render(template, default(template))
    old, new = (with_precise_calls(found[which]) for which in ("old", "new"))
    if old not in text:
        raise UsageError(
            f"{template.name} has no '{found['old']}', which the slip '{found['name']}' changes"
        )
    return text.replace(old, new)
