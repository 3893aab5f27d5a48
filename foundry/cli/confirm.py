"""`foundry confirm FILE`: time the kernels of a shortlist on the device that is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from foundry.chips.shortlist import ChosenKernel
    from foundry.cli.judging import Judged


@click.command("confirm")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.bench_option
@options.user_code_options
@options.language_option
@options.db_option
@options.device_option
@options.inputs_seed_option
@options.json_option
@options.debug_option
def command(
    file: Path, bench: str, db: str | None, device: str, seed: int | None, as_json: bool
) -> int:
    """Judge and time the kernels of a shortlist, and keep the results.

    FILE was written by foundry shortlist, mostly on another machine. Each kernel is proven again
    and timed here; what is kept are measurements of this device. What was predicted is shown beside
    them and kept nowhere. Exit code 1 when none is right here.
    """
    from foundry.chips import shortlist
    from foundry.cli.app import command_line
    from foundry.cli.judging import JudgingRequest, KernelText, judge_file, save_evaluations
    from foundry.judge.options import PRECISE, JudgeOptions

    chip, candidates = shortlist.read(file)
    confirmed = []
    for one in candidates:
        request = JudgingRequest(
            path=one.kernel_hash[:12],
            dtypes=(one.dtype,),
            device=device,
            seed=seed,
            options=JudgeOptions(bench=bench, plan=PRECISE),
            save=True,
            db=db,
            as_json=as_json,
        )
        judged = judge_file(KernelText(request.path, one.text), request)
        save_evaluations(judged, db, command_line())
        confirmed.append(Confirmed(one, judged))
    if as_json:
        print_json([one.document() for one in confirmed])
    else:
        _show(chip, confirmed)
    return 0 if any(one.judged.passed for one in confirmed) else 1


@dataclass(frozen=True)
class Confirmed:
    """A kernel of a shortlist, and what became of it here."""

    candidate: ChosenKernel
    judged: Judged

    @property
    def us(self) -> float | None:
        """Measured here, on the first workload that was timed."""
        timings = self.judged.evaluations[0].timings
        return timings[0].kernel_us if timings else None

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        return {"predicted_us": self.candidate.predicted_us, **self.judged.document()}


def _show(chip: str, confirmed: Sequence[Confirmed]) -> None:
    from foundry.chips import registry
    from foundry.report.format import latency
    from foundry.report.table import Column

    here = confirmed[0].judged.device.name if confirmed else "here"
    columns = [
        Column("kernel"),
        Column("status"),
        Column(f"predicted us, {chip}", right=True),
        Column(f"measured us, {here}", right=True),
    ]
    rows = [
        [
            one.candidate.kernel_hash[:12],
            str(one.judged.evaluations[0].status),
            latency(one.candidate.predicted_us),
            "-" if one.us is None else latency(one.us),
        ]
        for one in confirmed
    ]
    print_table(columns, rows)
    if registry.key_of(here) != registry.key_of(chip):
        note(f"predicted for {chip}, measured on {here}: not the same device")
