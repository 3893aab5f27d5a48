"""`foundry list`: ops, templates, kernels, runs, chips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.output import note, print_json, print_table
from foundry.report.format import STATUS_ORDER, interval, latency
from foundry.report.table import Column

if TYPE_CHECKING:
    from datetime import datetime

    from foundry.chips.chip import Figure
    from foundry.store.records import Overview, RunRecord, StoredEvaluation
    from ops.spec import Op
    from ops.workload import Tensor
    from templates.template import Template

_MOST_COUNTED = 20_000
"""A knob space is counted up to here; some have millions of points."""


@dataclass(frozen=True)
class Query:
    """What to list."""

    op: str | None
    status: str | None
    limit: int
    db: str | None


@dataclass(frozen=True)
class Listing:
    """Rows for a table, and the same as a document."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    document: Callable[[], Sequence[dict[str, Any]]]
    """Made only for who asks for it."""
    empty: str
    """What to say, and to do next, when there is nothing."""


@click.command("list")
@click.argument(
    "what",
    type=parameters.Name("list", lambda: tuple(_LISTS)),
    default="ops",
    metavar="[ops|templates|kernels|runs|chips]",
)
@click.option("--op", type=parameters.OP, help="Only this op, or templates and kernels of it.")
@click.option(
    "--status",
    type=parameters.Name("status", lambda: STATUS_ORDER),
    help="Only kernels of this status, such as faster.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Kernels or runs at most, the latest.",
)
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(
    what: str, op: str | None, status: str | None, limit: int, db: str | None, as_json: bool
) -> None:
    """List ops, templates, judged kernels, runs or Apple GPUs.

    Chips of your own: FOUNDRY_CHIPS names files or folders, see docs/chips.md.
    """
    listing = _LISTS[what](Query(op, status, limit, db))
    if as_json:
        print_json(listing.document())
    elif listing.rows:
        print_table(listing.columns, listing.rows)
    else:
        note(listing.empty)


def _ops(query: Query) -> Listing:
    from ops import registry as ops
    from ops.tiers import tier
    from templates.registry import all_templates

    owned: dict[str, list[Template]] = {}
    for template in all_templates().values():
        owned.setdefault(template.op, []).append(template)
    chosen = [op for name, op in sorted(ops.all_ops().items()) if query.op in (None, name)]
    columns = [
        Column("op"),
        Column("family"),
        Column("tier", right=True),
        Column("axes", elastic=True),
        Column("inputs", elastic=True),
        Column("outputs"),
        Column("templates", right=True),
    ]
    rows = [
        [
            op.name,
            op.family,
            str(tier(op)),
            " ".join(op.axis_names),
            " ".join((*(t.name for t in op.inputs), *op.params)),
            " ".join(t.name for t in op.outputs),
            str(len(owned.get(op.name, ()))),
        ]
        for op in chosen
    ]
    return Listing(columns, rows, lambda: _ops_document(query, chosen, owned), "no ops")


def _ops_document(
    query: Query, chosen: Sequence[Op], owned: Mapping[str, Sequence[Template]]
) -> list[dict[str, Any]]:
    from ops.tiers import tier

    best = _best(query)
    return [
        {
            "op": op.name,
            "family": op.family,
            "tier": tier(op),
            "formula": op.formula,
            "axes": list(op.axis_names),
            "conditions": list(op.conditions),
            "types": {"T": list(op.dtypes), **{k: list(v) for k, v in op.types.items()}},
            "gradient_of": op.gradient_of,
            "inputs": [_tensor(t) | _held(t) for t in op.inputs],
            "outputs": [_tensor(t) for t in op.outputs],
            "params": dict(op.params),
            "dtypes": list(op.dtypes),
            "workloads": {
                "visible": len(op.visible),
                "hidden": len(op.hidden),
                "bench": [case.label or dict(case.axes) for case in op.bench],
            },
            "baselines": {n: op.baseline(n).text.strip() for n in op.baselines},
            "templates": {t.name: _count(t) for t in owned.get(op.name, ())},
            "best": best.get(op.name, []),
        }
        for op in chosen
    ]


def _count(template: Template) -> int:
    """Points of a template, counted up to a limit."""
    from templates import space

    return space.count(template, _MOST_COUNTED)


def _best(query: Query) -> dict[str, list[dict[str, Any]]]:
    """The best kernel known of each op, on every device and in every dtype; none without a file."""
    from foundry.store import Store
    from foundry.store.location import locate

    found: dict[str, list[dict[str, Any]]] = {}
    if not locate(query.db).exists:
        return found
    with Store.open(query.db, read_only=True) as store:
        for entry in store.overview():
            if entry.best_hash is not None:
                found.setdefault(entry.op, []).append(_best_row(entry))
    return found


def _best_row(entry: Overview) -> dict[str, Any]:
    return {
        "device": f"{entry.device_kind}: {entry.device_name}",
        "device_id": entry.device_id,
        "dtype": entry.dtype,
        "kernel": entry.best_hash,
        "score": entry.best_score,
    }


