"""The same as Markdown: for a pull request, a chat, a terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from discover.history.summary import Spending
from discover.history.tables import spending_line
from discover.pages.story import Story, speedup_line
from foundry.report.format import latency, meaning, statuses


def markdown(stories: Sequence[Story], title: str) -> str:
    """The whole text."""
    lines = [f"# {title}", ""]
    spent = sum((story.summary.spending for story in stories), Spending())
    if line := spending_line(spent):
        lines += [line, ""]
    for said in dict.fromkeys(meaning(s.summary.run.device.kind) for s in stories):
        lines += [said, ""] if said else []
    for story in stories:
        lines += _section(story)
    return "\n".join(lines).rstrip() + "\n"


def _section(story: Story) -> list[str]:
    summary = story.summary
    lines = [
        f"## {story.title}",
        "",
        f"- device: {summary.run.device.kind}, {summary.run.device.name}",
        f"- evaluations: {summary.evaluations:,} ({statuses(summary.statuses)})",
        *([f"- {summary.outdated}"] if summary.outdated else []),
        *(_predicted(story) if story.predicted else _measured(story)),
    ]
    for name, told in zip(("best start", "best"), story.counters(), strict=True):
        lines += ["", f"Counters of the {name}:", "", *(f"- {one}" for one in told)] if told else []
    parent_diff = story.best.diff if story.best else ""
    for name, diff in (("its parent", parent_diff), ("the best start", story.against_start)):
        lines += ["", f"The best against {name}:", "", *_fenced(diff)] if diff else []
    if story.failures:
        lines += ["", "| failed | times | reason |", "|---|---:|---|"]
        for status, reasons in story.failures.items():
            lines += [f"| {status} | {n} | {_cell(why)} |" for why, n in reasons.items()]
    return [*lines, ""]


def _measured(story: Story) -> list[str]:
    """The best kernel, what it beats, and its author's words."""
    best = story.best
    lines = [f"- best: {speedup_line(best)}", f"- best start: {speedup_line(story.start)}"]
    if story.gain_us is not None:
        lines.append(f"- {story.gain_words}: {latency(abs(story.gain_us))} us")
    if best is not None:
        lines.append(f"- kernel `{(best.node.kernel_hash or '')[:8]}` by {_plain(best.label)}")
        lines += ["", f"> {_plain(best.words)}"] if best.words else []
    return lines


def _predicted(story: Story) -> list[str]:
    """The kernels that the chip model takes for the fastest, which are no ranking."""
    rows = [
        f"| `{one.digest}` | {_cell(one.label)} | {_cell(one.words)} | {one.gain} |"
        for one in story.predicted
    ]
    head = "| predicted to be fastest, not told apart | from | time | over the best template |"
    return ["", head, "|---|---|---|---:|", *rows]


def _fenced(diff: str) -> list[str]:
    """A diff in a fence that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", diff)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}diff", diff, fence]


def _plain(text: str) -> str:
    """What others wrote on one line, none of it a tag, a link or a picture."""
    return " ".join(text.split()).replace("<", r"\<").replace("](", r"]\(")


def _cell(text: str) -> str:
    return _plain(text).replace("|", r"\|")
