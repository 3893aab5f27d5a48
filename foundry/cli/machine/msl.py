"""`foundry msl run SCRIPT`: a program's Metal kernels on a machine without Metal."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

import click

from foundry.cli.app import LazyGroup
from foundry.cli.options import debug_option
from foundry.cli.output import note
from foundry.errors import FoundryError, UsageError


@click.group(cls=LazyGroup, lazy={}, help="Run programs that use Metal on any machine.")
def command() -> None:
    """Group of the msl commands."""


@command.command(
    "run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("-m", "module", is_flag=True, help="SCRIPT is a module's name, as in python -m.")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@debug_option
def run(module: bool, script: str, arguments: tuple[str, ...]) -> None:
    """Run a Python SCRIPT; its Metal kernels run on the cpu engine.

    `mx.fast.metal_kernel` works, `mx.metal.is_available()` is true, `mx.compile` is off.
    What stands behind SCRIPT goes to the script. It ends as it would under `python SCRIPT`.
    """
    from foundry.msl.stand_in.metal import announce, metal

    if not module and not Path(script).exists():
        raise UsageError(f"there is no script '{script}'; for a module: foundry msl run -m NAME")
    note(announce())
    sys.argv = [script, *arguments]
    with metal():
        try:
            _run(script, module)
        except FoundryError:
            raise
        except Exception as error:  # the script's own, shown as Python shows it
            traceback.print_exception(_without_own_frames(error))
            sys.exit(1)


def _run(script: str, module: bool) -> None:
    if module:
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(script, run_name="__main__", alter_sys=True)
    else:
        if Path(script).is_file():  # a folder or archive puts itself there
            sys.path.insert(0, str(Path(script).resolve().parent))
        runpy.run_path(script, run_name="__main__")


def _without_own_frames(error: Exception) -> Exception:
    """The error as of the script's first frame; a script that cannot be read has none."""
    own = {__file__, runpy.__file__, "<frozen runpy>"}
    first = error.__traceback__
    while first is not None and first.tb_frame.f_code.co_filename in own:
        first = first.tb_next
    return error.with_traceback(first or error.__traceback__)