def _held(tensor: Tensor) -> dict[str, Any]:
    """What an input holds, and whether it may be absent."""
    words = tensor.fill.in_words() if tensor.fill else ""
    return {"holds": words or "any value", "optional": tensor.optional}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _templates(query: Query) -> Listing:
    from templates.registry import all_templates

    chosen = [t for t in all_templates().values() if query.op in (None, t.op)]
    chosen.sort(key=lambda t: (t.op, not t.start, t.name))
    points = {t.name: _count(t) for t in chosen}
    columns = [
        Column("template"),
        Column("op"),
        Column("points", right=True),
        Column("knobs", elastic=True),
        Column("summary", elastic=True),
    ]
    rows = [[t.name, t.op, _points(points[t.name]), " ".join(t.knobs), t.summary] for t in chosen]
    document = [
        {
            "template": t.name,
            "op": t.op,
            "summary": t.summary,
            "start": t.start,
            "points": points[t.name],
            "knobs": {knob: list(values) for knob, values in t.knobs.items()},
            "constraints": list(t.constraints),
        }
        for t in chosen
    ]
    return Listing(columns, rows, lambda: document, "no templates; see docs/write-a-template.md")


def _points(count: int) -> str:
    return f"{count:,}" + ("+" if count == _MOST_COUNTED else "")


def _kernels(query: Query) -> Listing:
    from foundry.judge.verdict import Status
    from foundry.report.summary import stored_document
    from foundry.store import Store

    status = Status(query.status) if query.status else None
    with Store.open(query.db, read_only=True) as store:
        found = list(store.evaluations(query.op, status, limit=query.limit, newest_first=True))
    columns = [
        Column("kernel"),
        Column("op"),
        Column("dtype"),
        Column("status"),
        Column("us", right=True),
        Column("speedup [95 %]"),
        Column("device", elastic=True),
        Column("from", elastic=True),
        Column("when"),
    ]
    rows = [_kernel_row(stored) for stored in found]
    document = [stored_document(stored) for stored in found]
    return Listing(
        columns, rows, lambda: document, "no kernels yet; next: foundry run --ops softmax"
    )


def _kernel_row(stored: StoredEvaluation) -> list[str]:
    from foundry.report.figures import figures

    evaluation, best = stored.evaluation, figures(stored.evaluation)
    return [
        evaluation.kernel_hash[:8],
        evaluation.op,
        evaluation.dtype,
        str(evaluation.status),
        latency(best.kernel_us if best else None),
        interval(best.speedup, best.speedup_low, best.speedup_high) if best else "-",
        f"{stored.device.kind}: {stored.device.name}",
        origin_text(stored),
        when(stored.created_at),
    ]


def origin_text(stored: StoredEvaluation) -> str:
    """Where a kernel came from, in a few words."""
    knobs = stored.origin.detail.get("knobs", {})
    settings = [f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in knobs.items()]
    return " ".join([stored.origin.name, *settings])


def _runs(query: Query) -> Listing:
    from foundry.store import Store

    with Store.open(query.db, read_only=True) as store:
        found = store.runs()[::-1][: query.limit]
    columns = [
        Column("run", right=True),
        Column("kind"),
        Column("outcome"),
        Column("evaluations", right=True),
        Column("seed", right=True),
        Column("device", elastic=True),
        Column("started"),
        Column("command", elastic=True),
    ]
    rows = [
        [
            str(run.id),
            run.kind,
            run.outcome or "unfinished",
            f"{run.evaluations:,}",
            str(run.seed),
            f"{run.device.kind}: {run.device.name}",
            when(run.started_at),
            run.command,
        ]
        for run in found
    ]
    document = [_run_document(run) for run in found]
    return Listing(columns, rows, lambda: document, "no runs yet; next: foundry run --ops softmax")


def _run_document(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "kind": run.kind,
        "command": run.command,
        "outcome": run.outcome,
        "evaluations": run.evaluations,
        "resumed": run.resumed,
        "seed": run.seed,
        "settings": dict(run.settings),
        "device": {"id": run.device.id, "kind": run.device.kind, "name": run.device.name},
        "environment": dict(run.environment),
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
    }


def _chips(query: Query) -> Listing:
    from dataclasses import asdict

    from foundry.chips import registry

    found = list(registry.all_chips().values())
    shown = {
        "cores": "cores",
        "MHz": "clock_mhz",
        "TFLOPS": "fp32_tflops",
        "GB/s": "dram_gb_s",
        "L2 KiB": "l2_kib",
        "SLC MiB": "slc_mib",
        "launch us": "dispatch_us",
    }
    columns = [Column("chip"), *(Column(title, right=True) for title in shown)]
    rows = [
        [chip.key, *(_figure(getattr(chip, name)) for name in shown.values())] for chip in found
    ]
    document = [asdict(chip) | {"unknown": list(chip.unknown)} for chip in found]
    return Listing(columns, rows, lambda: document, "no chips")


def _figure(figure: Figure | None) -> str:
    return f"{figure.value:,g}" if figure else "-"


def when(moment: datetime) -> str:
    """A moment in the local time zone, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


_LISTS: dict[str, Callable[[Query], Listing]] = {
    "ops": _ops,
    "templates": _templates,
    "kernels": _kernels,
    "runs": _runs,
    "chips": _chips,
}
