"""The kernels that are worth timing on a chip: chosen here, confirmed there."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.chips.fitted import Fitted
from foundry.chips.prediction import tells_apart
from foundry.errors import UsageError

KIND = "foundry shortlist"


@dataclass(frozen=True)
class ChosenKernel:
    """A kernel that was proven right, with its predicted time."""

    op: str
    dtype: str
    workload: str
    kernel_hash: str
    text: str
    predicted_us: float
    bound: str
    left_out: tuple[str, ...] = ()
    """Units whose time is not in the prediction, for want of a figure of the chip."""

    @property
    def name(self) -> str:
        """`softmax float32`."""
        return f"{self.op} {self.dtype}"

    def document(self, chip: str) -> dict[str, Any]:
        """What `--json` prints of it: all but the text."""
        told = {name: value for name, value in vars(self).items() if name != "text"}
        return {"kind": "prediction", "chip": chip, **told}


def shortest(found: Sequence[ChosenKernel], count: int, fitted: Fitted) -> list[ChosenKernel]:
    """The `count` kernels with the least predicted times, and those that tie with the last of them.

    Of those that tie at most as many again are kept: the model does not rank them, their order is
    that of their hashes.
    """
    ordered = sorted(found, key=lambda one: (one.predicted_us, one.kernel_hash))
    kept, rest = ordered[:count], ordered[count:]
    if kept:
        last = kept[-1].predicted_us
        ties = [one for one in rest if not tells_apart(one.predicted_us, last, fitted)]
        kept += sorted(ties, key=lambda one: one.kernel_hash)[:count]
    return kept


def write(path: Path, chip: str, candidates: Sequence[ChosenKernel]) -> None:
    """Keep a shortlist, for the machine that has the chip."""
    document = {"kind": KIND, "chip": chip, "kernels": [vars(one) for one in candidates]}
    new = path.with_suffix(f"{path.suffix}.new")
    new.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(new, path)


def read(path: Path) -> tuple[str, list[ChosenKernel]]:
    """The chip and the kernels of a shortlist.

    Raises:
        UsageError: The file is none.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        if found["kind"] != KIND:
            raise ValueError(f"its kind is {found['kind']}")
        return str(found["chip"]), [_chosen(one) for one in found["kernels"]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is no shortlist: {error}") from error


def _chosen(found: Mapping[str, Any]) -> ChosenKernel:
    """One kernel of the file.

    Raises:
        TypeError, ValueError: A field is missing, unknown, or of another kind.
    """
    one = ChosenKernel(**{**found, "left_out": _units(found.get("left_out", []))})
    for name, value in vars(one).items():
        if name == "left_out":
            continue
        is_time = name == "predicted_us"
        kind, what = (int | float, "a number") if is_time else (str, "a text")
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(f"{name} is {value!r}, not {what}")
    if not 0 < one.predicted_us < math.inf:
        raise ValueError(f"predicted_us is {one.predicted_us:g}, not a number above 0")
    return one


def _units(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(unit, str) for unit in found):
        raise ValueError(f"left_out is {found!r}, not a list of texts")
    return tuple(found)
