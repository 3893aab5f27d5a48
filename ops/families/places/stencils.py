"""Convolutions of each channel by itself, resizing, and linear recurrences over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.forms.linear import SILU
from ops.fills import Real
from ops.formulas import logistic
from ops.matches import Close
from ops.workload import Tensor

CONV = "batch seq channels width"
RECUR = "batch seq channels"
IMAGE = "batch height width channels"
IMAGES = (
    cases(IMAGE, (1, 1, 1, 1), (2, 3, 4, 8), (1, 8, 8, 16), (1, 5, 7, 3)),
    cases(
        IMAGE,
        *((0, 2, 3, 4), (2, 0, 3, 4), (1, 1, 31, 4), (3, 67, 1, 5), (1, 2, 33, 7)),
        (1, 3, 5, 257),
    ),
)


def _causal_conv(x: Any, weight: Any, bias: Any) -> Any:
    seq, width = x.shape[1], weight.shape[1]
    padded = np.concatenate([np.zeros((x.shape[0], width - 1, x.shape[2])), x], axis=1)
    windows = np.stack([padded[:, j : j + seq] for j in range(width)], axis=-1)
    sums = (windows * weight).sum(axis=-1) + bias
    return sums * logistic(sums)


causal_conv1d_silu = indexed(
    "causal_conv1d_silu",
    "stencils",
    axes("batch seq channels", Axis("width", least=1)),
    (
        Tensor("x", ("batch", "seq", "channels")),
        Tensor("weight", ("channels", "width")),
        Tensor("bias", ("channels",)),
    ),
    (Tensor("out", ("batch", "seq", "channels"), match=Close("width + 1")),),
    np=_causal_conv,
    steps=_causal_conv,
    mlx="""
wide = mx.pad(x.astype(mx.float32), [(0, 0), (width - 1, 0), (0, 0)])
sums = bias.astype(mx.float32)
for j in range(width):
    sums = sums + wide[:, j : j + seq] * weight.astype(mx.float32)[:, j]
return (sums * mx.sigmoid(sums)).astype(dtype)
""",
    metal="""
const uint channel = i % channels;
const uint t = i / channels % seq;
float sum = float(bias[channel]);
for (uint j = 0; j < width; ++j) {
  if (t + j + 1 >= width) {
    sum += float(weight[channel * width + j]) * float(x[i + (j + 1) * channels - width * channels]);
  }
}
out[i] = T(silu(sum));
""",
    helpers=SILU,
    flops="batch * seq * channels * (2 * width + 7)",
    cases=(
        cases(CONV, (1, 1, 1, 1), (2, 5, 8, 4), (1, 16, 64, 4), (3, 7, 10, 2)),
        cases(
            CONV,
            *((0, 2, 3, 4), (2, 0, 3, 4), (1, 1, 31, 4), (2, 67, 5, 3), (1, 129, 33, 5)),
            (3, 2, 257, 4),
        ),
        (
            labelled(CONV, "mamba-130m decode, the last 4 tokens", 1, 4, 1536, 4),
            labelled(CONV, "mamba-130m prefill 128", 1, 128, 1536, 4),
            labelled(CONV, "mamba2-1.3b prefill 512", 1, 512, 4096, 4),
        ),
    ),
    formula="s[b, t, c] = bias[c] + sum over j of weight[c, j] x[b, t - width + 1 + j, c], zeros "
    "before the beginning; out = s sigmoid(s): the short convolution of Mamba and gated delta.",
)


def _recurrence(decay: Any, x: Any) -> Any:
    found = []
    state = 0.0 * x[:, :1]
    for t in range(x.shape[1]):
        state = decay[:, t : t + 1] * state + x[:, t : t + 1]
        found.append(state)
    return np.concatenate(found, axis=1) if found else 0.0 * x


STEPS = ("batch", "seq", "channels")
linear_recurrence = indexed(
    "linear_recurrence",
    "scan",
    axes("batch seq channels"),
    (Tensor("decay", STEPS, fill=Real(0.0, 1.0)), Tensor("x", STEPS)),
    (Tensor("out", STEPS, match=Close("seq")),),
    np=_recurrence,
    steps=_recurrence,
    mlx="""
state = mx.zeros((batch, channels), dtype=mx.float32)
found = []
for t in range(seq):
    state = decay[:, t].astype(mx.float32) * state + x[:, t].astype(mx.float32)
    found = found + [state]
return mx.stack(found, axis=1).astype(dtype)
""",
    metal="""
