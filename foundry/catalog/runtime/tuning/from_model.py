"""The sizes at which a language model calls ops, read from its `config.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arguments import Record
from .sizes import TimedSizes

_TOKENS, _KEYS = 128, 1024
_BROKEN = (
    OSError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError, RecursionError,
)  # fmt: skip
"""What reading a configuration of any contents raises."""


@dataclass(frozen=True)
class ModelShape:
    """What a configuration says of a model, in the terms of ops."""

    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    experts: int
    slots: int
    group: int
    layers: int = 1
    words: int = 0
    """Rows of the vocabulary; 0: not said."""
    bits: int = 0
    """Of packed weights; 0: they are not packed."""
    dtype: str = ""
    """Of the weights, as the configuration has it; empty: not said."""

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """Outputs and inputs of every linear layer."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return (
            (q, self.hidden),
            (kv, self.hidden),
            (self.hidden, q),
            (self.inner, self.hidden),
            (self.hidden, self.inner),
        )


def of_model(folder: Path, ops: Mapping[str, Record]) -> dict[str, list[TimedSizes]]:
    """Sizes by op, for the ops of the package that such a model calls.

    Raises:
        ValueError: No readable `config.json` of a transformer.
    """
    shape = read(folder)
    found: dict[str, list[TimedSizes]] = {}
    for name, op in ops.items():
        if rows := list(_sizes(op, shape)):
            found[name] = rows
    return found


def read(folder: Path) -> ModelShape:
    """The shape of a model.

    Args:
        folder: Where its `config.json` is, or that file itself.

    Raises:
        ValueError: No readable `config.json` of a transformer.
    """
    path = folder if folder.is_file() else folder / "config.json"
    try:
        return _shape(json.loads(path.read_text()))
    except _BROKEN as error:
        raise ValueError(f"{path} is no configuration of a transformer ({error})") from error


def _shape(document: dict[str, Any]) -> ModelShape:
    config = {**document, **document.get("text_config", {})}  # packing stands outside of the text
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    if hidden < 1 or heads < 1:
        raise ValueError(f"hidden_size is {hidden} and num_attention_heads {heads}")
    inner = config.get("moe_intermediate_size") or config.get("intermediate_size") or 4 * hidden
    packed = config.get("quantization") or {}
    return ModelShape(
        hidden=hidden,
        inner=int(max(inner) if isinstance(inner, list) else inner),  # a list: one for each layer
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or hidden // heads),
        experts=int(config.get("num_experts") or config.get("num_local_experts") or 1),
        slots=int(config.get("num_experts_per_tok") or 1),
        group=int(packed.get("group_size", 64)),
        layers=int(config.get("num_hidden_layers") or 1),
        words=int(config.get("vocab_size") or 0),
        bits=int(packed.get("bits") or 0),
        dtype=str(config.get("dtype") or config.get("torch_dtype") or ""),
    )


def _sizes(op: Record, shape: ModelShape) -> Iterator[TimedSizes]:
    seen: set[str] = set()
    for known in _known(shape):
        if not set(op["axes"]) <= set(known):
            continue
        axes = {axis: known[axis] for axis in op["axes"]}
        if repr(axes) not in seen:
            seen.add(repr(axes))
            yield {"axes": axes, "params": dict(op["params"])}


def _known(shape: ModelShape) -> Iterator[dict[str, int]]:
    """Sizes of the axes that ops of models have, by the names that ops give them."""
    attention = {
        "batch": 1, "heads": shape.heads, "kv_heads": shape.kv_heads, "q_len": 1,
        "kv_len": _KEYS, "head_dim": shape.head_dim, "seq": 1,
    }  # fmt: skip
    experts = {"experts": shape.experts, "slots": shape.slots, "group": shape.group}
    for cols in (shape.hidden, shape.inner, shape.head_dim):
        yield {"rows": 1, "cols": cols, "slots": shape.slots}
    yield {"rows": 1, "experts": shape.experts, "k": shape.slots, "slots": shape.slots}
    yield attention
    yield attention | {"heads": shape.kv_heads}
    yield attention | {"q_len": _TOKENS, "kv_len": _TOKENS, "seq": _TOKENS}
    for n, k in shape.products:
        yield {"m": 1, "n": n, "k": k, **experts}
