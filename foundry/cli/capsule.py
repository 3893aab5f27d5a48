"""`foundry capsule write|show|compare`: one measurement with all that is needed to repeat it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli.app import LazyGroup
from foundry.cli.options import db_option, debug_option, json_option
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from foundry.models.capsule import Capsule

_CAPSULE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=LazyGroup, lazy={}, help="Keep one measurement so that others can repeat it.")
def command() -> None:
    """Group of the capsule commands."""


@command.command("write")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--validation", type=int, help="Number of a validation in the database.")
@click.option("--kernel", help="Hash of a kernel, or its beginning: its newest timed evaluation.")
@db_option
@debug_option
def write(file: Path, validation: int | None, kernel: str | None, db: str | None) -> None:
    """Write raw samples, environment and hashes of one measurement to FILE."""
    from foundry.errors import UsageError
    from foundry.models.capsule import render
    from foundry.models.measured import of_kernel, of_validation
    from foundry.store import Store

    if (validation is None) == (kernel is None):
        raise UsageError("name one measurement: --validation NUMBER or --kernel HASH")
    with Store.open(db, read_only=True) as store:
        capsule = of_kernel(store, kernel) if kernel else of_validation(store, validation or 0)
    file.write_text(render(capsule))
    click.echo(file)
    note(f"{capsule.kind}, hash {capsule.hash[:12]}; next: foundry capsule show {file}")


@command.command("show")
@click.argument("file", type=_CAPSULE)
@json_option
@debug_option
def show(file: Path, as_json: bool) -> None:
    """Show what a capsule holds; one that was changed is refused."""
    from foundry.models.capsule import read

    capsule = read(file)
    if as_json:
        print_json({"hash": capsule.hash, **capsule.model_dump(mode="json")})
        return
    for title, text in _lines(capsule):
        click.echo(f"{title:<12} {text}")


@command.command("compare")
@click.argument("first", type=_CAPSULE)
@click.argument("second", type=_CAPSULE)
@json_option
@debug_option
def compare(first: Path, second: Path, as_json: bool) -> None:
    """Show in what two capsules differ: what was measured, where, and what came of it."""
    from foundry.models.capsule import differences, read
    from foundry.report.table import Column

    found = differences(read(first), read(second))
    if as_json:
        print_json([{"where": w, "first": a, "second": b} for w, a, b in found])
        return
    titles = ("where", first.name, second.name)
    print_table([Column(title, elastic=True) for title in titles], found)
    note(f"{len(found)} differences")


def _lines(capsule: Capsule) -> list[tuple[str, str]]:
    packages = capsule.environment.get("packages", {})
    return [
        ("kind", capsule.kind),
        ("hash", capsule.hash),
        ("device", f"{capsule.device['name']} ({capsule.device['kind']})"),
        ("system", str(capsule.environment.get("system", ""))),
        ("packages", ", ".join(f"{name} {found}" for name, found in packages.items())),
        *((name, digest) for name, digest in capsule.hashes.items()),
        ("repeat", capsule.command),
    ]