const uint first_at = i / channels * seq * channels + i % channels;
float state = 0.0f;
for (uint t = 0; t < seq; ++t) {
  const uint at = first_at + t * channels;
  state = float(decay[at]) * state + float(x[at]);
  out[at] = T(state);
}
""",
    count="batch * channels",
    flops="2 * batch * seq * channels",
    cases=(
        cases(RECUR, (1, 1, 1), (2, 5, 8), (1, 16, 64), (3, 7, 10)),
        cases(RECUR, (0, 2, 3), (2, 0, 3), (1, 1, 31), (2, 67, 5), (1, 129, 33), (4, 2, 257)),
        (
            labelled(RECUR, "recurrentgemma-2b, 16 tokens", 1, 16, 2560),
            labelled(RECUR, "recurrentgemma-2b, 64 tokens", 1, 64, 2560),
        ),
    ),
    formula="s[b, t, c] = decay[b, t, c] s[b, t - 1, c] + x[b, t, c], s zero before the beginning, "
    "carried in float32; out = s.",
)


def _recurrence_vjp(decay: Any, out: Any, dout: Any) -> tuple[Any, Any]:
    behind = 0.0 * dout[:, :1]
    found: list[Any] = []
    for t in range(dout.shape[1] - 1, -1, -1):
        kept = decay[:, t + 1 : t + 2] * behind if found else 0.0
        behind = dout[:, t : t + 1] + kept
        found.append(behind)
    dx = np.concatenate(found[::-1], axis=1) if found else 0.0 * dout
    before = np.concatenate([0.0 * out[:, :1], out[:, :-1]], axis=1)
    return dx * before, dx


linear_recurrence_vjp = indexed(
    "linear_recurrence_vjp",
    "scan",
    linear_recurrence.axes,
    (linear_recurrence.inputs[0], *(Tensor(n, STEPS) for n in ("out", "dout"))),
    tuple(Tensor(name, STEPS, match=Close("seq")) for name in ("ddecay", "dx")),
    np=_recurrence_vjp,
    steps=_recurrence_vjp,
    mlx="""
behind = mx.zeros((batch, channels), dtype=mx.float32)
kept = behind
found = []
for back in range(seq):
    t = seq - 1 - back
    behind = dout[:, t].astype(mx.float32) + kept
    found = [behind] + found
    kept = decay[:, t].astype(mx.float32) * behind
dx = mx.stack(found, axis=1)
before = mx.pad(out.astype(mx.float32), ((0, 0), (1, 0), (0, 0)))[:, :seq]
return (dx * before).astype(dtype), dx.astype(dtype)
""",
    metal="""
const uint first_at = i / channels * seq * channels + i % channels;
float behind = 0.0f;
float kept = 0.0f;
for (uint t = seq; t-- > 0;) {
  const uint at = first_at + t * channels;
  behind = float(dout[at]) + kept;
  dx[at] = T(behind);
  ddecay[at] = T(t > 0 ? behind * float(out[at - channels]) : 0.0f);
  kept = float(decay[at]) * behind;
}
""",
    count="batch * channels",
    flops="3 * batch * seq * channels",
    cases=(linear_recurrence.visible, linear_recurrence.hidden, linear_recurrence.bench),
    gradient_of="linear_recurrence",
    formula="From the end: g[b, t, c] = dout[b, t, c] + decay[b, t + 1, c] g[b, t + 1, c], carried "
    "in float32; dx = g, ddecay[b, t, c] = g[b, t, c] out[b, t - 1, c], 0 for the first t.",
)


def _depthwise(x: Any, weight: Any) -> Any:
    height, width = x.shape[1], x.shape[2]
    rows = np.zeros((x.shape[0], 1, width, x.shape[3]))
    tall = np.concatenate([rows, x, rows], axis=1)
    cols = np.zeros((x.shape[0], height + 2, 1, x.shape[3]))
    padded = np.concatenate([cols, tall, cols], axis=2)
    parts = [
        padded[:, a : a + height, c : c + width] * weight[a, c] for a in range(3) for c in range(3)
    ]
    return np.stack(parts, axis=-1).sum(axis=-1)


depthwise_conv3x3 = indexed(
    "depthwise_conv3x3",
    "stencils",
    axes("batch height width channels"),
    (
        Tensor("x", ("batch", "height", "width", "channels")),
        Tensor("weight", ("3", "3", "channels")),
    ),
    (Tensor("out", ("batch", "height", "width", "channels"), match=Close(9)),),
    np=_depthwise,
    steps=_depthwise,
    mlx="""
