"""`foundry catalog build|verify|list`: winners as a wheel, and what a wheel holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli.app import LazyGroup
from foundry.cli.options import (
    db_option,
    debug_option,
    device_option,
    json_option,
    language_option,
    user_code_options,
)
from foundry.cli.output import note, print_json, print_table
from foundry.cli.parameters import OPS

if TYPE_CHECKING:
    from foundry.catalog.build import Reverified
    from foundry.catalog.reader import Shipped
    from foundry.judge.judge import Judge

_WHEEL = click.argument("wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group(cls=LazyGroup, lazy={}, help="Ship proven kernels as a wheel; look into one.")
def command() -> None:
    """Group of the catalog commands."""


@command.command("build")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="Folder for the wheel.",
)
@click.option("--name", default="my_kernels", show_default=True, help="Import name of the wheel.")
@click.option(
    "--version", "wheel_version", default="0.1.0", show_default=True, help="Version of the wheel."
)
@click.option(
    "--licence", default="MIT", show_default=True, help="Licence of the kernels, as SPDX has it."
)
@click.option("--ops", type=OPS, default=None, help="Only these ops, comma-separated.")
@db_option
@device_option
@user_code_options
@language_option
@json_option
@debug_option
def build(
    output: Path,
    name: str,
    wheel_version: str,
    licence: str,
    ops: tuple[str, ...] | None,
    db: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Write a wheel of the best proven kernel per op, dtype and device.

    Each kernel is judged again with fresh seeds first; what no longer passes is left out.
    """
    from foundry.catalog.ship import judged_by, ship
    from foundry.store import Store
    from ops import all_ops

    known = {op: spec for op, spec in all_ops().items() if not ops or op in ops}
    with Store.open(db, read_only=True) as store, _judge(device) as judge:
        shipment = ship(
            store.evaluations(),
            known,
            judged_by(judge, _secret_seed()),
            output,
            device_id=judge.device_id,
            name=name,
            version=wheel_version,
            licence=licence,
            progress=_say,
        )
    document = {
        "wheel": str(shipment.wheel),
        "shipped": [
            {"op": e.op.name, "dtype": e.evaluation.dtype, "hash": e.kernel.hash}
            for e in shipment.shipped
        ],
        "left_out": [
            {"op": r.entry.op.name, "hash": r.entry.kernel.hash, "why": r.evaluation.why}
            for r in shipment.left_out
        ],
    }
    if as_json:
        print_json(document)
        return
    click.echo(shipment.wheel)
    note(f"{len(shipment.shipped)} kernels shipped, {len(shipment.left_out)} left out")
    note(f"next: pip install {shipment.wheel} && python -m {name} verify")


@command.command("verify")
@_WHEEL
@device_option
@user_code_options
@language_option
@json_option
@debug_option
def verify(wheel: Path, device: str, as_json: bool) -> int:
    """Judge every kernel of a wheel again on this machine. Exit code 4 when one fails."""
    from foundry.catalog.reader import read_wheel
    from ops import get

    seed = _secret_seed()
    rows = []
    with _judge(device) as judge:
        for shipped in read_wheel(wheel):
            found = judge.evaluate(shipped.kernel, get(shipped.op), shipped.dtype, seed)
            note(f"{shipped.op} {shipped.dtype} {shipped.kernel.hash[:12]}: {found.status}")
            rows.append(_row(shipped) | {"status": str(found.status), "why": found.why})
    failed = [row for row in rows if row["status"] not in ("correct", "faster")]
    if as_json:
        print_json({"kernels": rows, "failed": len(failed)})
    else:
        click.echo(f"{len(rows)} kernels, {len(failed)} failed")
        for row in failed:
            click.echo(f"{row['op']} {row['dtype']} {row['hash'][:12]}: {row['why']}")
    return 4 if failed else 0


@command.command("list")
@_WHEEL
@json_option
@debug_option
def listing(wheel: Path, as_json: bool) -> None:
    """Show the kernels of a wheel, where they were timed, and by how much they won."""
    from foundry.catalog.reader import read_wheel
    from foundry.report.table import Column

    rows = [_row(shipped) for shipped in read_wheel(wheel)]
    if as_json:
        print_json(rows)
        return
    names = ("op", "dtype", "kernel", "status", "timed on", "speedup")
    cells = [
        (r["op"], r["dtype"], r["hash"][:12], r["recorded"], r["device"], _speedups(r["timings"]))
        for r in rows
    ]
    print_table([Column(name) for name in names], cells)


def _row(shipped: Shipped) -> dict[str, Any]:
    record = shipped.record
    return {
        "op": shipped.op,
        "dtype": shipped.dtype,
        "hash": shipped.kernel.hash,
        "recorded": record["status"],
        "device": f"{record['device_name']} ({record['device_kind']})",
        "timings": record["timings"],
    }


def _speedups(timings: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{t['speedup']:.2f} [{t['speedup_low']:.2f}, {t['speedup_high']:.2f}]" for t in timings
    )


def _say(result: Reverified) -> None:
    entry = result.entry
    note(
        f"{entry.op.name} {entry.evaluation.dtype} {entry.kernel.hash[:12]}: "
        f"{result.evaluation.status}"
    )


@contextmanager
def _judge(device: str) -> Iterator[Judge]:
    from foundry.harness.processes.pool import WorkerPool
    from foundry.judge.judge import Judge
    from foundry.judge.options import WHOLE_REACH_S, JudgeOptions

    with WorkerPool(device) as pool:
        yield Judge(pool, JudgeOptions(timed=False, reach_s=WHOLE_REACH_S))


def _secret_seed() -> int:
    import secrets

    return secrets.randbelow(2**31)
