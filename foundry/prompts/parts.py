"""What a prompt holds beside the kernel itself, and what goes first when there is no room. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from foundry.judge.verdict import Evaluation
from foundry.prompts import devices, feedback
from foundry.prompts.assignment import Assignment, Attempt
from foundry.prompts.chip import predicted_words
from foundry.prompts.differences import changes
from foundry.report.figures import figures
from foundry.report.format import interval, latency
from foundry.store.records import Lesson
from ops.workload import Workload

MAX_FAILURES = 4
MAX_SLOWER = 6
MAX_RELATIVES = 2
NEAR = 1.25
"""A kernel may take so many times as long as the parent and still be worth reading."""
_OF_A_WORKLOAD = 3.0
"""Worth of a timed workload, less with each: only a short prompt leaves some out."""
_OF_THE_DEVICE = 0.6
"""Worth of a sentence on what the device can do: below a failure or a good kernel at hand."""
_FADES = 0.8
"""Worth of what came before the latest of its kind, each step."""


@dataclass(frozen=True)
class PromptItem:
    """One item of a prompt."""

    worth: float
    """What it is worth to a proposer; the least goes first."""


@dataclass(frozen=True)
class FailedChild(PromptItem):
    """A failed child of the parent."""

    status: str
    reasons: tuple[str, ...]
    changes: str


@dataclass(frozen=True)
class ToldLine(PromptItem):
    """One line."""

    text: str


@dataclass(frozen=True)
class Relative(PromptItem):
    """Another good kernel."""

    text: str
    speed: str


@dataclass(frozen=True)
class Parts:
    """All that a prompt may hold beside the parent."""

    timed: tuple[ToldLine, ...] = ()
    device: tuple[ToldLine, ...] = ()
    failures: tuple[FailedChild, ...] = ()
    slower: tuple[ToldLine, ...] = ()
    repeated: tuple[ToldLine, ...] = ()
    relatives: tuple[Relative, ...] = ()
    lessons: tuple[ToldLine, ...] = ()

    @property
    def cheaper(self) -> Parts | None:
        """Without the item that is worth least; None where nothing is left to drop."""
        every = [(part.worth, name, part) for name in _KINDS for part in getattr(self, name)]
        if not every:
            return None
        _, name, least = min(every, key=lambda one: one[0])
        kept = tuple(part for part in getattr(self, name) if part is not least)
        return replace(self, **{name: kept})


_KINDS = ("timed", "device", "failures", "slower", "repeated", "relatives", "lessons")


def parts(asked: Assignment) -> Parts:
    """What an assignment says beside its kernel, the most valuable of each kind first."""
    workloads = asked.timed or asked.op.workloads("bench", asked.dtype)
    return Parts(
        tuple(_workload(one, place) for place, one in enumerate(workloads)),
        tuple(ToldLine(_OF_THE_DEVICE, line) for line in devices.described(asked.device)),
        tuple(_failed(f, asked.parent, n) for n, f in enumerate(asked.failures[:MAX_FAILURES])),
        tuple(_lines(asked.slower[:MAX_SLOWER], asked.parent, 0.5)),
        tuple(_lines(asked.repeated[:MAX_SLOWER], asked.parent, 0.4)),
        tuple(_relative(r, n) for n, r in enumerate(_near(asked)[:MAX_RELATIVES])),
        tuple(_lesson(one, n) for n, one in enumerate(asked.lessons)),
    )


def _workload(workload: Workload, place: int) -> ToldLine:
    label = f": {workload.label}" if workload.label else ""
    return ToldLine(_OF_A_WORKLOAD - 0.01 * place, f"{workload.id}{label}")


def _failed(attempt: Attempt, parent: Attempt | None, place: int) -> FailedChild:
    found = attempt.evaluation
    diff = changes(parent.text, attempt.text, failed=_line(found), lines=40) if parent else ""
    told = tuple(feedback.reasons(found, characters=600))
    return FailedChild(0.9 * _FADES**place, str(found.status), told, diff)


def _line(evaluation: Evaluation) -> int | None:
    """The line that a failure is about."""
    return next((d.line for d in evaluation.diagnostics if d.line and not d.hidden), None)


def _lines(attempts: Sequence[Attempt], parent: Attempt | None, worth: float) -> list[ToldLine]:
    return [
        ToldLine(worth * _FADES**n, f"{_time(one.evaluation)}: {_change(one, parent)}")
        for n, one in enumerate(attempts)
    ]


def _time(evaluation: Evaluation) -> str:
    found = figures(evaluation)
    if found is not None:
        return f"{latency(found.kernel_us)} us"
    if said := predicted_words(evaluation):
        return said
    return "not timed" if evaluation.status.passed else str(evaluation.status)


def _change(attempt: Attempt, parent: Attempt | None) -> str:
    """What was changed, in its author's words or by the first line that differs."""
    said = str(attempt.detail.get("words") or attempt.detail.get("label") or "")
    if said:
        return said if len(said) <= 160 else said[:157].rstrip() + "..."
    diff = changes(parent.text, attempt.text).splitlines() if parent else []
    changed = [line for line in diff if line.startswith(("+", "-"))]
    first = next((line[1:].strip() for line in changed if line.startswith("+")), "")
    return f"{len(changed)} lines changed, first `{first}`" if changed else "the same text"


def _near(asked: Assignment) -> list[Attempt]:
    """Relatives about as fast as the parent, or faster; beside a parent not timed, all."""
    own = figures(asked.parent.evaluation) if asked.parent else None
    timed = [(figures(r.evaluation), r) for r in asked.relatives]
    if own is None:
        return [relative for _, relative in timed]
    return [r for found, r in timed if found and found.kernel_us <= NEAR * own.kernel_us]


def _relative(attempt: Attempt, place: int) -> Relative:
    found = figures(attempt.evaluation)
    measured = (found.speedup, found.speedup_low, found.speedup_high) if found else None
    speed = f"Speedup {interval(*measured)}" if measured else "Speedup not timed"
    said = predicted_words(attempt.evaluation).capitalize()
    return Relative(0.85 * _FADES ** (2 * place), attempt.text, said or speed)


def _lesson(lesson: Lesson, place: int) -> ToldLine:
    return ToldLine(0.7 * _FADES**place, f"{lesson.op}, {lesson.gain:.2f}x: {lesson.text}")