wide = mx.pad(x.astype(mx.float32), [(0, 0), (1, 1), (1, 1), (0, 0)])
sums = mx.zeros(x.shape, dtype=mx.float32)
for a in range(3):
    for c in range(3):
        sums = sums + wide[:, a : a + height, c : c + width] * weight[a, c].astype(mx.float32)
return sums.astype(dtype)
""",
    metal="""
const uint channel = i % channels;
const uint column = i / channels % width;
const uint line = i / (channels * width) % height;
float sum = 0.0f;
for (uint a = 0; a < 3; ++a) {
  for (uint c = 0; c < 3; ++c) {
    const bool tall = line + a >= 1 && line + a <= height;
    if (tall && column + c >= 1 && column + c <= width) {
      const uint at = i + (a * width + c) * channels - (width + 1) * channels;
      sum += float(x[at]) * float(weight[(a * 3 + c) * channels + channel]);
    }
  }
}
out[i] = T(sum);
""",
    flops="18 * batch * height * width * channels",
    cases=(
        *IMAGES,
        (
            labelled(IMAGE, "mobilenet-v3 14x14", 1, 14, 14, 672),
            labelled(IMAGE, "convnext-like 56x56", 1, 56, 56, 96),
        ),
    ),
    formula="out[b, y, x, c] = sum over a, d of weight[a, d, c] in[b, y + a - 1, x + d - 1, c], "
    "zeros outside: a 3 x 3 convolution of every channel by itself, channels last.",
)


def _resize(x: Any) -> Any:
    for axis in (1, 2):
        size = x.shape[axis]
        at = (np.arange(2 * size) + 0.5) / 2.0 - 0.5
        low = np.floor(at).astype(int)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(4)])
        below = np.take(x, np.clip(low, 0, max(size - 1, 0)), axis=axis)
        above = np.take(x, np.clip(low + 1, 0, max(size - 1, 0)), axis=axis)
        x = below * (1.0 - share) + above * share
    return x


resize_bilinear2x = indexed(
    "resize_bilinear2x",
    "stencils",
    axes("batch height width channels"),
    (Tensor("x", ("batch", "height", "width", "channels")),),
    (Tensor("out", ("batch", "2 * height", "2 * width", "channels"), match=Close(4)),),
    np=_resize,
    steps=_resize,
    mlx="""
found = x.astype(mx.float32)
for axis in (1, 2):
    size = found.shape[axis]
    at = (mx.arange(2 * size) + 0.5) / 2 - 0.5
    low = mx.floor(at)
    share = (at - low).reshape([-1 if a == axis else 1 for a in range(4)])
    below = mx.take(found, mx.clip(low, 0, size - 1).astype(mx.int32), axis=axis)
    above = mx.take(found, mx.clip(low + 1, 0, size - 1).astype(mx.int32), axis=axis)
    found = below * (1 - share) + above * share
return found.astype(dtype)
""",
    metal="""
const uint channel = i % channels;
const int column = int(i / channels % (2 * width));
const int line = int(i / (channels * 2 * width) % (2 * height));
const uint image = i / (channels * 4 * width * height);
// Half-pixel centres: an even place lies a quarter before its source, an odd one a quarter behind.
const int line_near = line / 2;
const int line_far = clamp(line % 2 ? line_near + 1 : line_near - 1, 0, int(height) - 1);
const int column_near = column / 2;
const int column_far = clamp(column % 2 ? column_near + 1 : column_near - 1, 0, int(width) - 1);
const uint near_at = (image * height + uint(line_near)) * width;
const uint far_at = (image * height + uint(line_far)) * width;
const float near_row = 0.75f * float(x[(near_at + column_near) * channels + channel]) +
                       0.25f * float(x[(near_at + column_far) * channels + channel]);
const float far_row = 0.75f * float(x[(far_at + column_near) * channels + channel]) +
                      0.25f * float(x[(far_at + column_far) * channels + channel]);
out[i] = T(0.75f * near_row + 0.25f * far_row);
""",
    flops="32 * batch * height * width * channels",
    cases=(
        *IMAGES,
        (
            labelled(IMAGE, "sd-1.5 decoder 8x8", 1, 8, 8, 512),
            labelled(IMAGE, "sd-1.5 decoder 64x64", 1, 64, 64, 512),
        ),
    ),
    formula="Twice the height and width, bilinear, half-pixel centres, edges clamped: place y of "
    "the output lies at (y + 0.5) / 2 - 0.5 of the input.",
)
