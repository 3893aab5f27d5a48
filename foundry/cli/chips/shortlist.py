"""`foundry shortlist`: which proven kernels are worth timing on a chip that is not here?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli import options, parameters
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from foundry.chips.chip import Chip
    from foundry.chips.profiled import Profiler
    from foundry.chips.shortlist import ChosenKernel
    from foundry.store.records import StoredEvaluation


@click.command("shortlist")
@click.option(
    "--chip",
    type=parameters.CHIP,
    required=True,
    help="Chip to choose for, as foundry list chips names it.",
)
@click.option("--op", type=parameters.OP, required=True, help="Op whose kernels are chosen from.")
@click.option(
    "--dtype",
    type=parameters.DTYPE,
    default="float32",
    show_default=True,
    help="Element type of the kernels' verdicts and of the workload.",
)
@click.option(
    "-k", "count", type=click.IntRange(1), default=10, show_default=True, help="Kernels to keep."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write, for foundry confirm.",
)
@options.bench_option
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(
    chip: str,
    op: str,
    dtype: str,
    count: int,
    output: Path,
    bench: str,
    db: str | None,
    as_json: bool,
) -> int:
    """Choose the kernels of a database that are worth timing on an Apple GPU.

    Kernels that were proven right, on whatever device, are ranked by the time that is predicted on
    the first chosen bench workload. Those that tie with the last one kept are kept with it. On a
    machine with that chip, foundry confirm FILE times these alone.
    """
    from foundry.chips import fitted, registry, shortlist
    from foundry.chips.prediction import predictable
    from foundry.chips.profiled import Profiler
    from foundry.harness.processes.pool import WorkerPool
    from foundry.store import Store

    known = predictable(registry.get(chip))
    with Store.open(db, read_only=True) as store, WorkerPool("cpu", workers=1) as pool:
        stored = {
            one.evaluation.kernel_hash: one
            for one in store.evaluations(op=op)
            if one.evaluation.status.passed and one.evaluation.dtype == dtype
        }
        profiler = Profiler(pool)
        found = list(_candidates(stored.values(), known, bench, profiler))
    kept = shortlist.shortest(found, count, fitted.built_in())
    if not kept:
        if as_json:
            print_json([])
        none = f"no kernel of {op} in {dtype} was proven right; foundry run --ops {op} does"
        note(f"none of {len(stored)} kernels can be predicted" if stored else none)
        return 1
    shortlist.write(output, chip, kept)
    if as_json:
        print_json([one.document(chip) for one in kept])
    else:
        _show(kept)
    note(
        f"{len(kept)} of {len(stored)} kernels on {chip}, {kept[0].workload}: predicted, not timed"
    )
    note(f"on that chip: foundry confirm {output}")
    return 0


def _show(kept: Sequence[ChosenKernel]) -> None:
    from foundry.report.format import latency
    from foundry.report.predicted import bound_words
    from foundry.report.table import Column

    columns = [Column("kernel"), Column("predicted us", right=True), Column("bound by")]
    rows = [
        [
            one.kernel_hash[:12],
            latency(one.predicted_us),
            bound_words(one.bound, one.left_out),
        ]
        for one in kept
    ]
    print_table(columns, rows)


def _candidates(
    stored: Iterable[StoredEvaluation], chip: Chip, bench: str, profiler: Profiler
) -> Iterator[ChosenKernel]:
    from foundry.chips import fitted
    from foundry.chips.prediction import predicted_on
    from foundry.chips.shortlist import ChosenKernel
    from foundry.errors import InvalidKernel
    from foundry.harness.measuring.profiling import Unprofiled
    from foundry.judge.options import bench_workloads
    from foundry.kernel import parse
    from ops import registry

    for one in stored:
        evaluation = one.evaluation
        op = registry.get(evaluation.op)
        workload = bench_workloads(op, evaluation.dtype, bench)[0]
        try:
            profile = profiler.profile(parse(one.text), op, workload)
        except InvalidKernel as error:
            profile = Unprofiled(str(error))
        if isinstance(profile, Unprofiled):
            note(f"{evaluation.kernel_hash[:12]} is left out: {profile.reason}")
            continue
        said = predicted_on(profile, chip, fitted.built_in())
        yield ChosenKernel(
            evaluation.op,
            evaluation.dtype,
            workload.id,
            evaluation.kernel_hash,
            one.text,
            said.us,
            said.bound,
            said.left_out,
        )
