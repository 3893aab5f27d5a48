"""`foundry judge selftest`: attacks and honest controls against the judge of this machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from foundry.cli.app import LazyGroup
from foundry.cli.options import debug_option, device_option, json_option
from foundry.cli.output import note, print_json


@click.group(cls=LazyGroup, lazy={}, help="Test the judge itself.")
def command() -> None:
    """Group of the judge commands."""


@command.command("selftest")
@click.option(
    "--attacks",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Folder of attack files instead of the built-in ones.",
)
@click.option("--only", metavar="TEXT", default="", help="Only attacks whose kind/name holds TEXT.")
@click.option(
    "--progress",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Keep outcomes in this file, and go on behind those that it holds.",
)
@click.option(
    "--level",
    type=click.Choice(["limits", "filtered", "isolated"]),
    default=None,
    help="Confine at this level of the sandbox.  [default: the strongest here]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 8),
    default=2,
    show_default=True,
    help="Worker processes: kernels judged at once.",
)
@device_option
@json_option
@debug_option
def selftest(
    attacks: Path | None,
    only: str,
    progress: Path | None,
    level: str | None,
    workers: int,
    device: str,
    as_json: bool,
) -> int:
    """Attack the judge with planted bugs, cheats and hostile kernels.

    Prints the kill rate and the false-alarm rate. Exit code 1 when an attack is accepted, an
    honest control is refused, or a process outlives its kernel by a second.
    """
    import secrets
    import time

    from foundry.errors import UsageError
    from foundry.harness.processes.pool import WorkerPool
    from foundry.harness.sandbox import Level
    from foundry.judge import kept
    from foundry.judge import selftest as test
    from foundry.judge.attacks import corpus, load

    known = load(attacks) if attacks else corpus(only)
    chosen = [a for a in known if only in a.full_name]
    if not chosen:
        raise UsageError(f"no attack has '{only}' in its name; leave --only away to run all")
    done = kept.outcomes(progress, chosen) if progress else []
    known_ids = {id(outcome.attack) for outcome in done}
    left = [attack for attack in chosen if id(attack) not in known_ids]
    test.adopt_orphans()
    start_s, seed = time.monotonic(), secrets.randbits(48)
    with WorkerPool(device, workers, level=Level[level.upper()] if level else None) as pool:
        confined = str(pool.level)
        say = _progress(len(done), len(chosen))
        for outcome in test.run(test.Judges.of(pool), left, seed, workers, say):
            done.append(outcome)
            if progress:
                kept.add(progress, outcome)
    report = test.summary(done)
    report |= {
        "processes_left": len(test.strays()),
        "level": confined,
        "seed": seed,
        "seconds": round(time.monotonic() - start_s, 1),
    }
    if as_json:
        print_json(report)
    else:
        _print(report)
    return 1 if report["accepted"] or report["refused"] or report["processes_left"] else 0


def _progress(known: int, count: int) -> Callable[[Any], None]:
    """Says each outcome, and how many of how many there are."""
    numbers = itertools.count(known + 1)

    def say(outcome: Any) -> None:
        attack, status = outcome.attack, outcome.evaluation.status
        mark = "ok" if outcome.held and outcome.expected else "odd" if outcome.held else "FAILED"
        note(f"{next(numbers):>4}/{count} {mark:<6} {attack.kind}/{attack.name}: {status}")

    return say


def _print(report: dict[str, Any]) -> None:
    killed = report["attacks"] - len(report["accepted"])
    if report["attacks"]:
        click.echo(f"kill rate: {killed} of {report['attacks']} ({report['kill_rate']:.1%})")
    if report["contained"]:
        click.echo(f"passed where they are right, and proven no further: {report['contained']}")
    if report["controls"]:
        click.echo(
            f"false alarms: {len(report['refused'])} of {report['controls']}"
            f" ({report['false_alarm_rate']:.1%})"
        )
    click.echo(f"processes left after a second: {report['processes_left']}")
    click.echo(f"sandbox level {report['level']}, {report['seconds']:g} s, seed {report['seed']}")
    for key, sentence in (
        ("accepted", "accepted, but"),
        ("refused", "refused, but honest:"),
        ("unexpected", "stopped for another reason than planned:"),
    ):
        for row in report[key]:
            click.echo(
                f"{row['kind']}/{row['name']}: {sentence} {row['what']}"
                f" ({row['status']}) {row['why']}"
            )
