"""`foundry doctor`: does this machine have what it takes, and if not, what to do."""

from __future__ import annotations

import sys

import click

from foundry.cli import options
from foundry.cli.output import print_json
from foundry.errors import EnvironmentUnusable

_MARKS = {"ok": ("ok", "green"), "absent": ("-", None), "warning": ("warning", "yellow")}
_BROKEN = ("broken", "red")


@click.command("doctor")
@options.db_option
@options.device_option
@options.json_option
@options.debug_option
def command(db: str | None, device: str, as_json: bool) -> int:
    """Check this machine, with a fix for each fault.

    Looks at Python, MLX, the engines, the compiler, the build cache, the database and the names of
    keys; then builds a kernel, runs it and compares it with its oracle. Exit code 3 when this
    machine cannot be used as it is.
    """
    from foundry.cli.checks import DoctorCheck, examine, worst

    checks: list[DoctorCheck] = []
    for check in examine(device, db):
        checks.append(check)
        if not as_json:
            _show(check.name, check.state, check.found, check.fix)
    usable = worst(checks) != "broken"
    if as_json:
        print_json({"usable": usable, "checks": [vars(check) for check in checks]})
    return 0 if usable else EnvironmentUnusable.exit_code


def _show(name: str, state: str, found: str, fix: str) -> None:
    from foundry.cli.output import colour_wanted

    mark, colour = _MARKS.get(state, _BROKEN)
    shown = f"{mark:<8}"
    if colour and colour_wanted(sys.stdout):
        shown = click.style(shown, fg=colour)
    click.echo(f"{name:<13} {shown} {found}")
    if fix:
        click.echo(f"{'':<13} {'fix:':<8} {fix}")
