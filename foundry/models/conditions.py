"""How a model was validated: all that a result depends on beside weights, catalog and device."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType

from foundry.judge.verdict import Record
from foundry.models.loading import LoadedModel


@dataclass(frozen=True)
class ValidationPlan:
    """What is done with a model."""

    mode: str = "stable"
    tokens: int = 50
    pairs: int = 5
    """Timed turns of each side; 0: no times."""
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class ValidationConditions(Record):
    """A result holds under equal conditions alone."""

    source: str
    """Name of the model's folder, or `tiny:FAMILY`."""
    dtype: str | None = None
    quantised: int = 0
    tokens: int
    pairs: int
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    dispatch: str = "auto"
    """`all`: kernels wherever they are proven; `off`: none."""
    tuned: str
    """Hash of the times that were taken on this machine; they decide which kernels answer."""
    mlx_lm: str
    """Its version."""


def conditions(
    loaded: LoadedModel, package: ModuleType, plan: ValidationPlan
) -> ValidationConditions:
    """The conditions of a validation that begins now."""
    return ValidationConditions(
        source=loaded.source,
        dtype=loaded.dtype,
        quantised=loaded.quantised,
        tokens=plan.tokens,
        pairs=plan.pairs,
        only=plan.only,
        without=plan.without,
        dispatch=package.dispatch.choice.MODE,
        tuned=_hash_of_times(package),
        mlx_lm=version("mlx-lm"),
    )


def command(under: ValidationConditions, catalog: str, mode: str) -> str:
    """The command line that validates again, from the folder that the model's folder lies in."""
    words = ["foundry", "validate", under.source, "--catalog", catalog, "--mode", mode]
    words += ["--tokens", str(under.tokens), "--pairs", str(under.pairs)]
    for option, value in (
        ("--dtype", under.dtype or ""),
        ("--quantised", str(under.quantised or "")),
        ("--only", ",".join(under.only)),
        ("--without", ",".join(under.without)),
    ):
        words += [option, value] if value else []
    if under.dispatch == "all":
        words.append("--every-kernel")
    line = shlex.join(words)
    return f"{catalog.upper()}_DISPATCH=off {line}" if under.dispatch == "off" else line


def _hash_of_times(package: ModuleType) -> str:
    points = sorted(package.dispatch.here().points.items())
    return hashlib.sha256(repr(points).encode()).hexdigest()[:16]
