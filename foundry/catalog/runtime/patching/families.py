"""Which family a model is of, and what is known of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlx.nn as nn

_LAYERS = "mlx.nn"
"""ModelFamily of a model that is no language model of mlx-lm: its own layers are MLX's."""


@dataclass(frozen=True)
class ModelFamily:
    """What a model is, and whether kernels may be put into it."""

    name: str
    refused: str
    """Why it is left alone; empty when it is not."""


def family_of(model: Any) -> ModelFamily:
    """The family of a model.

    Raises:
        ValueError: It is no `mlx.nn.Module`.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"patch takes an mlx.nn.Module, not a {type(model).__name__}")
    name = _name(model)
    known = _known()
    if name in known["excluded"]:
        return ModelFamily(name, f"{name} is left alone: {known['excluded'][name]}")
    if name == _LAYERS or name in known["tested"]:
        return ModelFamily(name, "")
    return ModelFamily(name, f"{name} is left alone: no model of this family was tried")


def _name(model: nn.Module) -> str:
    given = getattr(model, "model_type", None) or getattr(
        getattr(model, "args", None), "model_type", None
    )
    module = type(model).__module__
    if module.startswith("mlx_lm.models."):
        return str(given or module.rpartition(".")[2])
    return _LAYERS if given is None else str(given)


@cache
def _known() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("families.toml").read_text())
