"""What an autorun leaves behind: a catalog wheel, a dataset, a report.

Each product is written in one step; one that cannot be made is said so, and the others are made
all the same.
"""

from __future__ import annotations

import json
import secrets
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from discover.autorun.recipe import Products
from discover.history.summary import Summary, document
from discover.pages.html import page
from discover.pages.story import gather
from foundry.datasets.export import FORMATS, Exported, Format, export_attempts, export_dataset
from foundry.datasets.files import write_text
from foundry.errors import FoundryError, UsageError
from foundry.judge.options import WHOLE_REACH_S, JudgeOptions
from foundry.report.format import count
from foundry.report.predicted import MODEL

if TYPE_CHECKING:
    from discover.search.workbench import Workbench
    from foundry.store.records import StoredEvaluation

Say = Callable[[str], None]
Step = tuple[str, Callable[[], "list[Written]"]]
"""Kind of a product, and what makes it."""


@dataclass(frozen=True)
class Written:
    """A product: what it is, and where."""

    kind: str
    path: Path
    note: str = ""


def write_products(
    bench: Workbench, found: Sequence[Summary], wanted: Products, folder: Path, say: Say
) -> tuple[list[Written], list[str]]:
    """Write the products that a recipe wants, each whatever becomes of the others.

    Args:
        bench: Database, and the workers that verify winners again.
        found: The searches of the autorun.
        wanted: Which products.
        folder: Where they go.
        say: Hears what could not be made, and why.

    Returns:
        What was written, and the names of those that a fault kept from it.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps: list[Step] = [("report", lambda: _reports(bench, found, folder))]
    if wanted.dataset:
        steps.append(("dataset", lambda: _dataset(bench, found, folder)))
    if wanted.catalog and bench.seat.device.kind == MODEL:
        say(f"no catalog: times on {bench.seat.device.name} are no measurement; time them there")
    elif wanted.catalog:
        name = wanted.catalog
        steps.append(("catalog", lambda: [_catalog(bench, found, name, folder, say)]))
    written, lost = list[Written](), list[str]()
    for kind, make in steps:
        try:
            written += make()
        except UsageError as error:
            say(f"no {kind}: {error}")
        except Exception as error:
            # What a night found is there: a fault in one product must not cost the others.
            say(f"no {kind}: {_words(error)}")
            lost.append(kind)
    return written, lost


def _words(error: Exception) -> str:
    """What went wrong; a fault of ours with its place."""
    if isinstance(error, FoundryError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"internal error: {type(error).__name__} in {where}: {error}"


def _reports(bench: Workbench, found: Sequence[Summary], folder: Path) -> list[Written]:
    figures, told = folder / "report.json", folder / "report.html"
    write_text(figures, json.dumps([document(s) for s in found], indent=2) + "\n")
    stories = [gather(bench.store, summary) for summary in found]
    write_text(told, page(stories, f"Search of {count(len(stories), 'op')}"))
    return [Written("report", figures), Written("page", told)]


def _winner(bench: Workbench, summary: Summary) -> StoredEvaluation | None:
    """The row of the kernel that the search names as its best, not of a luckier single draw."""
    if summary.best is None:
        return None
    wanted = summary.best.evaluation.kernel_hash
    device = bench.seat.device
    proven = bench.store.best(summary.op, device.id, summary.dtype, None)
    return next((row for row in proven if row.evaluation.kernel_hash == wanted), None)


def _dataset(bench: Workbench, found: Sequence[Summary], folder: Path) -> list[Written]:
    """Every attempt on these ops on this device, and what a model can be taught of them."""
    device, store = bench.seat.device, bench.store
    rows = [
        row
        for op in dict.fromkeys(s.op for s in found)
        for row in store.evaluations(op=op, device_id=device.id)
    ]
    origins = store.origins()
    made: list[tuple[str, Exported]] = [
        ("dataset", export_attempts(rows, origins, folder / "dataset", _formats())),
        ("training", export_dataset(rows, origins, folder / "training")),
    ]
    return [Written(kind, e.folder, count(e.rows, "row")) for kind, e in made]


def _formats() -> tuple[Format, ...]:
    """Parquet as well, where its library is installed."""
    return FORMATS if find_spec("pyarrow") else ("jsonl",)


def _catalog(
    bench: Workbench, found: Sequence[Summary], name: str, folder: Path, say: Say
) -> Written:
    from foundry.catalog.ship import judged_by, ship
    from foundry.judge import Judge
    from ops import registry

    stored = [row for s in found if (row := _winner(bench, s)) is not None]
    # Inputs nobody has seen: the seed is drawn now and kept nowhere.
    judge = Judge(bench.seat.pool, JudgeOptions(timed=False, reach_s=WHOLE_REACH_S))
    shipment = ship(
        stored,
        registry.all_ops(),
        judged_by(judge, secrets.randbelow(2**31)),
        folder,
        device_id=judge.device_id,
        name=name,
        progress=lambda r: say(f"verified again: {r.entry.op.name} {r.evaluation.status}"),
    )
    return Written("catalog", shipment.wheel, count(len(shipment.shipped), "kernel"))
