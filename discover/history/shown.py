"""A verdict as a proposer may see it. Pure."""

from __future__ import annotations

from typing import Any

from foundry.judge.verdict import Evaluation

_WITHHELD = {"errors", "proven", "seed"}
"""Workloads by name, the ends of their axes, and what draws the secret ones."""


def shown(evaluation: Evaluation) -> dict[str, Any]:
    """As JSON values, without whatever tells a hidden workload or the inputs.

    A kernel made to fit the sizes it will meet is no kernel for every size. The database holds all.
    """
    bare = tuple(
        found.model_copy(update={"workload": None}) if found.hidden else found
        for found in evaluation.diagnostics
    )
    return evaluation.model_copy(update={"diagnostics": bare}).model_dump(
        mode="json", exclude=_WITHHELD
    )
