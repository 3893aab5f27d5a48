"""The canonical table: one flat row per evaluation, whatever its status.

Rows of different devices stand side by side, and every row says which device it is of. Nested
lists hold diagnostics, output errors, timings with raw samples and stage times; what has no fixed
shape (knobs, fingerprint, counters) is JSON text, so that every row has the same columns. Seeds of
inputs and sizes of hidden workloads stay here: whoever trains on them would train to pass.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any

from foundry.datasets import leaks, requested
from foundry.datasets.duplicates import form
from foundry.datasets.evidence import is_clean
from foundry.datasets.labels import CANARY, MEASURED, PROVEN
from foundry.datasets.teachers import Lineage
from foundry.judge.verdict import Status
from foundry.kernel import text_hash
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
    "method": TEXT,
    "sanitized": FLAG,
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
    "canary": TEXT,
}
"""Columns and kinds; `[kind]` is a list, a table is a record. Any value may be missing."""


VERDICTS_OF_MACHINES = (Status.TIMEOUT, Status.CRASH)
"""What may be the fault of a busy machine: nobody can be held to it later."""

ABOUT = (
    "One row per evaluation of a kernel on a device, failures included: `status` says what became "
    "of it, `diagnostics` why. Rows with status `rejected` are suspected cheats. In JSON Lines, "
    "values that are no numbers are null."
)


def row(stored: StoredEvaluation, lineage: Lineage) -> dict[str, Any]:
    """One evaluation as a row of `SCHEMA`."""
    evaluation = stored.evaluation
    timed = requested.names(stored)
    text = leaks.scrubbed(stored.text, timed)
    own = evaluation.model_dump(mode="python", exclude={"diagnostics", "errors"})
    whole = leaks.scrubbed(own, timed)
    op = all_ops().get(evaluation.op)
    found = leaks.diagnostics(evaluation, stored.text, timed)
    made: dict[str, Any] = {
        "evaluation_id": stored.id,
        "run_id": stored.run_id,
        "created_at": stored.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "family": op.family if op else None,
        "parent_hash": stored.parent_hash,
        "kernel": text,
        "normal_form": text_hash(form(stored.text)),
        "status": evaluation.status.value,
        "why": found[0].headline if found else "",
        "diagnostics": [one.model_dump() for one in found],
        "errors": leaks.errors(evaluation, timed),
        "method": MEASURED if evaluation.timings else PROVEN,
        "sanitized": is_clean(evaluation) if evaluation.status.passed else None,
        "score": evaluation.score,
        "device_kind": stored.device.kind,
        "device_name": stored.device.name,
        "device_fingerprint": _json(stored.device.fingerprint, timed),
        "origin_kind": stored.origin.kind,
        "origin_name": leaks.without_paths(stored.origin.name),
        "origin_detail": _json(stored.origin.detail, timed),
        "teachers": list(lineage.teachers),
        "training_use": lineage.use.value,
        "licence": lineage.licence,
        "stage_ms": [{"stage": name, "ms": ms} for name, ms in evaluation.stage_ms.items()],
        "extra": _json(evaluation.extra, timed),
        "canary": CANARY,
    }
    return {name: made[name] if name in made else whole[name] for name in SCHEMA}


def _json(value: Mapping[str, Any], timed: Collection[str]) -> str:
    return json.dumps(leaks.scrubbed(value, timed), sort_keys=True)
