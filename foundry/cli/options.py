"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from foundry.cli import parameters

F = TypeVar("F", bound=Callable[..., Any])
MOST_WORKERS = 8


def default_workers() -> int:
    """One worker per core, from 2 to 8."""
    return min(MOST_WORKERS, max(2, os.cpu_count() or 1))


def db_option(function: F) -> F:
    """`--db`, as an SQLAlchemy URL or a path; None stands for the default."""
    return click.option(
        "--db",
        envvar="FOUNDRY_DB",
        metavar="URL",
        help="Database: a path or any SQLAlchemy URL.  [default: runs/foundry.db]",
        show_envvar=True,
    )(function)


def device_option(function: F) -> F:
    """`--device auto|metal|cpu`, another package's engine, or `module:Class`."""
    return click.option(
        "--device",
        type=parameters.DEVICE,
        default="auto",
        show_default=True,
        envvar="FOUNDRY_DEVICE",
        show_envvar=True,
        metavar=parameters.DEVICE_METAVAR,
        help="Where kernels run; auto takes Metal where it works, else the CPU.",
    )(function)


def searched_device_option(function: F) -> F:
    """`--device`, or `model:CHIP` for a chip that is not here."""
    return click.option(
        "--device",
        type=parameters.SEARCHED_DEVICE,
        default="auto",
        show_default=True,
        envvar="FOUNDRY_DEVICE",
        show_envvar=True,
        metavar=parameters.SEARCHED_METAVAR,
        help="Where kernels run; auto takes Metal where it works, else the CPU. With model:m4-max "
        "they are proven on the CPU, and their times on that chip are predicted.",
    )(function)


def seed_option(function: F) -> F:
    """`--seed`, of every random choice but the inputs of kernels, which are drawn in secret."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**31 - 1),
        default=0,
        show_default=True,
        envvar="FOUNDRY_SEED",
        show_envvar=True,
        help="Seed of every random choice.",
    )(function)


def inputs_seed_option(function: F) -> F:
    """`--seed`, of the inputs alone."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**48 - 1),
        default=None,
        help="Seed of the inputs, to repeat an evaluation.  [default: drawn in secret]",
    )(function)


def output_option(folder: str) -> Callable[[F], F]:
    """`-o, --output`, a folder that is made where it does not exist."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        default=folder,
        show_default=True,
        help="Folder to write.",
    )


def selection_options(function: F) -> F:
    """`--ops` and `--device-id`: which stored evaluations are meant."""
    function = click.option(
        "--device-id",
        metavar="ID",
        help="Only records of this device: its id, or how it starts, such as cpu.",
    )(function)
    return click.option("--ops", type=parameters.OPS, help="Only these ops, comma-separated.")(
        function
    )


def save_option(function: F) -> F:
    """`--save`: keep the verdict in the database."""
    return click.option(
        "--save", is_flag=True, help="Keep kernel and verdict in the database, as runs do."
    )(function)


def bench_option(function: F) -> F:
    """`--bench quick|full|LABEL`."""
    return click.option(
        "--bench",
        default="quick",
        show_default=True,
        metavar="quick|full|LABEL",
        help="Bench workloads to time: the first, all, or the one of that label.",
    )(function)


def json_option(function: F) -> F:
    """`--json`: standard output carries one JSON document and nothing else."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document on standard output."
    )(function)


def debug_option(function: F) -> F:
    """`--debug`, read by the application before the command runs."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        help="Show the traceback of an error.",
    )(function)


def user_code_options(function: F) -> F:
    """`--op-file` and `--templates`: ops and templates from users' own files.

    Both are published through their environment variables, so that worker processes see them.
    """
    function = click.option(
        "--templates",
        "template_folders",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        multiple=True,
        is_eager=True,
        expose_value=False,
        callback=_publish("FOUNDRY_TEMPLATES"),
        help="Folder with templates of your own (repeatable).  [env var: FOUNDRY_TEMPLATES]",
    )(function)
    return click.option(
        "--op-file",
        "op_files",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        is_eager=True,
        expose_value=False,
        callback=_publish("FOUNDRY_OPS"),
        help="Python file with ops of your own (repeatable).  [env var: FOUNDRY_OPS]",
    )(function)


def language_option(function: F) -> F:
    """`--language-version`, published so that worker processes see it."""
    return click.option(
        "--language-version",
        type=parameters.LANGUAGE_VERSION,
        envvar=parameters.LANGUAGE_SETTING,
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_publish_language,
        help="Metal Shading Language that kernels are read as.  [default: 4.0, of macOS 26]",
    )(function)


def _publish_language(
    ctx: click.Context, param: click.Parameter, version: str | None
) -> str | None:
    if version is not None and not ctx.resilient_parsing:
        before = os.environ.get(parameters.LANGUAGE_SETTING)
        os.environ[parameters.LANGUAGE_SETTING] = version
        ctx.call_on_close(lambda: _restore(parameters.LANGUAGE_SETTING, before))
    return version


def _publish(
    variable: str,
) -> Callable[[click.Context, click.Parameter, tuple[Path, ...]], tuple[Path, ...]]:
    """A callback that adds the paths to `variable` for as long as the command runs."""

    def publish(
        ctx: click.Context, param: click.Parameter, paths: tuple[Path, ...]
    ) -> tuple[Path, ...]:
        if paths and not ctx.resilient_parsing:
            before = os.environ.get(variable)
            parts = [*([before] if before else []), *(str(path.resolve()) for path in paths)]
            os.environ[variable] = os.pathsep.join(parts)
            ctx.call_on_close(lambda: _restore(variable, before))
        return paths

    return publish


def _restore(variable: str, before: str | None) -> None:
    if before is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = before
