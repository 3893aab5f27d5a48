"""The canonical table: one flat row per evaluation, whatever its status.

Rows of different devices stand side by side, and every row says which device it is of. Nested
lists hold diagnostics, output errors, timings with raw samples and stage times; what has no fixed
shape (knobs, fingerprint, counters) is JSON text, so that every row has the same columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from foundry.datasets.teachers import Lineage
from foundry.kernel import text_hash
from foundry.kernel.normal_form import normalise
from foundry.store.records import StoredEvaluation
from ops.registry import all_ops

TEXT, NUMBER, INTEGER, FLAG = "text", "number", "integer", "flag"

SCHEMA: Mapping[str, Any] = {
    "evaluation_id": INTEGER,
    "run_id": INTEGER,
    "created_at": TEXT,
    "op": TEXT,
    "family": TEXT,
    "dtype": TEXT,
    "kernel_hash": TEXT,
    "parent_hash": TEXT,
    "kernel": TEXT,
    "normal_form": TEXT,
    "status": TEXT,
    "why": TEXT,
    "score": NUMBER,
    "device_id": TEXT,
    "device_kind": TEXT,
    "device_name": TEXT,
    "device_fingerprint": TEXT,
    "judge_version": INTEGER,
    "seed": INTEGER,
    "origin_kind": TEXT,
    "origin_name": TEXT,
    "origin_detail": TEXT,
    "teachers": [TEXT],
    "training_use": TEXT,
    "licence": TEXT,
    "diagnostics": [
        {"stage": TEXT, "message": TEXT, "workload": TEXT, "hidden": FLAG, "line": INTEGER}
    ],
    "errors": [{"workload": TEXT, "output": TEXT, "max_abs_error": NUMBER, "bound_ratio": NUMBER}],
    "timings": [
        {
            "workload": TEXT,
            "label": TEXT,
            "baseline": TEXT,
            "baseline_us": NUMBER,
            "kernel_us": NUMBER,
            "speedup": NUMBER,
            "speedup_low": NUMBER,
            "speedup_high": NUMBER,
            "samples_baseline_us": [NUMBER],
            "samples_kernel_us": [NUMBER],
            "bytes_moved": INTEGER,
            "flops": INTEGER,
            "floor_us": NUMBER,
            "baseline_dispatch_us": NUMBER,
            "kernel_dispatch_us": NUMBER,
            "fixed_us": NUMBER,
            "method": INTEGER,
        }
    ],
    "stage_ms": [{"stage": TEXT, "ms": NUMBER}],
    "extra": TEXT,
}
"""Columns and kinds; `[kind]` is a list, a table is a record. Any value may be missing."""


def row(stored: StoredEvaluation, lineage: Lineage) -> dict[str, Any]:
    """One evaluation as a row of `SCHEMA`."""
    evaluation = stored.evaluation
    whole = evaluation.model_dump(mode="python")
    op = all_ops().get(evaluation.op)
    made: dict[str, Any] = {
        "evaluation_id": stored.id,
        "run_id": stored.run_id,
        "created_at": stored.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "family": op.family if op else None,
        "parent_hash": stored.parent_hash,
        "kernel": stored.text,
        "normal_form": text_hash(normalise(stored.text)),
        "status": evaluation.status.value,
        "why": evaluation.why,
        "score": evaluation.score,
        "device_kind": stored.device.kind,
        "device_name": stored.device.name,
        "device_fingerprint": _json(stored.device.fingerprint),
        "origin_kind": stored.origin.kind,
        "origin_name": stored.origin.name,
        "origin_detail": _json(stored.origin.detail),
        "teachers": list(lineage.teachers),
        "training_use": lineage.use.value,
        "licence": lineage.licence,
        "stage_ms": [{"stage": name, "ms": ms} for name, ms in evaluation.stage_ms.items()],
        "extra": _json(evaluation.extra),
    }
    return {name: _plain(made[name] if name in made else whole[name]) for name in SCHEMA}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True)


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    match value:
        case tuple() | list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
    return value
