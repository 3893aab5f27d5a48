"""`explain`: a kernel with what it does to memory, and what bounds it.

The answer rests on counters of a modelled GPU, on what the chip model predicts, and on times where
there are any; `method` says which of them the named bound comes from.
"""

from __future__ import annotations

from collections.abc import Iterator

from foundry.datasets.labels import COUNTED, MEASURED, PREDICTED
from foundry.datasets.pool import ProvenKernel
from foundry.datasets.views.sft import kept
from foundry.datasets.views.view import CHAT, Material, Row, View, drawn, fenced, of_chip, row
from foundry.prompts import feedback
from foundry.store.records import PREDICTIONS, StoredEvaluation

NAME = "explain"
_SYSTEM = (
    "You read compute kernels in the Metal Shading Language for MLX, and say what bounds them on a "
    "GPU and what would make them faster. A kernel file is TOML in a leading comment, helpers, and "
    "the body as `mx.fast.metal_kernel` takes it.\n"
)


def _rows(material: Material) -> Iterator[Row]:
    for _, groups in material.pool.ops():
        for kernel in kept(groups, material):
            found = [proof for proof in kernel.proofs if _is_explained(proof)]
            if not found:
                material.left_out["no counters and no prediction"] += 1
                continue
            yield _row(kernel, found[drawn(kernel.kernel_hash, material.choice.seed, len(found))])


def _is_explained(stored: StoredEvaluation) -> bool:
    return bool(feedback.counted(stored.evaluation)) or bool(_said(stored))


def _row(kernel: ProvenKernel, stored: StoredEvaluation) -> Row:
    known, evaluation = kernel.known, stored.evaluation
    question = (
        f"What bounds this kernel of {known.op.name} in {evaluation.dtype}, and what would make it "
        f"faster?\n\n{fenced(known.text)}"
    )
    lines, bound, method, chip = _answer(stored)
    chat = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "\n".join(f"- {line}" for line in lines) + "\n"},
    ]
    device = {} if chip is None else of_chip(chip)
    return row(NAME, {"messages": chat, "bound": bound}, known, stored, method, **device)


def _answer(stored: StoredEvaluation) -> tuple[list[str], str, str, str | None]:
    """Lines of the answer, the bound by name, what that rests on, and the chip of a prediction."""
    lines = feedback.counted(stored.evaluation)
    if said := _said(stored):
        workload, chip, document = said
        lines += [f"{workload} on {chip} (predicted): {one}" for one in document["sentences"]]
        return lines, str(document["bound"]), PREDICTED, chip
    timed = [t for t in feedback.timing_rows(stored.evaluation, stored.device) if t.bound]
    lines += [f"{one.workload}: {one.bound}" for one in timed]
    if timed:
        return lines, timed[0].bound.split()[0], MEASURED, None
    return lines, "", COUNTED, None


def _said(stored: StoredEvaluation) -> tuple[str, str, dict[str, list[str]]] | None:
    """The first prediction: workload, chip, and what was said."""
    by_workload = stored.evaluation.extra.get(PREDICTIONS, {})
    for workload, by_chip in by_workload.items():
        for chip, document in by_chip.items():
            return workload, chip, document
    return None


VIEW = View(
    NAME,
    "A verified kernel, and what bounds it: counters of a modelled GPU, the chip model's "
    "prediction or a measurement, whichever `method` names.",
    {"messages": CHAT, "bound": "text"},
    _rows,
)
