"""`foundry train DATA`: fine-tune a small model by mlx-lm on an exported dataset."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from foundry.cli import options, parameters
from foundry.cli.output import note

_DATA = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("train")
@click.argument("data", type=_DATA)
@click.option("--model", required=True, help="A folder, or a name on a hub, as mlx-lm takes it.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/adapter"),
    show_default=True,
    help="Folder for the adapter.",
)
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Steps of the optimiser.",
)
@click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, help="Rows of an iteration."
)
@click.option(
    "--layers",
    type=click.IntRange(-1),
    default=-1,
    show_default=True,
    help="Layers from the last one down that are trained; -1: all.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(8),
    default=2048,
    show_default=True,
    help="Longer rows are cut there; a prompt that fills them is refused.",
)
@click.option(
    "--learning-rate",
    type=parameters.Number(0.0, min_open=True),
    default=5e-5,
    show_default=True,
    help="The highest: it rises over a twentieth of the iterations, then falls along a cosine.",
)
@click.option(
    "--checkpoint/--no-checkpoint",
    default=True,
    show_default=True,
    help="Compute activations anew in the backward pass: less memory, more time.",
)
@click.option(
    "--resume",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Weights of an adapter to go on from: adapters.safetensors. Give another --seed too.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the commands, run none; the schedule that they read is written.",
)
@options.seed_option
@options.debug_option
def command(
    data: Path,
    model: str,
    output: Path,
    iterations: int,
    batch: int,
    layers: int,
    max_tokens: int,
    learning_rate: float,
    checkpoint: bool,
    resume: Path | None,
    dry_run: bool,
    seed: int,
) -> None:
    """Train an adapter (LoRA) by mlx-lm, on answers alone, and say its loss on the test rows.

    DATA is a folder with train.jsonl, valid.jsonl and test.jsonl: of foundry export-sft, or of one
    view of foundry data build. The very commands of mlx-lm that run are printed first.
    """
    from foundry.training import TrainingPlan, commands, splits, train, write_schedule

    plan = TrainingPlan(
        data=data,
        model=model,
        adapter=output,
        iterations=iterations,
        batch=batch,
        layers=layers,
        most_tokens=max_tokens,
        learning_rate=learning_rate,
        seed=seed,
        checkpoint=checkpoint,
        resume=resume,
    )
    if dry_run:
        lines = commands(plan, splits(data))
        write_schedule(plan)
        for line in lines:
            click.echo(shlex.join(line))
        return
    train(plan, told=note)
    click.echo(output)
    note(
        f"next: python -m mlx_lm server --model {shlex.quote(model)} --adapter-path "
        f"{shlex.quote(str(output))}; discover search softmax --llm openai-chat"
    )
