"""What one step of a language model calls: ops of the registry, their sizes, how often. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from foundry.catalog.runtime.tuning.from_model import ModelShape
from ops import registry
from ops.spec import bytes_moved, flops
from ops.workload import Case, Workload

PROMPT, KEYS = 512, 1024
"""Tokens of a prefill step, and keys that a decode step sees."""
_PACKED = {4: "qmm_4bit", 8: "qmm_8bit"}


@dataclass(frozen=True)
class OpCall:
    """An op as a step calls it."""

    op: str
    workload: Workload
    count: int
    """In one step."""

    def roofline_us(self, gb_s: float, gflops: float) -> float:
        """Least time of all its calls in a step, by bytes and by FLOPs.

        Args:
            gb_s: Bandwidth of the device.
            gflops: Its arithmetic in the element type.
        """
        op = registry.get(self.op)
        by_bytes = bytes_moved(op, self.workload) / gb_s
        return self.count * max(by_bytes, flops(op, self.workload) / gflops) / 1e3


def decode(shape: ModelShape, dtype: str) -> list[OpCall]:
    """One token, with 1,024 keys before it."""
    return list(_calls(shape, dtype, 1, KEYS))


def prefill(shape: ModelShape, dtype: str) -> list[OpCall]:
    """A prompt of 512 tokens; the head takes the last alone."""
    return list(_calls(shape, dtype, PROMPT, PROMPT))


def _calls(shape: ModelShape, dtype: str, tokens: int, keys: int) -> Iterator[OpCall]:
    n = shape.layers
    norm = {"rows": tokens, "cols": shape.hidden}
    heads = {"batch": 1, "seq": tokens, "head_dim": shape.head_dim}
    seen = {
        "batch": 1, "heads": shape.heads, "kv_heads": shape.kv_heads,
        "q_len": tokens, "kv_len": keys, "head_dim": shape.head_dim,
    }  # fmt: skip
    yield _call("rms_norm", dtype, norm, 2 * n + 1)
    yield from _products(shape, dtype, tokens)
    if shape.head_dim % 2 == 0:
        yield _call("rope", dtype, heads | {"heads": shape.heads}, n)
        yield _call("rope", dtype, heads | {"heads": shape.kv_heads}, n)
    yield _call("attention", dtype, seen, n)
    # With experts, a token goes through as many of them as it has slots.
    yield _call("swiglu", dtype, {"rows": tokens * shape.slots, "cols": shape.inner}, n)
    yield _call("add", dtype, norm, 2 * n)


def _products(shape: ModelShape, dtype: str, tokens: int) -> Iterator[OpCall]:
    """Linear layers: queries, keys and values, output, gate and up, down; then the head."""
    q, kv, out, up, down = shape.products
    counts = (1, 2, 1, 2 * shape.slots, shape.slots)
    for (outputs, inputs), count in zip((q, kv, out, up, down), counts, strict=True):
        yield _product(shape, dtype, (tokens, outputs, inputs), count * shape.layers)
    if shape.words:
        yield _product(shape, dtype, (1, shape.words, shape.hidden), 1)


def _product(shape: ModelShape, dtype: str, sizes: tuple[int, int, int], count: int) -> OpCall:
    axes = dict(zip(("m", "n", "k"), sizes, strict=True))
    packed = _PACKED.get(shape.bits)
    if packed is None:
        return _call("matmul", dtype, axes, count)
    return _call(packed, dtype, axes | {"group": shape.group}, count)


def _call(name: str, dtype: str, axes: Mapping[str, int], count: int) -> OpCall:
    return OpCall(name, registry.get(name).workload(Case(axes), dtype), count)
