"""Writes `docs/ops/`, a page for each family of ops: `python -m foundry.report.family_pages`.

All of it comes from the registries. With `--check`, nothing is written and a stale page is exit
code 1. Pure but for `main`.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ops import registry as ops
from ops.matches import Close, Exact, Match, Set, Ties
from ops.spec import Op, bytes_moved, flops, plain_flops
from ops.workload import ELEMENT, Tensor, Workload
from templates import registry as templates
from templates import space
from templates.template import Template

FOLDER = Path("docs/ops")
BALANCE = 25.0
"""FLOPs a byte from which arithmetic bounds a kernel on an Apple GPU rather than memory: 13 (M1) to
34 (M4 Max) in float32, by `foundry list chips`."""
_MOST_POINTS = 1000
_MATCHES = {
    Close: "within the error model",
    Exact: "exactly",
    Ties: "any index of an equal key",
    Set: "without order",
}


def pages() -> dict[str, str]:
    """Text of every page by the name of its file, the index among them."""
    families: dict[str, list[Op]] = {}
    for op in sorted(ops.all_ops().values(), key=lambda op: op.name):
        families.setdefault(op.family, []).append(op)
    found = {f"{name}.md": _page(name, members) for name, members in sorted(families.items())}
    return {"index.md": _index(families), **found}


def _index(families: Mapping[str, list[Op]]) -> str:
    count = sum(len(members) for members in families.values())
    lines = [
        "# Ops\n",
        f"{count} ops in {len(families)} families. These pages are made from the registry by "
        "`make docs`; a test holds them against it. What the words mean is told in "
        "[add an op](../add-an-op.md).\n",
    ]
    for name, members in sorted(families.items()):
        named = ", ".join(f"[`{op.name}`]({name}.md#{op.name})" for op in members)
        lines.append(f"- **[{name}]({name}.md)**: {named}")
    return "\n".join(lines) + "\n"


def _page(family: str, members: Iterable[Op]) -> str:
    return "\n".join([f"# {family}\n", *(_section(op) for op in members)])


def _section(op: Op) -> str:
    parts = [f"## {op.name}\n", f"{_escaped(op.formula)}\n"]
    parts += [f"- {label}: {text}" for label, text in _facts(op).items() if text]
    parts += ["", _arrays(op), "", _work(op), "", _templates(op), ""]
    return "\n".join(parts)


def _facts(op: Op) -> dict[str, str]:
    """What is stated of an op beside its formula, by name; empty where nothing is."""
    params = (f"`{name}` = {value}{_range(op, name)}" for name, value in op.params.items())
    return {
        "Dtypes": ", ".join(op.dtypes) if _has_elements(op) else "",
        "Sizes": ", ".join(f"`{condition}`" for condition in op.conditions),
        "Parameters": ", ".join(params),
        "NaN and infinities": op.on_nonfinite,
        "Gradient of": op.gradient_of and f"`{op.gradient_of}`",
        "Error model": _error_model(op),
        "Baselines": ", ".join(f"`{name}`" for name in op.baselines),
    }


def _has_elements(op: Op) -> bool:
    """Whether any array is of the element type, so that there is one to choose."""
    return any(tensor.dtype == ELEMENT for tensor in (*op.inputs, *op.outputs))


def _error_model(op: Op) -> str:
    if not any(isinstance(tensor.compared, Close) for tensor in op.outputs):
        return "none, nothing may differ"
    return "float32 steps of the formula" if op.steps else "sums in float32"


def _range(op: Op, name: str) -> str:
    if name not in op.ranges:
        return ""
    least, most = op.ranges[name].low, op.ranges[name].high
    return f" ({least:g} to {most:g})"


def _arrays(op: Op) -> str:
    rows = [_row(t, "given, or absent" if t.optional else "given", _held(t)) for t in op.inputs]
    rows += [_row(t, "written", _compared(t.compared)) for t in op.outputs]
    return "\n".join(
        ["| array | shape | dtype | | holds, or is compared |", "|---|---|---|---|---|", *rows]
    )


def _row(tensor: Tensor, role: str, words: str) -> str:
    shape = ", ".join(str(dim) for dim in tensor.shape) or "scalar"
    return f"| `{tensor.name}` | {shape} | {tensor.dtype} | {role} | {_escaped(words)} |"


def _held(tensor: Tensor) -> str:
    return tensor.fill.in_words() if tensor.fill else "any value"


def _compared(match: Match) -> str:
    words = next(text for kind, text in _MATCHES.items() if isinstance(match, kind))
    terms = getattr(match, "reduction", 1)
    return words if terms == 1 else f"{words}, sums of {terms} terms"


def _work(op: Op) -> str:
    rows = [_amount(op, workload) for workload in op.workloads("bench", op.dtypes[0])]
    least = "MFLOP, at least | MB, at least"
    head = f"| bench case ({op.dtypes[0]}) | sizes | {least} | FLOPs a byte | bound by |"
    return "\n".join([head, "|---|---|---|---|---|---|", *dict.fromkeys(rows)])


def _amount(op: Op, workload: Workload) -> str:
    work, moved = flops(op, workload), bytes_moved(op, workload)
    intensity = work / max(moved, 1)
    bound = "memory" if intensity < BALANCE else "arithmetic"
    if work < plain_flops(op, workload) and _is_masked_by_values(op):
        bound = "what the mask holds"
    sizes = " ".join(f"{axis}={size}" for axis, size in workload.axes.items())
    figures = f"{work / 1e6:.3g} | {moved / 1e6:.3g} | {intensity:.3g} | {bound}"
    return f"| {_escaped(workload.label or 'unnamed')} | {sizes} | {figures} |"


def _is_masked_by_values(op: Op) -> bool:
    """Whether values of inputs say how many pairs of a query and a key there are."""
    rows = op.metal.get("rows", ())
    return any(re.search(rf"\b{row}\b", op.metal["mask"]) for row in rows)


def _templates(op: Op) -> str:
    rows = [_template(t) for t in templates.for_op(op.name)]
    return "\n".join(["| template | points | knobs | |", "|---|---|---|---|", *rows])


def _template(template: Template) -> str:
    count = space.count(template, _MOST_POINTS)
    points = f"{count}" if count < _MOST_POINTS else f"{_MOST_POINTS} or more"
    knobs = " ".join(f"`{knob}`" for knob in template.knobs)
    return f"| `{template.name}` | {points} | {knobs} | {_escaped(template.summary)} |"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("*", "\\*").split())


def main() -> None:
    """Write the pages, or check them."""
    found = pages()
    if "--check" in sys.argv[1:]:
        stale = [n for n, text in found.items() if (FOLDER / n).read_text("utf-8") != text]
        sys.exit(f"stale: {', '.join(stale)}; make docs rewrites them" if stale else 0)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name, text in found.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
