"""Tiny random models of mlx-lm's own classes: a family's code without its weights.

Their answers mean nothing; that they stay the same with kernels means as much as for large ones.
"""

from __future__ import annotations

import importlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_SEED = 11
_LENGTHS = (5, 17)


@cache
def _known() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_name("tiny.toml").read_text())


def families() -> tuple[str, ...]:
    """Names of the families that can be built."""
    return tuple(name for name in _known() if name != "common")


def build(family: str, **changed: Any) -> Any:
    """A model of a family, its weights drawn from one seed.

    Args:
        family: One of `families()`.
        changed: Keys of its configuration that are to be others.
    """
    import mlx.core as mx

    module = importlib.import_module(f"mlx_lm.models.{family}")
    config = {**_known()["common"], **_known()[family], "model_type": family, **changed}
    mx.random.seed(_SEED)
    model = module.Model(module.ModelArgs.from_dict(config))
    model.eval()
    _spread_out(model)
    mx.eval(model.parameters())
    return model


def prompts(family: str) -> tuple[tuple[int, ...], ...]:
    """Token numbers to go on from."""
    words = {**_known()["common"], **_known()[family]}["vocab_size"]
    return tuple(tuple((7 * i + 3 * n) % words for i in range(n)) for n in _LENGTHS)


def _spread_out(model: Any) -> None:
    """Larger embeddings, and norms that do something: else every answer is the same token."""
    import mlx.core as mx
    from mlx.utils import tree_flatten, tree_unflatten

    changed = []
    weights: list[tuple[str, Any]] = tree_flatten(model.parameters())
    for name, weight in weights:
        if weight.ndim == 1 and "norm" in name and name.endswith("weight"):
            changed.append((name, weight + 0.2 * mx.random.normal(weight.shape)))
        elif weight.ndim == 2:
            changed.append((name, weight * 3.0))
    model.update(tree_unflatten(changed))
