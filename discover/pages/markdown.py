"""The same as Markdown: for a pull request, a chat, a terminal. Pure."""

from __future__ import annotations

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
        f"- best: {speedup_line(story.best)}",
        f"- best start: {speedup_line(story.start)}",
    ]
    if story.gain_us is not None:
        lines.append(f"- saved over the best start: {latency(story.gain_us)} us")
    if story.best is not None:
        best = story.best
        lines.append(f"- kernel `{(best.node.kernel_hash or '')[:8]}` by {best.label}")
        lines += ["", f"> {best.words}"] if best.words else []
    if story.against_start:
        lines += ["", "```diff", story.against_start, "```"]
    if story.failures:
        lines += ["", "| failed | times | reason |", "|---|---:|---|"]
        for status, reasons in story.failures.items():
            lines += [f"| {status} | {n} | {_cell(why)} |" for why, n in reasons.items()]
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
