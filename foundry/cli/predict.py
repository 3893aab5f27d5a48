"""`foundry predict FILE`: how long would this kernel take on a chip that is not here?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from foundry.chips.chip import Chip
    from foundry.chips.fitted import Fitted
    from foundry.chips.prediction import Prediction
    from foundry.chips.profiled import Profiler
    from ops.spec import Op, Workload


@click.command("predict")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option(
    "--chip",
    "names",
    type=options.CHIP,
    multiple=True,
    required=True,
    help="Chip to predict for, as foundry list chips names it (repeatable).",
)
@click.option(
    "--dtype",
    type=options.DTYPE,
    default="float32",
    show_default=True,
    help="Element type of the workloads.",
)
@options.bench_option
@click.option(
    "--axes",
    type=options.AxisSizes(),
    help="Sizes instead of the op's bench workloads: m=4096,n=4096,k=4096.",
)
@click.option(
    "--constants",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A fit of your own, made by foundry chips fit.",
)
@options.user_code_options
@options.language_option
@options.seed_option
@options.json_option
@options.debug_option
def command(
    files: tuple[str, ...],
    names: tuple[str, ...],
    dtype: str,
    bench: str,
    axes: dict[str, int] | None,
    constants: Path | None,
    seed: int,
    as_json: bool,
) -> int:
    """Predict how long kernel files take on Apple GPUs that are not here.

    Each FILE is a kernel file, or - for standard input. A prediction is no measurement: it is made
    of what a GPU's compiler makes of the kernel, of what the kernel does on a few threadgroups, and
    of constants that were fitted to published times (docs/chip-model.md says how often it is
    right). A kernel whose work depends on its inputs is predicted for three that are drawn, with
    their spread. Kernels that it cannot tell apart are said to be one. They should have passed
    foundry sanitize.
    """
    from foundry.chips import fitted, registry
    from foundry.chips.profiled import Profiler
    from foundry.harness.processes.pool import WorkerPool

    asked = _Asked(
        tuple(registry.get(name) for name in names),
        fitted.read(constants) if constants else fitted.built_in(),
        dtype,
        bench,
        axes,
    )
    with WorkerPool("cpu", workers=1) as pool:
        profiler = Profiler(pool, seed)
        found = [one for path in files for one in _predicted(path, asked, profiler)]
    if as_json:
        print_json([one.document() for one in found])
    else:
        _show(found, asked.fitted)
    return 1 if any(one.reason for one in found) else 0


@dataclass(frozen=True)
class _Asked:
    chips: tuple[Chip, ...]
    fitted: Fitted
    dtype: str
    bench: str
    axes: dict[str, int] | None


@dataclass(frozen=True)
class Predicted:
    """A kernel file over one workload on one chip: a prediction, or why there is none."""

    file: str
    workload: str
    prediction: Prediction | None
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        said = self.prediction.document() if self.prediction else {"unpredicted": self.reason}
        return {"file": self.file, "workload": self.workload, **said}


def _predicted(path: str, asked: _Asked, profiler: Profiler) -> Iterator[Predicted]:
    from foundry.chips.prediction import predicted_over
    from foundry.cli.judging import kernel_and_op, read_kernel_text

    text = read_kernel_text(path)
    kernel, op = kernel_and_op(text)
    for workload in _workloads(op, asked):
        profiles = profiler.profiles(kernel, op, workload)
        for chip in asked.chips:
            if isinstance(profiles, str):
                yield Predicted(text.name, workload.id, None, profiles)
            else:
                said = predicted_over(profiles, chip, asked.fitted)
                yield Predicted(text.name, workload.id, said)


def _workloads(op: Op, asked: _Asked) -> tuple[Workload, ...]:
    from foundry.errors import UsageError
    from foundry.judge.options import bench_workloads
    from ops.spec import Case

    if asked.axes is None:
        return bench_workloads(op, asked.dtype, asked.bench)
    if set(asked.axes) != set(op.axis_names):
        raise UsageError(f"the axes of {op.name} are {', '.join(op.axis_names)}")
    like = bench_workloads(op, asked.dtype, "quick")[0]
    return (op.workload(Case(asked.axes, like.params), asked.dtype),)


def _show(found: list[Predicted], fitted: Fitted) -> None:
    from foundry.report.table import Column

    columns = [
        Column("kernel", elastic=True),
        Column("workload", elastic=True),
        Column("chip"),
        Column("predicted us", right=True),
        Column("between"),
        Column("bound by"),
    ]
    rows = []
    for one in found:
        rows.append([one.file, one.workload, *_cells(one)])
    print_table(columns, rows)
    for one in found:
        if one.prediction:
            click.echo(f"\n{one.file} on {one.prediction.chip}:")
            for sentence in one.prediction.sentences:
                click.echo(f"  {sentence}")
    for line in dict.fromkeys(_ties(found, fitted)):
        click.echo(line)
    assumed = {one.prediction.chip: one.prediction.assumed for one in found if one.prediction}
    for chip, said in assumed.items():
        if said:
            note(f"{chip}: {'; '.join(said)}")
    note("predictions, not measurements; docs/chip-model.md says how often they rank rightly")


def _cells(one: Predicted) -> list[str]:
    from foundry.report.format import latency

    said = one.prediction
    if said is None:
        return ["-", "-", "-", one.reason]
    between = f"{latency(said.low_us)} to {latency(said.high_us)}"
    return [said.chip, latency(said.us), between, said.bound]


def _ties(found: list[Predicted], fitted: Fitted) -> Iterator[str]:
    """Kernels that the model does not tell apart."""
    from foundry.chips.prediction import tells_apart

    for one, other in itertools.combinations(found, 2):
        a, b = one.prediction, other.prediction
        if a is None or b is None or (a.chip, one.workload) != (b.chip, other.workload):
            continue
        if not tells_apart(a.us, b.us, fitted):
            yield f"{one.file} and {other.file} on {a.chip}: cannot tell which is faster"
