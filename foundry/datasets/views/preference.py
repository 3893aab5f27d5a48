"""`preference`: a slower and a faster kernel for the same request, surely apart."""

from __future__ import annotations

from collections.abc import Iterator

from foundry.chips import fitted
from foundry.datasets.labels import MEASURED, PREDICTED
from foundry.datasets.views.asking import predicting_prompt, prompt
from foundry.datasets.views.pairs import SpeedPair, measured, predicted
from foundry.datasets.views.taught import is_taught
from foundry.datasets.views.view import CHAT, Material, Row, View, asked, fenced, of_chip, row

NAME = "preference"


def _rows(material: Material) -> Iterator[Row]:
    for _, groups in material.pool.ops():
        kernels = [one for group in groups for one in group]
        for pair in (*measured(kernels), *predicted(kernels, fitted.built_in())):
            if is_taught(pair.faster.kernel, material.choice):
                yield _row(material, pair)
            else:
                material.left_out["the faster kernel is not taught"] += 1


def _row(material: Material, pair: SpeedPair) -> Row:
    faster, slower = pair.faster, pair.slower
    known = faster.kernel.known
    if pair.chip is None:
        request = prompt(material, known, faster.stored)
    else:
        request = predicting_prompt(material, known, faster.stored, pair.chip, pair.workload)
    content = {
        "prompt": asked(request),
        "chosen": [{"role": "assistant", "content": fenced(known.text)}],
        "rejected": [{"role": "assistant", "content": fenced(slower.kernel.text)}],
        "gain": pair.gain,
        "rejected_hash": slower.kernel.kernel_hash,
    }
    beside = [slower.kernel.known]
    if pair.chip is None:
        return row(NAME, content, known, faster.stored, MEASURED, beside)
    return row(NAME, content, known, faster.stored, PREDICTED, beside, **of_chip(pair.chip))


VIEW = View(
    NAME,
    "Two verified kernels for one request: `chosen` is faster than `rejected` by a factor of "
    "`gain` at least. Measured pairs share device and session, and their 95 % intervals lie apart; "
    "predicted ones (`method`) are those that the chip model tells apart.",
    {
        "prompt": CHAT,
        "chosen": CHAT,
        "rejected": CHAT,
        "gain": "number",
        "rejected_hash": "text",
    },
    _rows,
)
