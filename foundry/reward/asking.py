"""What models are asked for a reward: the prompt that a search begins with, op by op."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from foundry.chips import fitted
from foundry.chips import registry as chips
from foundry.chips.device import device_of
from foundry.errors import unknown
from foundry.program import Device
from foundry.prompts.assignment import Assignment
from foundry.prompts.build import build
from foundry.prompts.foci import FOCI
from foundry.prompts.forms import FORMS
from ops import registry

_DEVICE = Device("metal", "Apple GPU")
"""What is asked for: a kernel for a GPU, wherever it is judged."""


def tasks(
    ops: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float32",),
    hold_out: Collection[str] = (),
    prompt: str = "full",
    chip: str | None = None,
) -> list[dict[str, Any]]:
    """One row per op and element type: `prompt` (system and user), `op`, `dtype`.

    Args:
        ops: Names; None: every op.
        dtypes: Element types; an op without one of them has fewer rows.
        hold_out: Ops to leave out.
        prompt: How much a prompt explains: `full`, or `compact` for small models.
        chip: Key of a chip on which times are predicted, where the reward's speed is `predicted`.

    Raises:
        UsageError: An unknown op, chip, or form of a prompt.
    """
    if prompt not in FORMS:
        raise unknown("prompt", prompt, FORMS)
    known = registry.all_ops()
    for name in (*(ops or ()), *hold_out):
        if name not in known:
            raise unknown("op", name, known)
    wanted = [known[name] for name in (known if ops is None else ops) if name not in hold_out]
    device = _DEVICE if chip is None else device_of(chips.get(chip), fitted.built_in(), _DEVICE)
    rows: list[dict[str, Any]] = []
    for op in wanted:
        for dtype in dtypes:
            if dtype in op.dtypes:
                asked_for = Assignment(op, dtype, device, turn=len(rows) % len(FOCI))
                built = build(asked_for, FORMS[prompt])
                messages = [
                    {"role": "system", "content": built.system},
                    {"role": "user", "content": built.user},
                ]
                rows.append({"prompt": messages, "op": op.name, "dtype": dtype})
    return rows
