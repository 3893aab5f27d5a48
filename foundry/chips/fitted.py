"""The fitted constants of the chip model and how far it is from times: a file, read and written."""

from __future__ import annotations

import functools
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from foundry.chips.constants import Constants
from foundry.errors import UsageError

BUILT_IN = Path(__file__).parent / "fitted.toml"
FIXED, DYNAMIC = "fixed", "dynamic"
"""Families of chips: M1 and M2; M3 and later, where registers, threadgroup memory and cache share
one store."""
FAMILIES = (FIXED, DYNAMIC)


@dataclass(frozen=True)
class Family:
    """What was fitted for a family of chips."""

    constants: Constants
    spread: float
    """Standard deviation of the logarithm of a predicted ratio over the measured one, over pairs
    of kernels of ops that the constants were not fitted to."""


@dataclass(frozen=True)
class Fitted:
    """A fit."""

    families: Mapping[str, Family]
    apart: float
    """Kernels whose predicted times differ by less cannot be told apart."""
    about: Mapping[str, str | int | float]
    """When it was fitted, to what, and how often it is right."""

    def family(self, is_dynamic: bool) -> Family:
        """Of a chip."""
        return self.families[DYNAMIC if is_dynamic else FIXED]


@functools.cache
def built_in() -> Fitted:
    """The fit that comes with this package."""
    return read(BUILT_IN)


def read(path: Path) -> Fitted:
    """A fit from its file.

    Raises:
        UsageError: It is none.
    """
    try:
        found = tomllib.loads(path.read_text())
        families = {name: _family(found[name]) for name in FAMILIES}
        return Fitted(families, float(found["apart"]), found["about"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is no fit of the chip model: {error}") from error


def _family(table: Mapping[str, Any]) -> Family:
    values = {f.name: float(table[f.name]) for f in fields(Constants)}
    if not all(math.isfinite(value) and value >= 0 for value in values.values()):
        raise ValueError("a constant is negative or no number")
    return Family(Constants(**values), float(table["spread"]))


def write(fitted: Fitted, path: Path) -> None:
    """Keep a fit."""
    lines = ["# Made by `foundry chips fit`; constants.py says what each constant is.", ""]
    lines += [f"apart = {fitted.apart:g}", "", "[about]"]
    for name, value in fitted.about.items():
        lines.append(f"{name} = {value!r}".replace("'", '"'))
    for name, family in fitted.families.items():
        values = asdict(family.constants) | {"spread": family.spread}
        lines += ["", f"[{name}]", *(f"{key} = {value:.4g}" for key, value in values.items())]
    new = path.with_suffix(".new")
    new.write_text("\n".join(lines) + "\n")
    os.replace(new, path)
