"""Options that say what a dataset keeps; they reach a command as one `Choice`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from foundry.cli import parameters
from foundry.prompts.forms import FORMS

F = TypeVar("F", bound=Callable[..., Any])
_TEACHERS = ("all", "open-weights", "own")


def _families() -> tuple[str, ...]:
    from ops import registry

    return tuple(sorted({op.family for op in registry.all_ops().values()}))


_FAMILIES = parameters.Names("family", _families)


def choice_options(function: F) -> F:
    """`--faster`, `--teachers`, `--hold-out`, `--valid`, `--test`, `--per-group`, `--prompt`."""
    decorators = [
        click.option(
            "--faster", is_flag=True, help="Teach only kernels that were faster than the baseline."
        ),
        click.option(
            "--teachers",
            type=parameters.Name("teachers", lambda: _TEACHERS),
            default="all",
            show_default=True,
            metavar="|".join(_TEACHERS),
            help="Whose kernels: own templates and changes; also models whose open weights "
            "allow it; or all, restricted ones included.",
        ),
        click.option("--hold-out", type=parameters.OPS, help="Ops to leave out of everything."),
        click.option(
            "--valid", type=_FAMILIES, help="Op families to validate on.  [default: by seed]"
        ),
        click.option("--test", type=_FAMILIES, help="Op families to test on.  [default: by seed]"),
        click.option(
            "--per-group",
            type=click.IntRange(1),
            default=8,
            show_default=True,
            help="Kernels to teach of each group of near duplicates, the fastest first.",
        ),
        click.option(
            "--prompt",
            type=parameters.Name("prompt", lambda: tuple(FORMS)),
            default="full",
            show_default=True,
            metavar="|".join(FORMS),
            help="How much a chat's prompt explains; compact for small models.",
        ),
    ]
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def choice_given(function: F) -> F:
    """Hand the options of `choice_options`, and `--seed`, to a command as `choice`."""

    @functools.wraps(function)
    def with_choice(
        *,
        faster: bool,
        teachers: str,
        hold_out: tuple[str, ...] | None,
        valid: tuple[str, ...] | None,
        test: tuple[str, ...] | None,
        per_group: int,
        prompt: str,
        seed: int,
        **rest: Any,
    ) -> Any:
        from foundry.datasets.choice import PASSED, Choice
        from foundry.datasets.teachers import TEACHERS
        from foundry.judge.verdict import Status

        choice = Choice(
            statuses=(Status.FASTER,) if faster else PASSED,
            uses=TEACHERS[teachers],
            hold_out=hold_out or (),
            valid=valid or (),
            test=test or (),
            per_group=per_group,
            prompt=FORMS[prompt],
            seed=seed,
        )
        return function(choice=choice, **rest)

    return with_choice  # type: ignore[return-value]
