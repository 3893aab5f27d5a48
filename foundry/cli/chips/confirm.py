"""`foundry confirm FILE`: time the kernels of a shortlist on the device that is here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli import options
from foundry.cli.output import note, print_json, print_table
from foundry.report.progress import Progress, TaskProgress

if TYPE_CHECKING:
    from foundry.chips.confirming import Confirmed
    from foundry.program import Device
    from foundry.report.display import Display


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
    them and kept nowhere. Cut short, the same command goes on where it stopped. Exit code 1 when
    none is right here.
    """
    from foundry.chips import shortlist
    from foundry.chips.confirming import Confirmation, confirm
    from foundry.chips.judged import judge_seat
    from foundry.cli.app import command_line
    from foundry.judge.options import PRECISE, JudgeOptions
    from foundry.msl.frontend import language
    from foundry.report.display import open_display
    from foundry.store import Store

    chip, candidates = shortlist.read(file)
    asked = Confirmation(
        file.name, candidates, bench, seed, command_line(), language.chosen().version
    )
    judging = JudgeOptions(bench=bench, plan=PRECISE)
    with Store.open(db) as store, judge_seat(device, 1, judging) as seat:
        title = f"foundry confirm · {file.name} · predicted for {chip} · {seat.device.name}"
        with open_display(title) as display:
            found = confirm(
                asked, store, seat, _Progress(display, [one.name for one in candidates]).heard
            )
    if as_json:
        print_json([one.document(seat.device) for one in found])
    else:
        _show(chip, found, seat.device)
    return 0 if any(one.evaluation.status.passed for one in found) else 1


class _Progress:
    """Shows each kernel as it is confirmed."""

    def __init__(self, display: Display, names: Sequence[str]) -> None:
        self._display = display
        self._names = dict.fromkeys(names)
        self._count = len(names)
        self._heard: list[Confirmed] = []

    def heard(self, one: Confirmed) -> None:
        """Of one more."""
        self._heard.append(one)
        tasks = tuple(TaskProgress(name, statuses=self._statuses(name)) for name in self._names)
        done = len(self._heard)
        self._display.update(Progress(tasks, done, self._count, sum(o.fresh for o in self._heard)))
        self._display.event(f"{one.candidate.kernel_hash[:12]}: {_outcome(one)}")

    def _statuses(self, name: str) -> dict[str, int]:
        own = (one for one in self._heard if one.candidate.name == name)
        return dict(Counter(str(one.evaluation.status) for one in own))


def _outcome(one: Confirmed) -> str:
    from foundry.report.format import latency

    measured = "not timed" if one.us is None else f"{latency(one.us)} us"
    known = "" if one.fresh else ", known from before"
    predicted = latency(one.candidate.predicted_us)
    return f"{one.evaluation.status}, {measured}, predicted {predicted} us{known}"


def _show(chip: str, confirmed: Sequence[Confirmed], device: Device) -> None:
    from foundry.chips import registry
    from foundry.report.format import latency
    from foundry.report.table import Column

    columns = [
        Column("kernel"),
        Column("status"),
        Column(f"predicted us, {chip}", right=True),
        Column(f"measured us, {device.name}", right=True),
    ]
    rows = [
        [
            one.candidate.kernel_hash[:12],
            str(one.evaluation.status),
            latency(one.candidate.predicted_us),
            "-" if one.us is None else latency(one.us),
        ]
        for one in confirmed
    ]
    print_table(columns, rows)
    if registry.key_of(device.name) != registry.key_of(chip):
        note(f"predicted for {chip}, measured on {device.name}: not the same device")
