"""`foundry precision OP`: in which dtypes an op is safe, and up to which magnitude."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from foundry.cli.options import debug_option, json_option, user_code_options
from foundry.cli.output import print_json, print_table
from foundry.cli.parameters import AxisSizes, Name, Number, known_ops

if TYPE_CHECKING:
    from foundry.judge.precision import Precision


@click.command("precision")
@click.argument("op", type=Name("op", known_ops))
@click.option(
    "--magnitude",
    "magnitudes",
    type=Number(0.0, min_open=True),
    multiple=True,
    default=(1.0, 100.0, 10_000.0),
    show_default=True,
    help="Largest input, by absolute value; may be given several times.",
)
@click.option(
    "--tolerance",
    type=Number(0.0, 1.0, min_open=True),
    default=0.02,
    show_default=True,
    help="Largest error that is safe: a share of the largest result of a row.",
)
@click.option(
    "--axes",
    type=AxisSizes(),
    help="Sizes to try it at, such as cols=8192: longer sums leave a range earlier.",
)
@user_code_options
@json_option
@debug_option
def command(
    op: str,
    magnitudes: tuple[float, ...],
    tolerance: float,
    axes: dict[str, int] | None,
    as_json: bool,
) -> None:
    """Say where float16 and bfloat16 are safe for an op, by the error model of the judge.

    An op is safe at a magnitude where no result leaves the range of the dtype, MLX's own expression
    does not overflow on the way, and a right kernel's errors stay within the tolerance, with inputs
    of both signs and of one. It is tried at the sizes of a small workload, or at those of --axes.
    """
    from foundry.judge.precision import precision, safe_up_to
    from foundry.report.table import Column
    from ops import get

    meant, sizes = get(op), axes or {}
    found = [precision(meant, d, m, tolerance, sizes) for d in meant.dtypes for m in magnitudes]
    limits = {dtype: safe_up_to(meant, dtype, tolerance, sizes) for dtype in meant.dtypes}
    if as_json:
        rows = [asdict(p) | {"safe": p.is_safe, "why": p.why} for p in found]
        print_json({"op": op, "safe_up_to": limits, "magnitudes": rows})
        return
    titles = ("dtype", "magnitude", "safe", "error", "why")
    print_table([Column(title) for title in titles], [_row(p) for p in found])
    click.echo(f"at {found[0].sizes}; longer rows leave a range earlier")
    for dtype, limit in limits.items():
        click.echo(f"{dtype}: safe up to {limit:.6g}" if limit else f"{dtype}: never safe")


def _row(found: Precision) -> tuple[str, ...]:
    is_safe = "yes" if found.is_safe else "no"
    return (found.dtype, f"{found.magnitude:g}", is_safe, f"{found.error:.2g}", found.why)
