"""`foundry verify FILE`: is this kernel right?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from foundry.cli import options, parameters

if TYPE_CHECKING:
    from foundry.cli.kernels.judging import Judged
    from foundry.judge.verdict import Evaluation
    from ops.spec import Op


@click.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--dtype",
    "dtypes",
    type=parameters.DTYPE_LIST,
    help="Element types, comma-separated.  [default: every dtype of the op]",
)
@options.save_option
@options.user_code_options
@options.language_option
@options.db_option
@options.device_option
@options.inputs_seed_option
@options.json_option
@options.debug_option
def command(
    file: str,
    dtypes: tuple[str, ...] | None,
    save: bool,
    db: str | None,
    device: str,
    seed: int | None,
    as_json: bool,
) -> int:
    """Prove a kernel file right, without timing it.

    FILE is a kernel file, or - for standard input. The kernel is built and run on the visible, then
    the hidden workloads of its op, under several distributions of inputs, and every output is
    compared with a float64 oracle. Exit code 4 when it is not proven right.
    """
    from foundry.cli.kernels.judging import JudgingRequest, judge_and_show
    from foundry.judge.options import QUICK_REACH_S, JudgeOptions

    request = JudgingRequest(
        path=file,
        dtypes=dtypes,
        device=device,
        seed=seed,
        options=JudgeOptions(timed=False, reach_s=QUICK_REACH_S),
        save=save,
        db=db,
        as_json=as_json,
    )
    return judge_and_show(request, _show)


def _show(judged: Judged) -> None:
    from foundry.cli.kernels.judging import print_failures

    click.echo(
        f"{judged.file.name}: {judged.op.name} {judged.kernel.hash[:12]} on {judged.device.name}"
    )
    width = max(len(e.dtype) for e in judged.evaluations)
    for evaluation in judged.evaluations:
        said = f"{evaluation.status}{_errors(evaluation)}{_reached(evaluation, judged.op)}"
        click.echo(f"  {evaluation.dtype:<{width}}  {said}")
    print_failures(judged)


def _errors(evaluation: Evaluation) -> str:
    if not evaluation.status.passed or not evaluation.errors:
        return ""
    worst = max(error.bound_ratio for error in evaluation.errors)
    return f"  largest error {worst:.2f} of its bound"


def _reached(evaluation: Evaluation, op: Op) -> str:
    """How large the workloads were, and whether bench shapes are larger."""
    from ops.spec import elements_of

    if evaluation.proven is None:
        return ""
    most = evaluation.proven.elements
    largest = max(elements_of(op, w) for w in op.workloads("bench", evaluation.dtype))
    beyond = f", of {largest:,} that its bench shapes go to" if largest > most else ""
    return f"  proven up to {most:,} elements{beyond}"
