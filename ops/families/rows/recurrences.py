"""Recurrences over time: state-space models, the gated delta rule, test-time training."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.fills import Custom, Real
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

STEP = 100_000
"""FLOPs that a step of an oracle's loop costs beside its own."""
MAMBA = "batch seq channels state"
DELTA = "batch heads seq key value"
TTT = "batch width"


def _selective(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    x, step, decay = inputs["x"], inputs["step"], inputs["decay"]
    given, read, skip = inputs["given"], inputs["read"], inputs["skip"]
    state = np.zeros((x.shape[0], x.shape[2], decay.shape[1]))
    found = []
    for t in range(x.shape[1]):
        moved = step[:, t, :, None]
        state = np.exp(moved * decay) * state + moved * x[:, t, :, None] * given[:, t, None, :]
        found.append((state * read[:, t, None, :]).sum(axis=-1) + skip * x[:, t])
    return (np.stack(found, axis=1) if found else 0.0 * x,)


selective_scan = Op(
    name="selective_scan",
    family="scan",
    formula="Mamba's scan. For every channel c a state h of `state` numbers, zero at first: "
    "h[n] = exp(step[b, t, c] decay[c, n]) h[n] + step[b, t, c] x[b, t, c] given[b, t, n]; "
    "out[b, t, c] = sum over n of h[n] read[b, t, n] + skip[c] x[b, t, c]. decay is negative, h is "
    "carried in float32.",
    axes=axes("batch seq channels", Axis("state", least=1, compiled=True, tried_to=128)),
    inputs=(
        Tensor("x", ("batch", "seq", "channels")),
        Tensor("step", ("batch", "seq", "channels"), fill=Real(0.0, 1.0)),
        Tensor("decay", ("channels", "state"), fill=Real(-16.0, 0.0)),
        Tensor("given", ("batch", "seq", "state")),
        Tensor("read", ("batch", "seq", "state")),
        Tensor("skip", ("channels",)),
    ),
    outputs=(Tensor("out", ("batch", "seq", "channels"), match=Close("seq + state")),),
    oracle=_selective,
    steps=lambda inputs, workload, stored: _selective(inputs, workload),
    baselines={
        "in float32": """
wide, moved = x.astype(mx.float32), step.astype(mx.float32)
a, b, c = decay.astype(mx.float32), given.astype(mx.float32), read.astype(mx.float32)
h = mx.zeros((batch, channels, state), dtype=mx.float32)
found = []
for t in range(seq):
    one = moved[:, t, :, None]
    h = mx.exp(one * a) * h + one * wide[:, t, :, None] * b[:, t, None, :]
    found = found + [mx.sum(h * c[:, t, None, :], axis=-1)]
return (mx.stack(found, axis=1) + skip.astype(mx.float32) * wide).astype(dtype)
"""
    },
    flops="batch * seq * channels * (state * 10 + 2)",
    plain_flops=f"batch * seq * channels * state * 12 + seq * {STEP}",
    visible=cases(MAMBA, (1, 1, 1, 1), (2, 5, 8, 4), (1, 16, 32, 16), (3, 7, 10, 16)),
    hidden=cases(
        MAMBA,
        *((0, 2, 3, 4), (2, 0, 3, 16), (1, 1, 31, 5), (2, 37, 5, 33), (1, 9, 65, 3)),
        *((1, 67, 2, 16), (3, 2, 257, 4)),
    ),
    bench=(
        labelled(MAMBA, "mamba-130m decode, 4 tokens", 1, 4, 1536, 16),
        labelled(MAMBA, "mamba-130m prefill 64", 1, 64, 1536, 16),
        labelled(MAMBA, "mamba-370m prefill 128", 1, 128, 2048, 16),
    ),
)


def _unit(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """Rows of length 1 along the last axis, whatever is dealt."""
    drawn = rng.standard_normal(shape)
    return drawn / np.maximum(np.sqrt(np.square(drawn).sum(axis=-1, keepdims=True)), 1e-6)


DELTA_IN_FLOAT32 = """
wide_q, wide_k, wide_v = q.astype(mx.float32), k.astype(mx.float32), v.astype(mx.float32)
g, b, s = decay.astype(mx.float32), beta.astype(mx.float32), state
found = []
for t in range(seq):
    s = s * g[:, :, t, None, None]
    seen = mx.sum(s * wide_k[:, :, t, :, None], axis=-2)
    change = b[:, :, t, None] * (wide_v[:, :, t] - seen)
    s = s + wide_k[:, :, t, :, None] * change[..., None, :]
    found = found + [mx.sum(s * wide_q[:, :, t, :, None], axis=-2)]
zeros = mx.zeros((batch, heads, 0, value), dtype=mx.float32)
return (mx.stack(found, axis=2) if seq else zeros).astype(dtype), s
"""
"""MLX text of the gated delta rule, one decay a step."""


def delta_rule(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    """The gated delta rule; `decay` has one number a step, or one for every channel of the keys."""
    q, k, v, decay = inputs["q"], inputs["k"], inputs["v"], inputs["decay"]
    kept = decay if decay.ndim == k.ndim else decay[..., None]
    state, found = inputs["state"], []
    for t in range(q.shape[2]):
        state = state * kept[:, :, t, :, None]
        seen = (state * k[:, :, t, :, None]).sum(axis=-2)
        change = inputs["beta"][:, :, t, None] * (v[:, :, t] - seen)
        state = state + k[:, :, t, :, None] * change[..., None, :]
        found.append((state * q[:, :, t, :, None]).sum(axis=-2))
    out = np.stack(found, axis=2) if found else np.zeros(v.shape)
    return out, state


OF_CHUNKS = Close("seq * (key + seq)")
"""Kernels that go by chunks also sum over the places of one."""
gated_delta = Op(
    name="gated_delta",
    family="scan",
    formula="The gated delta rule. S, `key` by `value`, begins as state[b, h]; for every t: S = "
    "decay[b, h, t] S; u = beta[b, h, t] (v[b, h, t] - S^T k[b, h, t]); S = S + k u^T; "
    "out[b, h, t] = S^T q[b, h, t]. state_out is the last S. S is carried in float32.",
    axes=axes(
        "batch heads seq",
        Axis("key", least=1, compiled=True, tried_to=256),
        Axis("value", least=1),
    ),
    inputs=(
        Tensor("q", ("batch", "heads", "seq", "key"), fill=Custom(_unit)),
        Tensor("k", ("batch", "heads", "seq", "key"), fill=Custom(_unit)),
        Tensor("v", ("batch", "heads", "seq", "value")),
        Tensor("decay", ("batch", "heads", "seq"), fill=Real(0.0, 1.0)),
        Tensor("beta", ("batch", "heads", "seq"), fill=Real(0.0, 1.0)),
        Tensor("state", ("batch", "heads", "key", "value"), "float32"),
    ),
    outputs=(
        Tensor("out", ("batch", "heads", "seq", "value"), match=OF_CHUNKS),
        Tensor("state_out", ("batch", "heads", "key", "value"), "float32", match=OF_CHUNKS),
    ),
    oracle=delta_rule,
    steps=lambda inputs, workload, stored: delta_rule(inputs, workload),
    baselines={
        "in float32": DELTA_IN_FLOAT32,
        # Its time stands before the heads, and its state is the transpose.
        "mx.fast.gated_delta_update": """
def moved(x):
    return x.swapaxes(1, 2)
out, last = mx.fast.gated_delta_update(moved(q), moved(k), moved(v), moved(decay), moved(beta),
                                       state.swapaxes(2, 3))
return moved(out).astype(dtype), last.swapaxes(2, 3)
""",
    },
    flops="batch * heads * seq * key * value * 7",
    plain_flops=f"batch * heads * seq * key * value * 14 + seq * {STEP}",
    visible=cases(DELTA, (1, 1, 1, 4, 4), (2, 2, 5, 32, 16), (1, 2, 16, 64, 64), (1, 3, 7, 32, 8)),
    hidden=cases(
        DELTA,
        *((0, 2, 3, 4, 4), (1, 2, 0, 32, 8), (1, 1, 37, 16, 1), (3, 5, 2, 31, 33)),
        *((1, 2, 5, 128, 67), (1, 1, 67, 8, 5)),
    ),
    bench=(
        labelled(DELTA, "qwen3-next decode, 8 of 32 heads", 1, 8, 1, 128, 128),
        labelled(DELTA, "qwen3-next prefill 16, 8 heads", 1, 8, 16, 128, 128),
        labelled(DELTA, "qwen3-next decode, batch 8", 8, 32, 1, 128, 128),
    ),
)


def _ttt(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    xq, xk, xv, w, b = (inputs[n] for n in ("xq", "xk", "xv", "w", "b"))
    gain, shift = inputs["gain"], inputs["shift"]
    rate, eps, width = param_value(workload, "rate"), param_value(workload, "eps"), xq.shape[1]

    def normal(z: Any) -> tuple[Any, Any]:
        centred = z - z.sum(axis=-1, keepdims=True) / width
        inverse = 1.0 / np.sqrt(np.square(centred).sum(axis=-1, keepdims=True) / width + eps)
        return centred * inverse, inverse

    hat, inverse = normal((xk[:, None] @ w)[:, 0] + b)
    away = (gain * hat + shift - (xv - xk)) * gain
    mean = away.sum(axis=-1, keepdims=True) / width
    lean = (away * hat).sum(axis=-1, keepdims=True) / width
    slope = (away - mean - hat * lean) * inverse
    new_w = w - rate * xk[:, :, None] * slope[:, None]
    new_b = b - rate * slope
    return xq + normal((xq[:, None] @ new_w)[:, 0] + new_b)[0] * gain + shift, new_w, new_b


ttt_linear_decode = Op(
    name="ttt_linear_decode",
    family="scan",
    formula="One step of test-time training, a linear model of each sequence: z = w^T xk + b, its "
    "normal form n = (z - mean) r, r = 1 / sqrt(variance + eps); d = (gain n + shift - (xv - xk)) "
    "gain; s = (d - mean(d) - n mean(d n)) r; w_out = w - rate xk s^T; b_out = b - rate s; out = "
    "xq + gain normal(w_out^T xq + b_out) + shift.",
    axes=axes("batch", Axis("width", values=(16, 32, 64, 128), compiled=True)),
    inputs=(
        # What is far from zero hides all that a normal form keeps of it, in float32 for everybody.
        *(Tensor(name, ("batch", "width"), fill=Real(-64.0, 64.0)) for name in ("xq", "xk", "xv")),
        Tensor("w", ("batch", "width", "width"), "float32", fill=Real(-0.25, 0.25)),
        Tensor("b", ("batch", "width"), "float32"),
        Tensor("gain", ("width",), fill=Real(-4.0, 4.0)),
        Tensor("shift", ("width",)),
    ),
    outputs=(
        Tensor("out", ("batch", "width"), match=Close("width")),
        Tensor("w_out", ("batch", "width", "width"), "float32", match=Close("width")),
        Tensor("b_out", ("batch", "width"), "float32", match=Close("width")),
    ),
    params={"rate": 0.1, "eps": 1e-3},
    ranges={
        "rate": Range(0.0, 1.0, usual=(0.01, 0.1)),
        "eps": Range(1e-6, 0.5, usual=(1e-6, 1e-3)),
    },
    oracle=_ttt,
    steps=lambda inputs, workload, stored: _ttt(inputs, workload),
    baselines={
        "in float32": """
def normal(z):
    centred = z - mx.mean(z, axis=-1, keepdims=True)
    inverse = mx.rsqrt(mx.mean(mx.square(centred), axis=-1, keepdims=True) + eps)
    return centred * inverse, inverse
q, k, v = xq.astype(mx.float32), xk.astype(mx.float32), xv.astype(mx.float32)
g, s = gain.astype(mx.float32), shift.astype(mx.float32)
hat, inverse = normal((k[:, None] @ w)[:, 0] + b)
away = (g * hat + s - (v - k)) * g
lean = mx.mean(away * hat, axis=-1, keepdims=True)
slope = (away - mx.mean(away, axis=-1, keepdims=True) - hat * lean) * inverse
new_w = w - rate * k[:, :, None] * slope[:, None]
new_b = b - rate * slope
found = normal((q[:, None] @ new_w)[:, 0] + new_b)[0]
return (q + found * g + s).astype(dtype), new_w, new_b
"""
    },
    flops="batch * width * (6 * width + 30)",
    visible=(
        *cases(TTT, (1, 16), (2, 64), (3, 32)),
        *cases(TTT, (4, 16), rate=0.5, eps=1e-2),
    ),
    hidden=(
        *cases(TTT, (0, 16), (1, 32), (31, 16), (33, 16), (67, 16), (5, 64), (2, 128)),
        *cases(TTT, (9, 32), rate=1.0, eps=0.25),
    ),
    bench=(
        labelled(TTT, "ttt-linear-125m decode, 12 heads", 12, 64),
        labelled(TTT, "ttt-linear-1.3b decode, batch 8", 256, 64),
    ),
)
