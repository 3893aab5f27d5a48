"""Why a kernel has its status, in one sentence, passes included. Pure."""

from __future__ import annotations

import re

from foundry.judge.verdict import Evaluation, Status
from foundry.prompts.feedback import sentence
from foundry.report.figures import figures
from foundry.report.format import interval, latency
from foundry.report.predicted import predicted_times

_PLACE = re.compile(r"^(?:kernel:\d+(?::\d+)?: )?(?:(?:fatal )?error: )?")
"""Before the words of a compiler."""
_DETAIL = re.compile(r": | \[")
"""Behind what went wrong: at which thread, in which line."""


def reason(evaluation: Evaluation) -> str:
    """What decided: the first finding of a failure; of a pass, its interval and what that lacks,
    or what was predicted.
    """
    found = figures(evaluation)
    if not evaluation.status.passed:
        return sentence(evaluation.diagnostics[0]).split("\n")[0] if evaluation.diagnostics else ""
    if said := predicted_times(evaluation):
        return f"right, {'; '.join(one.words for one in said)}"
    if found is None:
        return f"right, but not timed{': ' if evaluation.why else ''}{evaluation.why}"
    measured = interval(found.speedup, found.speedup_low, found.speedup_high)
    times = f"{latency(found.kernel_us)} us against {latency(found.baseline_us)} us of MLX"
    if evaluation.status is Status.FASTER:
        return f"surely faster: {measured}, {times}"
    lacks = "slower" if found.speedup_high < 1 else "not surely faster: 1 lies in the interval"
    if found.speedup_low > 1:
        lacks = evaluation.why or "ahead on its own inputs, not on fresh ones"
    return f"right, {lacks}: {measured}, {times}"


def kind(evaluation: Evaluation) -> str:
    """What went wrong, without where: failures of one kind are counted together."""
    return _DETAIL.split(_PLACE.sub("", evaluation.why), maxsplit=1)[0]
