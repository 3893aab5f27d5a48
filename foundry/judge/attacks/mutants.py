"""Mutants: the default text of every template, each with one planted bug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from foundry.judge.attacks.attack import REFUSED, Attack
from foundry.judge.attacks.operators import OPERATORS, Operator
from ops import all_ops
from templates import Template, default, for_op, render

KIND = "mutants"

NO_BUGS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("cummax_rows", "loop_ends_early"): (
            "steps double: the last below 31 is the last below 32"
        ),
        ("cumsum_reverse_rows", "loop_ends_early"): (
            "steps double: the last below 31 is the last below 32"
        ),
        ("cumsum_threadgroup", "divides_wrong"): "an array grows, and the rest of it is not used",
        ("_masked_blocks", "plus_to_minus"): (
            "a count below 0 is neither none nor all: every pair of the block is asked for"
        ),
    }
)
"""How the name of a template ends, and operator, of mutants that are right, and why they are."""


def mutants_of_templates(only: str = "") -> tuple[Attack, ...]:
    """Every operator on every template of every op that has a place for it, by name.

    Args:
        only: What `kind/name` has to hold.
    """
    templates = (template for op in all_ops() for template in for_op(op))
    found = (m for template in templates for m in _mutants(template, only))
    return tuple(sorted(found, key=lambda attack: attack.name))


def _mutants(template: Template, only: str) -> Iterator[Attack]:
    names = {operator: f"{template.name}_{operator.name}" for operator in OPERATORS}
    asked = [operator for operator, name in names.items() if only in f"{KIND}/{name}"]
    text = render(template, default(template)) if asked else ""
    for operator in asked:
        mutant = operator(text)
        if mutant is None or _is_right(template, operator):
            continue
        yield Attack(
            kind=KIND,
            name=names[operator],
            op=template.op,
            dtype="float32",
            why=operator.why,
            expect=REFUSED,
            text=mutant,
        )


def _is_right(template: Template, operator: Operator) -> bool:
    return any(template.name.endswith(end) and operator.name == name for end, name in NO_BUGS)
