"""Which family a model is of, and what is known of it."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlx.nn as nn

_MODELS = "mlx_lm.models."
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
    check_module("patch", model)
    name = _name(model)
    if name != _LAYERS:
        return _judged(name)
    # Layers of one's own may stand around a model of mlx-lm: what is left alone is so in there too.
    inside = dict.fromkeys(_name(layer) for _, layer in model.named_modules() if _is_model(layer))
    families = (_judged(found) for found in inside if found != _LAYERS)
    return next((family for family in families if family.refused), ModelFamily(_LAYERS, ""))


def check_module(function: str, model: Any) -> None:
    """Refuse what has no layers.

    Raises:
        ValueError: It is no `mlx.nn.Module`; says which function takes one.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"{function} takes an mlx.nn.Module, not a {type(model).__name__}")


def _judged(name: str) -> ModelFamily:
    known, code = _known(), _code(name)
    if (why := known["excluded"].get(name, known["excluded"].get(code))) is not None:
        return ModelFamily(name, f"{name} is left alone: {why}")
    if name in known["tested"] or code in known["tested"]:
        return ModelFamily(name, "")
    return ModelFamily(name, f"{name} is left alone: no model of this family was tried")


def _code(name: str) -> str:
    """The family whose code mlx-lm runs a family by: mistral is llama."""
    utils = sys.modules.get("mlx_lm.utils")
    return str(getattr(utils, "MODEL_REMAPPING", {}).get(name, name))


def _is_model(layer: nn.Module) -> bool:
    """Whether a layer says its family, or is of a file of mlx-lm that holds a whole model."""
    module = type(layer).__module__
    if module.startswith(_MODELS):
        return hasattr(sys.modules.get(module), "Model")
    return _name(layer) != _LAYERS


def _name(model: nn.Module) -> str:
    given = getattr(model, "model_type", None) or getattr(
        getattr(model, "args", None), "model_type", None
    )
    module = type(model).__module__
    if module.startswith(_MODELS):
        return str(given or module.rpartition(".")[2])
    return _LAYERS if given is None else str(given)


@cache
def _known() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("families.toml").read_text())
