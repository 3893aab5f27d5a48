"""Causal attention over the ranks of `mx.distributed`; a test starts it with `mlx.launch`.

Every rank holds an early and a late shard of the sequence, in the order of `zigzag_permute`,
attends to the keys of one rank after another and joins what it finds with `attention_merge`. Rank 0
says how far all of it together lies from the whole.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

import ops
from ops.workload import Case

HEADS, EACH, WIDTH, SCALE, NO_KEY = 2, 6, 8, 0.3, -1e30


def run(name: str, axes: dict[str, int], *inputs: mx.array) -> tuple[mx.array, ...]:
    """The first baseline of an op."""
    op = ops.get(name)
    found: Any = op.bound_baseline(next(iter(op.baselines)), op.workload(Case(axes), "float32"))
    return tuple(found(*inputs))


def attended(
    q: mx.array, k: mx.array, v: mx.array, at: mx.array, keys: mx.array
) -> tuple[mx.array, mx.array]:
    """Output and logarithm of the sums for queries and keys that stand anywhere."""
    scores = mx.where(keys[None] <= at[:, None], SCALE * q @ k.swapaxes(-1, -2), NO_KEY)
    peak = mx.max(scores, axis=-1, keepdims=True)
    weights = mx.where(scores > NO_KEY, mx.exp(scores - peak), 0)
    total = mx.sum(weights, axis=-1, keepdims=True)
    live = mx.where(total > 0, total, 1)
    return weights @ v / live, mx.where(total > 0, peak + mx.log(live), NO_KEY)[..., 0]


def merged(one: tuple[mx.array, mx.array], other: tuple[mx.array, mx.array]) -> Any:
    """Two parts of one softmax as one."""
    (x, x_lse), (y, y_lse) = one, other
    rows = {"rows": x_lse.size, "cols": WIDTH}
    flat = x.reshape(-1, WIDTH), x_lse.reshape(-1), y.reshape(-1, WIDTH), y_lse.reshape(-1)
    found, logs = run("attention_merge", rows, *flat)
    return found.reshape(x.shape), logs.reshape(x_lse.shape)


def sharded(group: mx.distributed.Group, q: mx.array, k: mx.array, v: mx.array) -> mx.array:
    """The whole result, of which each rank computes its part, in the order of the sequence."""
    ranks, seq = group.size(), q.shape[1]
    place = mx.arange(seq, dtype=mx.float32).reshape(1, 2 * ranks, EACH, 1)
    axes = {"batch": 1, "shards": 2 * ranks, "each": EACH, "cols": 1}
    order = run("zigzag_permute", axes, place)[0].reshape(ranks, -1).astype(mx.int32)
    mine = order[group.rank()]
    # Ranks give what they hold, stacked along a new first axis.
    held_k, held_v = (mx.distributed.all_gather(x[:, mine][None], group=group) for x in (k, v))
    parts = [attended(q[:, mine], held_k[r], held_v[r], mine, order[r]) for r in range(ranks)]
    found = parts[0]
    for part in parts[1:]:
        found = merged(found, part)
    together = mx.distributed.all_gather(found[0][None], group=group)
    return together.swapaxes(0, 1).reshape(HEADS, seq, WIDTH)[:, mx.argsort(order.reshape(-1))]


def main() -> None:
    """Compare, on rank 0."""
    group = mx.distributed.init(strict=True, backend="ring")
    seq = 2 * group.size() * EACH
    q, k, v = (
        mx.random.normal((HEADS, seq, WIDTH), key=key)
        for key in mx.random.split(mx.random.key(7), 3)
    )
    found = sharded(group, q, k, v)
    places = mx.arange(seq)
    whole, _ = attended(q, k, v, places, places)
    apart = mx.max(mx.abs(found - whole)).item()
    if group.rank() == 0:
        print(f"{group.size()} ranks, {apart:.3g} apart", flush=True)


if __name__ == "__main__":
    main()
