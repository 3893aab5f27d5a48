"""`foundry doctor`: does this machine have what it takes, and if not, what to do."""

from __future__ import annotations

import sys
from itertools import chain

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
    keys; then links a kernel, lets the sanitizer catch faults, judges a kernel whole and times a
    baseline against itself: `proven on this machine`, or the reason why not. Exit code 3 when this
    machine cannot be used as it is. The output of --json is a report to attach.
    """
    from foundry.cli.machine.checks import DoctorCheck, examine, worst
    from foundry.cli.machine.proving import conclude, device_of, try_all

    checks: list[DoctorCheck] = []

    def take(check: DoctorCheck) -> None:
        checks.append(check)
        if not as_json:
            _show(check.name, check.state, check.found, check.fix)

    for check in chain(examine(db), try_all(device)):
        take(check)
    proof = conclude(checks, device)
    take(proof)
    usable = worst(checks) != "broken"
    if as_json:
        found = device_of(device)
        print_json(
            {
                "usable": usable,
                "proven": proof.state == "ok",
                "device": vars(found) if found else None,
                "checks": [vars(check) for check in checks],
            }
        )
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
