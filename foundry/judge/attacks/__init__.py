"""The attacks on the judge: what it must refuse, and honest controls that it must accept.

`cheats` are kernels that do an easier job, `hostile` ones reach for the machine, `controls` are
honest, `state` keeps from call to call what it should compute. Each is a file: TOML between `+++`
lines, with the statuses that are right for it, then the text as an attacker would hand it in.
`sizes`, `parameters`, `values` and `memory` are files too: wrong where few look. `mutants`,
`limits` and `misreadings` are made when they are asked for, from templates: each with one planted
bug, with an end to what it does, or blind to some values, so a new op with templates has attacks of
its own. `slips` are such texts with one place changed by hand.
"""

from __future__ import annotations

from pathlib import Path

from foundry.judge.attacks.attack import Attack, load
from foundry.judge.attacks.limits import limits
from foundry.judge.attacks.misreadings import misreadings
from foundry.judge.attacks.mutants import mutants_of_templates
from foundry.judge.attacks.slips import slips

__all__ = ["Attack", "corpus", "load"]

_FOLDER = Path(__file__).parent


def corpus(only: str = "") -> tuple[Attack, ...]:
    """The built-in attacks and controls whose `kind/name` holds a text. Others are not made."""
    files = (attack for attack in load(_FOLDER) if only in attack.full_name)
    return (*files, *mutants_of_templates(only), *limits(only), *misreadings(only), *slips(only))
