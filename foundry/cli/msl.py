"""`foundry msl run SCRIPT`: a program's Metal kernels on a machine without Metal."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import click

from foundry.cli.app import LazyGroup
from foundry.cli.options import debug_option
from foundry.cli.output import note


@click.group(cls=LazyGroup, lazy={}, help="Run programs that use Metal on any machine.")
def command() -> None:
    """Group of the msl commands."""


@command.command(
    "run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@debug_option
def run(script: Path, arguments: tuple[str, ...]) -> None:
    """Run a Python SCRIPT; its Metal kernels run on the cpu engine.

    `mx.fast.metal_kernel` works, `mx.metal.is_available()` is true, `mx.compile` is off.
    What stands behind SCRIPT goes to the script.
    """
    from foundry.msl.stand_in import announce, metal

    note(announce())
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    with metal():
        runpy.run_path(str(script), run_name="__main__")
