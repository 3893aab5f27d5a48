"""Options that several commands of `discover` share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from discover.proposers.registry import NAMES
from discover.protocol import EFFORTS
from discover.search.settings import OFFLINE, SearchSettings
from discover.selection.strategies import STRATEGIES
from foundry.cli import options, parameters
from foundry.prompts.forms import FORMS
from foundry.report.predicted import MODEL

if TYPE_CHECKING:
    from discover.history.summary import Summary

F = TypeVar("F", bound=Callable[..., Any])


def settings_given(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gather what the options say of `SearchSettings` into one mapping, `given`.

    What the command line leaves open is missing in it, so that a recipe or a default decides.
    """

    @functools.wraps(function)
    def command(**options: Any) -> Any:
        ours = {name: options.pop(name) for name in SearchSettings.model_fields if name in options}
        given = {name: value for name, value in ours.items() if value not in (None, ())}
        return function(given=given, **options)

    return command


def budget_options(function: F) -> F:
    """`--max-evaluations`, `--max-time`, `--max-tokens`, `--max-cost`."""
    for option in (
        click.option(
            "--max-cost",
            "usd",
            type=parameters.Number(0),
            metavar="USD",
            help="Never spend more on LLM calls than this, in US dollars.",
        ),
        click.option(
            "--max-tokens",
            "tokens",
            type=click.IntRange(0),
            help="Never use more LLM tokens than this, input and output together.",
        ),
        click.option(
            "--max-time",
            "seconds",
            type=parameters.DURATION,
            help="Start nothing after this long: 90s, 5m, 8h. Counts over all resumed sessions.",
        ),
        click.option(
            "--max-evaluations", "evaluations", type=click.IntRange(1), help="Kernels to judge."
        ),
    ):
        function = option(function)
    return function


def _go_without_sandbox(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        os.environ["FOUNDRY_SANDBOX"] = "off"


unconfined_option = click.option(
    "--unconfined",
    is_flag=True,
    expose_value=False,
    callback=_go_without_sandbox,
    help="Run kernels, those of LLMs too, without the sandbox. As FOUNDRY_SANDBOX=off.",
)


workspace_option = click.option(
    "-w",
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/adopted"),
    show_default=True,
    help="Folder of adopted calls, a folder for each.",
)


def proposer_options(function: F) -> F:
    """What proposers are told: `--llm`, `--base-url`, `--prompt`, `--effort`, and their limits."""
    for option in (
        unconfined_option,
        click.option(
            "--prompt",
            type=parameters.Name("prompt", lambda: tuple(FORMS)),
            metavar="|".join(FORMS),
            help="How much a prompt explains; compact for small models, and as they were "
            "trained.  [default: full]",
        ),
        click.option(
            "--pricing",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar="FOUNDRY_PRICING",
            show_envvar=True,
            help="TOML file with prices of models of your own.",
        ),
        click.option(
            "--max-output-tokens",
            type=click.IntRange(256, 128_000),
            help="Longest answer of one LLM call.  [default: 16000]",
        ),
        click.option(
            "--effort",
            type=parameters.Name("effort", lambda: EFFORTS),
            metavar="|".join(EFFORTS),
            help="How hard a reasoning model thinks.  [default: the model's own]",
        ),
        click.option(
            "--base-url",
            metavar="URL",
            help="Server of the LLM, such as http://127.0.0.1:11434/v1 for Ollama.",
        ),
        click.option(
            "--llm",
            "--proposer",
            "proposers",
            multiple=True,
            metavar="NAME[:MODEL]",
            help=f"Who proposes (repeatable): {', '.join(NAMES)}; replay:FILE plays recorded "
            f"replies.  [default: {OFFLINE}]",
        ),
    ):
        function = option(function)
    return function


def strategy_options(function: F) -> F:
    """`--strategy` and `--repair`."""
    function = click.option(
        "--repair",
        type=parameters.Number(0, 1),
        help="Share of the proposals that repair failures.  [default: 0.2]",
    )(function)
    return click.option(
        "--strategy",
        type=parameters.Name("strategy", lambda: tuple(STRATEGIES)),
        metavar="|".join(STRATEGIES),
        help="How the kernel to start from is chosen.  [default: puct]",
    )(function)


def worker_options(function: F) -> F:
    """`--workers`, `--parallel` and `--wait`."""
    function = click.option(
        "--wait/--no-wait",
        default=None,
        help="On Ctrl-C, wait for LLM answers on the way, which are paid; a second Ctrl-C leaves "
        "at once.  [default: wait]",
    )(function)
    function = click.option(
        "--parallel",
        type=click.IntRange(1, 64),
        help="Expansions in flight.  [default: the workers, or 4 with an LLM]",
    )(function)
    return click.option(
        "--workers",
        type=click.IntRange(1, options.MOST_WORKERS),
        help="Worker processes; timing runs alone all the same.  [default: one per core, 2 to 8]",
    )(function)


def chip_of(summary: Summary) -> str | None:
    """The chip that a search was for; None where it measured."""
    device = summary.run.device
    return str(device.fingerprint["chip"]) if device.kind == MODEL else None


def time_it_there(chip: str, op: str, dtype: str) -> str:
    """What follows a search for a chip that is not here."""
    return (
        f"predicted, not measured; next: foundry shortlist --chip {chip} --op {op} --dtype {dtype} "
        f"-o {op}.json, and on that chip: foundry confirm {op}.json"
    )


def offline_note(proposers: tuple[str, ...]) -> str | None:
    """One line that says who proposes, when that is nobody's model."""
    if proposers != (OFFLINE,):
        return None
    keys = {"ANTHROPIC_API_KEY": "anthropic", "OPENAI_API_KEY": "openai"}
    found = [name for variable, name in keys.items() if os.environ.get(variable)]
    if found:
        return f"proposer: {OFFLINE} (offline, free); your key allows --llm {found[0]} as well"
    return (
        f"no API key: proposer {OFFLINE} (offline, free); "
        "set ANTHROPIC_API_KEY or OPENAI_API_KEY and add --llm anthropic or openai to ask a model"
    )
