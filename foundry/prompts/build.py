"""From an assignment to a prompt. Pure: the same one gives the same text.

The system part holds what stays the same for a whole search (operation, baselines, file format,
rules), and the user part begins with the device and the timed workloads, so that a provider's
prompt cache is hit; kernel, diagnosis and what was tried come after. What does not fit is left out
item by item, the least valuable first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from foundry.judge.oracle.sampling import SameOp
from foundry.program import Device
from foundry.prompts import demands, feedback
from foundry.prompts.assignment import Assignment, Attempt
from foundry.prompts.chip import chip_facts, is_predicted, predictions
from foundry.prompts.diagnosis import Diagnosis, diagnose
from foundry.prompts.foci import focus
from foundry.prompts.forms import FULL, PromptForm
from foundry.prompts.parts import Parts, parts
from foundry.prompts.tensors import described
from ops.workload import param_dtype

if TYPE_CHECKING:
    import jinja2

_CHARACTERS_PER_TOKEN = 3
"""Of code, at least: no tokenizer is at hand."""


@dataclass(frozen=True)
class Prompt:
    """What a model is told: once per search, and once per kernel."""

    system: str
    user: str


def build(asked: Assignment, form: PromptForm = FULL) -> Prompt:
    """The prompt for one kernel.

    Args:
        asked: What is wanted, and known.
        form: How long it may be, and how much its first part explains.
    """
    system = _system(SameOp(asked.op), asked.dtype, is_predicted(asked.device), form.system)
    room = form.tokens * _CHARACTERS_PER_TOKEN - len(system)
    held: Parts | None = parts(asked)
    user = ""
    while held is not None:
        user = _user(asked, held)
        held = held.cheaper if len(user) > room else None
    return Prompt(system, user)


def _user(asked: Assignment, held: Parts) -> str:
    op, parent, device = asked.op, asked.parent, asked.device
    found = Diagnosis("")
    if parent and parent.evaluation.status.passed:
        found = diagnose(parent.evaluation, device)
    text = _template("user.j2").render(
        op=op,
        dtype=asked.dtype,
        device=device,
        chip=chip_facts(device),
        parent=_attempt(parent, device) if parent else None,
        diagnosis=found.text,
        parts=held,
        focus=focus(asked.turn, found.costly, found.idle),
        number=asked.turn + 1,
    )
    return _tidy(text)


@lru_cache(maxsize=512)
def _system(same: SameOp, dtype: str, predicted: bool, template: str) -> str:
    """The part that all prompts of one op and element type share, of one way to take times."""
    op = same.op
    text = _template(template).render(
        op=op,
        dtype=dtype,
        predicted=predicted,
        sizes=[_sizes(case.axes) for case in op.visible],
        inputs=[described(t) for t in op.inputs],
        outputs=[described(t) for t in op.outputs],
        params=[(name, param_dtype(value), value) for name, value in op.params.items()],
        baselines=demands.baselines(op),
        values=demands.inputs(op),
        nonfinite=demands.nonfinite(op),
        tolerances=list(demands.tolerances(op, dtype)),
    )
    return _tidy(text)


def _attempt(attempt: Attempt, device: Device) -> dict[str, Any]:
    return {
        "text": attempt.text,
        "passed": attempt.evaluation.status.passed,
        "status": attempt.evaluation.status.value,
        "timings": feedback.timing_rows(attempt.evaluation, device),
        "predictions": predictions(attempt.evaluation),
        "reasons": feedback.reasons(attempt.evaluation),
    }


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
