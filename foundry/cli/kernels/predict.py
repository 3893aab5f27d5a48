"""`foundry predict FILE`: how long would this kernel take on a chip that is not here?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.failures import FAILED, REJECTED
from foundry.cli.kernels.sanitize_file import Asked, function_options, refuse_whole_files
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from foundry.chips.chip import Chip
    from foundry.chips.fitted import Fitted
    from foundry.chips.prediction import Prediction
    from foundry.chips.profiled import Profiler
    from foundry.cli.kernels.judging import KernelText
    from foundry.harness.measuring.profiling import Unprofiled
    from ops.spec import Op
    from ops.workload import Workload


@click.command("predict")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option(
    "--chip",
    "names",
    type=parameters.CHIP,
    multiple=True,
    required=True,
    help="Chip to predict for, as foundry list chips names it (repeatable).",
)
@click.option(
    "--dtype",
    type=parameters.DTYPE,
    default="float32",
    show_default=True,
    help="Element type of the workloads.",
)
@options.bench_option
@click.option(
    "--axes",
    type=parameters.AxisSizes(),
    help="Sizes instead of the op's bench workloads: m=4096,n=4096,k=4096.",
)
@click.option(
    "--constants",
    "fit",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A fit of your own, made by foundry chips fit.",
)
@function_options
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
    fit: Path | None,
    seed: int,
    as_json: bool,
    **function: Any,
) -> int:
    """Predict how long kernel files take on Apple GPUs that are not here.

    Each FILE is a kernel file, or - for standard input. A prediction is no measurement: it is made
    of what a GPU's compiler makes of the kernel, of what the kernel does on a few threadgroups, and
    of constants that were fitted to published times (docs/chip-model.md says how often it is
    right). A kernel whose work depends on its inputs is predicted for three that are drawn, with
    their spread. Kernels that it cannot tell apart are said to be one. They should have passed
    foundry sanitize.

    With --function, FILE is a whole .metal file, and one dispatch of that function is predicted,
    over buffers that are made as foundry sanitize makes them.
    """
    from foundry.chips import fitted, registry
    from foundry.chips.prediction import predictable

    asked = _Asked(
        tuple(predictable(registry.get(name)) for name in names),
        fitted.read(fit) if fit else fitted.built_in(),
        dtype,
        bench,
        axes,
    )
    if (dispatched := Asked(**function)).is_wanted:
        found = list(_of_function(files, dispatched, asked, seed))
    else:
        found = list(_of_files(files, asked, seed))
    if as_json:
        print_json([one.document() for one in found])
    else:
        _show(found, asked.fitted)
    if any(one.is_invalid or one.is_at_fault for one in found):
        return REJECTED
    return FAILED if any(one.reason for one in found) else 0


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
    chip: str
    prediction: Prediction | None
    reason: str = ""
    line: int | None = None
    """Of the file, where the file is no kernel of its op."""
    is_at_fault: bool = False
    """Whether there is no prediction because the file does not build."""

    @property
    def is_invalid(self) -> bool:
        """Whether the file is no kernel of its op."""
        return self.line is not None

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        if self.is_invalid:
            why = {"stage": "parse", "message": self.reason, "line": self.line}
            return {"file": self.file, "status": "invalid", "diagnostics": [why]}
        said: dict[str, Any] = {"chip": self.chip, "unpredicted": self.reason}
        if self.prediction:
            said = self.prediction.document()
        return {"file": self.file, "workload": self.workload, **said}


def _of_files(paths: tuple[str, ...], asked: _Asked, seed: int) -> Iterator[Predicted]:
    from foundry.chips.profiled import Profiler
    from foundry.harness.processes.pool import WorkerPool

    with WorkerPool("cpu", workers=1) as pool:
        profiler = Profiler(pool, seed)
        for path in paths:
            yield from _predicted(path, asked, profiler)


def _predicted(path: str, asked: _Asked, profiler: Profiler) -> Iterator[Predicted]:
    """A file on every workload and chip; where it is no kernel, that and its line.

    Raises:
        UsageError: Options that do not fit its op, with the file's name.
    """
    from foundry.cli.kernels.judging import read_kernel_text
    from foundry.errors import InvalidKernel, UsageError

    file = read_kernel_text(path)
    refuse_whole_files(file)
    try:
        yield from _of_kernel(file, asked, profiler)
    except InvalidKernel as error:
        yield Predicted(file.name, "", "", None, error.reason, error.line)
    except UsageError as error:
        raise UsageError(f"{file.name}: {error}") from None


def _of_kernel(file: KernelText, asked: _Asked, profiler: Profiler) -> Iterator[Predicted]:
    from foundry.chips.prediction import predicted_over
    from foundry.cli.kernels.judging import kernel_and_op
    from foundry.harness.measuring.profiling import Unprofiled

    kernel, op = kernel_and_op(file)
    for workload in _workloads(op, asked):
        profiles = profiler.profiles(kernel, op, workload)
        for chip in asked.chips:
            if isinstance(profiles, Unprofiled):
                yield _unpredicted(file.name, workload.id, chip, profiles)
            else:
                said = predicted_over(profiles, chip, asked.fitted)
                yield Predicted(file.name, workload.id, chip.key, said)


def _of_function(
    paths: tuple[str, ...], function: Asked, asked: _Asked, seed: int
) -> Iterator[Predicted]:
    from foundry.chips.prediction import predicted_on
    from foundry.cli.kernels.predict_file import profile_of
    from foundry.harness.measuring.profiling import Unprofiled

    named, found = profile_of(paths, function, seed)
    for chip in asked.chips:
        if isinstance(found, Unprofiled):
            yield _unpredicted(paths[0], named, chip, found)
        else:
            said = predicted_on(found, chip, asked.fitted)
            yield Predicted(paths[0], named, chip.key, said)


def _unpredicted(file: str, asked: str, chip: Chip, why: Unprofiled) -> Predicted:
    return Predicted(file, asked, chip.key, None, why.reason, is_at_fault=why.is_at_fault)


def _workloads(op: Op, asked: _Asked) -> tuple[Workload, ...]:
    from foundry.errors import UsageError
    from foundry.judge.options import bench_workloads
    from ops.workload import Case

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
    rows = [[one.file, one.workload, one.chip, *_cells(one)] for one in found if not one.is_invalid]
    if rows:
        print_table(columns, rows)
    for one in found:
        for line in _said(one):
            click.echo(line)
    for line in dict.fromkeys(_ties(found, fitted)):
        click.echo(line)
    _note_assumed(found)


def _cells(one: Predicted) -> list[str]:
    from foundry.report.format import latency
    from foundry.report.predicted import bound_words

    said = one.prediction
    if said is None:
        return ["-", "-", "not predicted"]
    between = f"{latency(said.low_us)} to {latency(said.high_us)}"
    return [latency(said.us), between, bound_words(said.bound, said.left_out)]


def _said(one: Predicted) -> Iterator[str]:
    """What bounds a kernel and what would move it, or why there is no prediction."""
    if one.is_invalid:
        yield f"{one.file}:{one.line}: invalid: {one.reason}"
    elif one.prediction is None:
        yield f"\n{one.file} on {one.chip}, not predicted: {one.reason}"
    else:
        yield f"\n{one.file} on {one.chip}:"
        yield from (f"  {sentence}" for sentence in one.prediction.sentences)


def _note_assumed(found: list[Predicted]) -> None:
    """What is not published of the chips, and how far predictions go."""
    told = {one.chip: one.prediction for one in found if one.prediction}
    for chip, prediction in told.items():
        if prediction.assumed:
            note(f"{chip}: {'; '.join(prediction.assumed)}")
    if told:
        note("predictions, not measurements; docs/chip-model.md says how often they rank rightly")


def _ties(found: list[Predicted], fitted: Fitted) -> Iterator[str]:
    """Kernels that the model does not tell apart."""
    from foundry.chips.prediction import tells_apart

    for one, other in itertools.combinations(found, 2):
        a, b = one.prediction, other.prediction
        if a is None or b is None or (a.chip, one.workload) != (b.chip, other.workload):
            continue
        if not tells_apart(a.us, b.us, fitted):
            yield f"{one.file} and {other.file} on {a.chip}: cannot tell which is faster"
