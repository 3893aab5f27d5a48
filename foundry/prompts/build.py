"""From an assignment to a prompt. Pure: the same one gives the same text.

The system part holds what stays the same for a whole search (operation, file format, rules), so
that a provider's prompt cache is hit; the user part holds parent, failures and relatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from foundry.judge.oracle.sampling import SameOp
from foundry.program import Device
from foundry.prompts import feedback
from foundry.prompts.assignment import Assignment, Attempt
from foundry.prompts.chip import chip_facts, is_predicted, predicted_words, predictions
from foundry.prompts.tensors import described
from foundry.report.figures import figures
from foundry.report.format import interval
from ops.spec import param_dtype

if TYPE_CHECKING:
    import jinja2

FOCI = (
    "the algorithm: fewer passes over the data, another order of the work",
    "memory access: what each thread reads, in which order, how wide, how often",
    "the launch: how work is shared out over threads, SIMD-groups and threadgroups",
    "the inner loop: independent operations, unrolling, what the compiler can vectorise",
    "synchronisation: fewer barriers and SIMD-group operations, or none",
    "arithmetic: cheaper but equally exact operations, fewer of them",
)
"""Proposals take these in turn, so that several at once do not all try the same."""
MAX_FAILURES = 4
MAX_RELATIVES = 2


@dataclass(frozen=True)
class Prompt:
    """What a model is told: once per search, and once per kernel."""

    system: str
    user: str


def build(asked: Assignment) -> Prompt:
    """The prompt for one kernel."""
    op = asked.op
    user = _template("user.j2").render(
        op=op,
        dtype=asked.dtype,
        device=asked.device,
        chip=chip_facts(asked.device),
        bench=asked.timed or op.workloads("bench", asked.dtype),
        parent=_attempt(asked.parent, asked.device) if asked.parent else None,
        failures=[_failure(f, asked.parent) for f in asked.failures[:MAX_FAILURES]],
        relatives=[_relative(r) for r in asked.relatives[:MAX_RELATIVES]],
        lessons=asked.lessons,
        focus=FOCI[asked.turn % len(FOCI)],
        number=asked.turn + 1,
    )
    return Prompt(_system(SameOp(op), asked.dtype, is_predicted(asked.device)), _tidy(user))


@lru_cache(maxsize=512)
def _system(same: SameOp, dtype: str, predicted: bool) -> str:
    """The part that all prompts of one op and element type share, of one way to take times."""
    op = same.op
    text = _template("system.j2").render(
        op=op,
        dtype=dtype,
        predicted=predicted,
        sizes=[_sizes(case.axes) for case in op.visible],
        inputs=[described(t) for t in op.inputs],
        outputs=[described(t) for t in op.outputs],
        params=[(name, param_dtype(value), value) for name, value in op.params.items()],
    )
    return _tidy(text)


def _attempt(attempt: Attempt, device: Device) -> dict[str, Any]:
    return {
        "text": attempt.text,
        "passed": attempt.evaluation.status.passed,
        "status": attempt.evaluation.status.value,
        "timings": feedback.timing_rows(attempt.evaluation, device),
        "predictions": predictions(attempt.evaluation),
        "counters": feedback.counted(attempt.evaluation),
        "reasons": feedback.reasons(attempt.evaluation),
    }


def _failure(attempt: Attempt, parent: Attempt | None) -> dict[str, Any]:
    return {
        "status": attempt.evaluation.status.value,
        "reasons": feedback.reasons(attempt.evaluation, characters=600),
        "changes": feedback.changes(parent.text, attempt.text) if parent else "",
    }


def _relative(attempt: Attempt) -> dict[str, Any]:
    found = figures(attempt.evaluation)
    measured = (found.speedup, found.speedup_low, found.speedup_high) if found else None
    speed = f"Speedup {interval(*measured)}" if measured else "Speedup not timed"
    said = predicted_words(attempt.evaluation)
    return {"text": attempt.text, "speed": said.capitalize() or speed}


def _sizes(axes: Mapping[str, int]) -> str:
    return " ".join(f"{name}={size}" for name, size in axes.items())


def _tidy(text: str) -> str:
    """At most one empty line in a row, none at the ends."""
    lines: list[str] = []
    for line in text.strip().split("\n"):
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


@cache
def _template(name: str) -> jinja2.Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("foundry", "prompts"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    ).get_template(name)
