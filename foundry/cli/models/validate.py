"""`foundry validate MODEL`: the same tokens with kernels as without, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from foundry.cli.options import db_option, debug_option, json_option
from foundry.cli.output import note, print_json

if TYPE_CHECKING:
    from foundry.models.comparing import Throughput
    from foundry.models.validation import ModelValidation

catalog_option = click.option(
    "--catalog",
    required=True,
    metavar="NAME|WHEEL",
    help="The catalog whose kernels the model gets: a package's name, or the path of a wheel.",
)


@click.command("validate")
@click.argument("model")
@catalog_option
@click.option(
    "--mode",
    type=click.Choice(["stable", "fast", "edge"]),
    default="stable",
    show_default=True,
    help="Which patterns may be used.",
)
@click.option("--tokens", type=click.IntRange(2), default=50, show_default=True, help="Per prompt.")
@click.option(
    "--pairs",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Timed turns of each side; 0: no times.",
)
@click.option("--dtype", type=click.Choice(["float32", "float16", "bfloat16"]), help="Of weights.")
@click.option(
    "--quantised", type=click.Choice(["4", "8"]), default=None, help="Pack weights in these bits."
)
@click.option("--only", default="", help="Only these patterns, comma-separated.")
@click.option("--without", default="", help="Without these patterns, comma-separated.")
@click.option("--every-kernel", is_flag=True, help="Kernels where they are proven, timed or not.")
@click.option("--save", is_flag=True, help="Keep the result in the database.")
@db_option
@json_option
@debug_option
def command(
    model: str,
    catalog: str,
    mode: str,
    tokens: int,
    pairs: int,
    dtype: str | None,
    quantised: str | None,
    only: str,
    without: str,
    every_kernel: bool,
    save: bool,
    db: str | None,
    as_json: bool,
) -> int:
    """Decode with kernels and without, token by token, and time both in turns.

    MODEL is a folder that mlx-lm loads, or tiny:FAMILY, small and random. Without Metal the
    kernels run on the cpu engine: the tokens mean the same there, the times do not. Exit code 1
    when a token differs.
    """
    from foundry.cli.models.validating import ModelBench, validated
    from foundry.models.conditions import ValidationPlan
    from foundry.models.loading import load

    plan = ValidationPlan(mode, tokens, pairs, _words(only), _words(without))
    with ModelBench(catalog, every_kernel) as bench:
        loaded = load(model, dtype, int(quantised or 0))
        found = validated(bench, loaded, plan, db if save else None, save=save)
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            _show(found, bench.device.name)
    return 0 if found.is_same else 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _show(found: ModelValidation, device: str) -> None:
    from foundry.models.matrix import why

    same, tokens = found.identical
    patterns = ", ".join(f"{name} x{count}" for name, count in found.patterns.items())
    click.echo(f"{found.model} ({found.family}), {found.mode}: {patterns or 'nothing replaced'}")
    click.echo(f"{same} of {tokens} tokens identical over {len(found.prompts)} prompts")
    click.echo(f"kernels answered: {', '.join(found.kernels_ran) or 'none'}")
    for title, measured in (("prefill", found.prefill), ("decoding", found.decoding)):
        if measured is not None:
            click.echo(f"{title}: {_speed(measured)}")
    plain, kernels = found.plain_bytes / 2**20, found.kernels_bytes / 2**20
    click.echo(f"memory: {plain:.1f} MiB plain, {kernels:.1f} MiB with kernels")
    if said := why(found):
        click.echo(said)
    for op, reason in found.kernels_idle.items():
        note(f"no kernel answered {op}: {reason}")
    for name, reason in found.left.items():
        note(f"{name}: {reason}")
    note(f"ran on {device}")


def _speed(measured: Throughput) -> str:
    return (
        f"{measured.kernels_tokens_s:.1f} tokens/s with kernels, {measured.plain_tokens_s:.1f} "
        f"plain: {measured.gain:.2f}x [{measured.gain_low:.2f}, {measured.gain_high:.2f}]"
    )
