"""From the database to a wheel: choose winners, judge them again, write what still passes.

`discover autorun` and `foundry catalog build` both end here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foundry.catalog.build import (
    Reverified,
    check_licence,
    check_name,
    check_version,
    reverified,
    write_wheel,
)
from foundry.catalog.entry import CatalogEntry, winners
from foundry.catalog.kept import Judging, Kept
from foundry.errors import InvalidKernel, UsageError
from foundry.judge.judge import Judge
from foundry.judge.verdict import TIMING_METHOD, Evaluation, Status
from foundry.kernel import parse
from ops.spec import Op

if TYPE_CHECKING:
    from foundry.store.records import StoredEvaluation


@dataclass(frozen=True)
class Shipment:
    """What was written, and what was left out."""

    wheel: Path
    shipped: tuple[CatalogEntry, ...]
    left_out: tuple[Reverified, ...]


def entries(stored: Iterable[StoredEvaluation], known: Mapping[str, Op]) -> Iterator[CatalogEntry]:
    """Proven kernels of ops that exist here, ready to be chosen from."""
    for row in stored:
        op = known.get(row.evaluation.op)
        if op is None or not row.evaluation.status.passed:
            continue
        try:
            yield CatalogEntry(op, parse(row.text), _as_timed_now(row.evaluation), row.device)
        except InvalidKernel:
            # Written by a version whose file format differed; it cannot be shipped any more.
            continue


def _as_timed_now(evaluation: Evaluation) -> Evaluation:
    """The evaluation without times that were taken by another method: they compare with none."""
    if all(timing.method == TIMING_METHOD for timing in evaluation.timings):
        return evaluation
    return evaluation.model_copy(update={"status": Status.CORRECT, "timings": ()})


def ship(
    stored: Iterable[StoredEvaluation],
    known: Mapping[str, Op],
    judge: Judging,
    folder: Path,
    *,
    device_id: str,
    name: str,
    version: str = "0.1.0",
    licence: str = "MIT",
    progress: Callable[[Reverified], None] = lambda _: None,
) -> Shipment:
    """Choose, re-verify and write.

    Args:
        stored: Evaluations to choose from.
        known: Ops by name.
        judge: Judges one entry again, untimed.
        folder: Where the wheel goes; until it is there, verdicts are kept beside it.
        device_id: What `judge` judges on.
        name: Import name of the catalog.
        version: Its version.
        licence: SPDX expression of the kernels' licence.
        progress: Called after each re-verification.

    Raises:
        UsageError: Nothing to ship, or a name, version, licence or baseline that cannot be used.
        FoundryError: The folder cannot be written.
    """
    check_name(name)
    check_version(version)
    check_licence(licence)
    chosen = winners(entries(stored, known))
    if not chosen:
        raise UsageError("no proven kernel to ship; search first: discover search softmax")
    kept = Kept(folder / f".{name}.judged.jsonl", device_id)
    done = []
    for result in reverified(chosen, kept.judging(judge)):
        progress(result)
        done.append(result)
    shipped = tuple(_as_proven_now(r) for r in done if r.passed)
    left_out = tuple(r for r in done if not r.passed)
    if not shipped:
        reasons = "; ".join(f"{r.entry.op.name}: {r.evaluation.why}" for r in left_out)
        raise UsageError(f"no kernel passed re-verification ({reasons})")
    wheel = write_wheel(folder, name, version, shipped, licence)
    kept.forget(result.entry for result in done)
    return Shipment(wheel, shipped, left_out)


def _as_proven_now(result: Reverified) -> CatalogEntry:
    """The entry, with what an earlier version of the judge proved proven by this one."""
    entry, verdict = result.entry, result.evaluation
    if entry.evaluation.judge_version == verdict.judge_version:
        return entry
    update = {"proven": verdict.proven, "judge_version": verdict.judge_version}
    return replace(entry, evaluation=entry.evaluation.model_copy(update=update))


def judged_by(judge: Judge, seed: int) -> Judging:
    """A judge of entries from a judge of kernels; `seed` draws inputs nobody has seen."""
    return lambda entry: judge.evaluate(entry.kernel, entry.op, entry.evaluation.dtype, seed)
