"""A model by its name: a folder that mlx-lm loads, or `tiny:FAMILY`, small and random."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.errors import EnvironmentUnusable, UsageError, first_line, unknown
from foundry.models import tiny

_PROMPTS = (
    "The history of computing began",
    "def fibonacci(n):",
    "Three things to know about the ocean are",
)
"""What a model with a tokenizer is asked to go on from."""


@dataclass(frozen=True)
class LoadedModel:
    """A model, and prompts for it as token numbers."""

    source: str
    """Name of its folder, or `tiny:FAMILY`; where the folder lies is nobody else's business."""
    dtype: str | None
    quantised: int
    model: Any
    family: str
    prompts: tuple[tuple[int, ...], ...]
    weights_hash: str
    """Of the configuration, and of names, sizes and values of the weights."""

    @property
    def name(self) -> str:
        """For people: the source, and what became of its weights."""
        bits = f"q{self.quantised}" if self.quantised else ""
        return " ".join(word for word in (self.source, self.dtype, bits) if word)


def load(name: str, dtype: str | None = None, quantised: int = 0) -> LoadedModel:
    """Load a model.

    Args:
        name: A folder with `config.json` and weights, or `tiny:FAMILY`.
        dtype: Dtype of the weights; None: as they are.
        quantised: Bits to pack the weights in; 0: not.

    Raises:
        UsageError: No such folder or family.
        EnvironmentUnusable: mlx-lm is not installed, or it cannot load this.
    """
    require_mlx_lm()
    check_name(name)
    family = name.removeprefix("tiny:")
    if name.startswith("tiny:"):
        model = tiny.build(family)
        prompts = tiny.prompts(family)
    else:
        model, prompts = _from_folder(Path(name))
    _convert(model, dtype, quantised)
    return LoadedModel(
        source=name if name.startswith("tiny:") else Path(name).resolve().name,
        dtype=dtype,
        quantised=quantised,
        model=model,
        family=str(getattr(model, "model_type", "") or family),
        prompts=prompts,
        weights_hash=_hash(model),
    )


def check_name(name: str) -> None:
    """See that there is such a model, without loading it.

    Args:
        name: As `load` takes it.

    Raises:
        UsageError: No such folder or family.
    """
    family = name.removeprefix("tiny:")
    if family == name and not (Path(name) / "config.json").is_file():
        raise UsageError(
            f"{name} holds no model (no config.json); name a folder, or tiny:FAMILY with FAMILY "
            f"one of {', '.join(tiny.families())}"
        )
    if family != name and family not in tiny.families():
        raise unknown("tiny model", family, tiny.families())


def require_mlx_lm() -> None:
    """Say what is missing where mlx-lm is.

    Raises:
        EnvironmentUnusable: It is not installed.
    """
    if importlib.util.find_spec("mlx_lm") is None:
        raise EnvironmentUnusable(
            "mlx-lm is not installed.", "Install it: pip install 'metal-foundry[models]'."
        )


def _from_folder(folder: Path) -> tuple[Any, tuple[tuple[int, ...], ...]]:
    from mlx_lm.utils import load as load_with_tokenizer

    try:
        model, tokenizer = load_with_tokenizer(str(folder))[:2]
    except Exception as error:
        raise EnvironmentUnusable(
            f"mlx-lm cannot load {folder}: {first_line(error)}.",
            "Try: python -m mlx_lm generate --model FOLDER.",
        ) from error
    return model, tuple(tuple(tokenizer.encode(text)) for text in _PROMPTS)


def _convert(model: Any, dtype: str | None, quantised: int) -> None:
    import mlx.core as mx
    import mlx.nn as nn

    if dtype is not None:
        model.set_dtype(getattr(mx, dtype))
    if quantised:
        # Rows that are no multiple of a group stay as they are.
        nn.quantize(model, 32, quantised, class_predicate=_is_packable)
    mx.eval(model.parameters())


def _is_packable(path: str, layer: Any) -> bool:
    weight = getattr(layer, "weight", None)
    return hasattr(layer, "to_quantized") and weight is not None and weight.shape[-1] % 32 == 0


def _hash(model: Any) -> str:
    import mlx.core as mx
    import numpy as np
    from mlx.utils import tree_flatten

    found = hashlib.sha256(repr(getattr(model, "args", "")).encode())
    for name, weight in tree_flatten(model.parameters()):
        found.update(f"{name} {weight.shape} {weight.dtype}".encode())
        found.update(np.array(weight.reshape(-1).view(mx.uint8)).data)
    return found.hexdigest()[:16]
