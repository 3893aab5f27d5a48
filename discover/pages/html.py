"""One self-contained HTML file: no network, light and dark, phone and desk.

The tree travels as columns of numbers, and everything that a node shows when it opens (prompt,
answer, verdict, diff) as compressed chunks that the browser unpacks on demand: a page of 20,000
nodes opens as fast as one of twenty.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from discover.history.nodes import Seen
from discover.history.summary import Spending
from discover.history.tables import spending_line
from discover.pages import svg
from discover.pages.story import Story, is_root, speedup_line
from foundry.report.format import latency, meaning

if TYPE_CHECKING:
    import jinja2

CHUNK = 100
"""Nodes whose details are unpacked together."""
_LABEL = 90


def page(stories: Sequence[Story], title: str) -> str:
    """The whole page.

    Args:
        stories: Searches, in order.
        title: Of the page.
    """
    spent = sum((story.summary.spending for story in stories), Spending())
    meanings = (meaning(story.summary.run.device.kind) for story in stories)
    return _template().render(
        title=title,
        stories=[_section(number, story) for number, story in enumerate(stories)],
        spending=spending_line(spent) or "",
        meanings=list(dict.fromkeys(filter(None, meanings))),
        trees=_embedded([_tree(story) for story in stories]),
        chunks=[
            (f"{number}-{at}", packed)
            for number, story in enumerate(stories)
            for at, packed in enumerate(_chunks(story))
        ],
        chunk=CHUNK,
    )


def _section(number: int, story: Story) -> dict[str, Any]:
    before, after = story.counters()
    summary = story.summary
    return {
        "number": number,
        "title": story.title,
        "device": f"{summary.run.device.kind}: {summary.run.device.name}",
        "best": story.best,
        "best_line": speedup_line(story.best),
        "start_line": speedup_line(story.start),
        "start_label": story.start.label if story.start else "",
        "gain_words": story.gain_words,
        "gain": f"{latency(abs(story.gain_us))} us" if story.gain_us is not None else "-",
        "outdated": summary.outdated,
        "evaluations": summary.evaluations,
        "statuses": summary.statuses,
        "outcome": summary.run.outcome or "unfinished",
        "spending": spending_line(summary.spending) or "no LLM calls",
        "parent_diff": _coloured(story.best.diff) if story.best else [],
        "start_diff": _coloured(story.against_start),
        "predicted": story.predicted,
        "before": before,
        "after": after,
        "failures": story.failures,
        "by_evaluations": svg.stairs(
            [(s.evaluations, s.speedup) for s in story.steps], "evaluations", "speedup"
        ),
        "by_usd": svg.stairs([(s.usd, s.speedup) for s in story.steps], "dollars", "speedup"),
        "roofline": _roofline(story),
        "nodes": len(story.seen),
    }


def _coloured(text: str) -> list[tuple[str, str]]:
    """Lines of a diff with the class of each."""
    kinds = {"+": "add", "-": "del", "@": "at"}
    return [(kinds.get(line[:1], ""), line) for line in text.splitlines()]


def _roofline(story: Story) -> str:
    marks, roofs = [], []
    for kind, one in (("start", story.start), ("best", story.best)):
        for t in one.evaluation.timings if one and one.evaluation else ():
            if not (t.flops and t.bytes_moved and t.kernel_us > 0):
                continue
            intensity = t.flops / t.bytes_moved
            name = f"{kind}, {t.label or t.workload}: {latency(t.kernel_us)} us"
            marks.append(svg.Mark(intensity, t.flops / t.kernel_us / 1e3, name, kind))
            if kind == "best" and t.floor_us:
                roofs.append((intensity, t.flops / t.floor_us / 1e3))
    return svg.roofline(marks, roofs)


def _tree(story: Story) -> dict[str, Any]:
    """The tree as columns."""
    seen = story.seen
    return {
        "id": [one.node.id for one in seen],
        "parent": [one.node.parent for one in seen],
        "status": [one.status for one in seen],
        "us": [one.kernel_us and float(f"{one.kernel_us:.4g}") for one in seen],
        "hash": [(one.node.kernel_hash or "")[:8] for one in seen],
        "label": [_label(one) for one in seen],
        "best": story.best.node.id if story.best else None,
    }


def _label(one: Seen) -> str:
    said = one.words or one.label
    text = said if not is_root(one) else f"start: {one.label}"
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"


def _chunks(story: Story) -> Iterator[str]:
    """Details of the nodes, packed."""
    for at in range(0, len(story.seen), CHUNK):
        details = [_detail(one) for one in story.seen[at : at + CHUNK]]
        packed = gzip.compress(json.dumps(details).encode(), 6, mtime=0)
        yield base64.b64encode(packed).decode()


def _detail(one: Seen) -> dict[str, str]:
    found = {
        "why": one.why,
        "words": one.words,
        "diff": one.diff,
        "kernel": "" if one.diff else one.text,
        "prompt": one.prompt,
        "answer": one.answer,
    }
    return {name: text for name, text in found.items() if text}


def _embedded(data: Any) -> str:
    """JSON that cannot end the script it stands in."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _template() -> jinja2.Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("discover", "pages"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    ).get_template("page.html.j2")
