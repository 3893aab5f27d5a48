"""A matrix as one HTML file: no network, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from foundry.models.matrix import COLUMNS, row_of
from foundry.models.validation import ModelValidation

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; }
.same td:first-child { border-left: .3rem solid #2a9d5c; }
.parts td:first-child { border-left: .3rem solid #d1495b; }
.none td:first-child { border-left: .3rem solid #999; }
"""


def page(found: Sequence[ModelValidation], device: str) -> str:
    """The whole page.

    Args:
        found: The cells, in order.
        device: What they ran on, in words.
    """
    titles = "".join(f"<th>{escape(title)}</th>" for title in COLUMNS)
    rows = "\n".join(_row(validation) for validation in found)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Models with kernels</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>Models with kernels</h1>\n<p>{escape(_summary(found))} Ran on {escape(device)}.</p>\n"
        f"<div class='wide'><table><thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}\n"
        "</tbody></table></div>\n</body></html>\n"
    )


def _row(found: ModelValidation) -> str:
    kind = "none" if not found.kernels_ran else "same" if found.is_same else "parts"
    cells = "".join(f"<td>{escape(text)}</td>" for text in row_of(found))
    return f"<tr class='{kind}'>{cells}</tr>"


def _summary(found: Sequence[ModelValidation]) -> str:
    served = [v for v in found if v.kernels_ran]
    same = sum(v.is_same for v in served)
    return (
        f"{len(found)} cells; in {len(served)} kernels answered calls, and in {same} of these "
        "every token is the plain model's."
    )
