"""Pooling: places of an image or a sequence become fewer, or one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.forms.rowwise import Layout, rowwise
from ops.fills import Real
from ops.matches import Close, Exact
from ops.parameters import Range
from ops.workload import Tensor

GEM = "batch channels places"
POOL = "batch height width channels lines columns"
ATTENDED = "batch seq channels"


def _gem(x: Any, power: float, least: float) -> Any:
    mean = (np.maximum(x, least) ** power).sum(axis=-1) / x.shape[-1]
    return mean ** (1.0 / power)


gem_pool = rowwise(
    "gem_pool",
    "pooling",
    (Tensor("x", ("batch", "channels", "places"), fill=Real(-4.0, 4.0)),),
    (Tensor("out", ("batch", "channels"), match=Close("places")),),
    np=_gem,
    steps=lambda stored, x, power, least: _gem(x, power, least),
    mlx="wide = mx.maximum(x.astype(mx.float32), least)\n"
    "return mx.power(mx.mean(mx.power(wide, power), axis=-1), 1 / power).astype(dtype)",
    passes={
        "total": "sum of pow(max(x, least), power)",
        "mean": "total / float(cols)",
    },
    metal={"out": "pow(mean, 1.0f / power)"},
    flops=6,
    params={"power": 3.0, "least": 1e-3},
    ranges={"power": Range(1.0, 4.0, usual=(3.0,)), "least": Range(1e-6, 0.5, usual=(1e-3, 1e-6))},
    op_axes=axes("batch channels", Axis("places", least=1)),
    layout=Layout(("batch", "channels"), "places", "x_shape[2]"),
    formula="out[b, c] = (mean over the places of max(x, least)^power)^(1 / power): the "
    "generalised mean of retrieval networks.",
    cases=(
        (
            *cases(GEM, (1, 1, 1), (2, 4, 49), (3, 8, 64), (1, 3, 100)),
            *cases(GEM, (2, 5, 16), power=2.0, least=0.1),
        ),
        (
            *cases(GEM, (0, 2, 4), (2, 0, 4), (1, 67, 1), (5, 7, 31), (2, 3, 257), (1, 2, 1025)),
            *cases(GEM, (3, 2, 33), power=1.5, least=0.5),
        ),
        (
            labelled(GEM, "resnet-50 retrieval, 7x7", 2, 2048, 49),
            labelled(GEM, "resnet-101 retrieval, 32x24", 1, 2048, 768),
        ),
    ),
)
IMAGES = (
    cases(POOL, (1, 1, 1, 1, 1, 1), (2, 4, 4, 8, 2, 2), (1, 7, 7, 16, 1, 1), (1, 8, 6, 3, 3, 4)),
    cases(
        POOL,
        *((0, 4, 4, 2, 2, 2), (2, 4, 4, 0, 2, 2), (1, 31, 5, 3, 7, 5), (3, 2, 3, 33, 5, 4)),
        *((1, 17, 13, 2, 6, 6), (2, 67, 1, 5, 3, 1)),
    ),
    (
        labelled(POOL, "resnet-50 head, 7x7 to 1", 2, 7, 7, 2048, 1, 1),
        labelled(POOL, "segmentation, 64x64 to 6x6", 1, 64, 64, 512, 6, 6),
    ),
)
IMAGE = Tensor("x", ("batch", "height", "width", "channels"))
SIZES = axes(
    "batch",
    Axis("height", least=1),
    Axis("width", least=1),
    "channels",
    Axis("lines", least=1, compiled=True),
    Axis("columns", least=1, compiled=True),
)
_BIN = """
const uint channel = i % channels;
const uint column = i / channels % columns;
const uint line = i / (channels * columns) % lines;
const uint image = i / (channels * columns * lines);
const uint top = line * height / lines;
const uint bottom = ((line + 1) * height + lines - 1) / lines;
const uint left = column * width / columns;
const uint right = ((column + 1) * width + columns - 1) / columns;
"""
_BINS = "bin (y, x) of the output holds lines floor(y height / lines) to ceil((y + 1) height / \
lines) - 1 of the input, and columns likewise"


def _binned(x: Any, lines: int, columns: int, join: Any) -> Any:
    for axis, bins in ((1, lines), (2, columns)):
        size = x.shape[axis]
        found = []
        for at in range(bins):
            first, until = at * size // bins, -(-(at + 1) * size // bins)
            found.append(join(np.take(x, range(first, until), axis=axis), axis))
        x = np.stack(found, axis=axis)
    return x


_MLX_BINS = """
def bins(x, axis, count, size):
    parts = [mx.take(x, mx.arange(at * size // count, -(-(at + 1) * size // count)), axis=axis)
             for at in range(count)]
    return mx.stack([{join}(part, axis=axis) for part in parts], axis=axis)
"""
adaptive_average_pool = indexed(
    "adaptive_average_pool",
    "pooling",
    SIZES,
    (IMAGE,),
    (Tensor("out", ("batch", "lines", "columns", "channels"), match=Close("height * width")),),
    np=lambda x, lines, columns: _binned(
        x, lines, columns, lambda part, axis: part.sum(axis=axis) / part.shape[axis]
    ),
    mlx=_MLX_BINS.replace("{join}", "mx.mean")
    + "return bins(bins(x.astype(mx.float32), 1, lines, height), 2, columns, width).astype(dtype)",
    metal=f"""{_BIN}
float sum = 0.0f;
for (uint y = top; y < bottom; ++y) {{
  for (uint z = left; z < right; ++z) {{
    sum += float(x[((image * height + y) * width + z) * channels + channel]);
  }}
}}
out[i] = T(sum / float((bottom - top) * (right - left)));
""",
    flops="batch * channels * height * width",
    cases=IMAGES,
    formula=f"The mean of each bin: {_BINS}.",
)
adaptive_max_pool = indexed(
    "adaptive_max_pool",
    "pooling",
    SIZES,
    (IMAGE,),
    (Tensor("out", ("batch", "lines", "columns", "channels"), match=Exact()),),
    np=lambda x, lines, columns: _binned(x, lines, columns, lambda part, axis: part.max(axis=axis)),
    mlx=_MLX_BINS.replace("{join}", "mx.max")
    + "return bins(bins(x, 1, lines, height), 2, columns, width)",
    metal=f"""{_BIN}
T peak = x[((image * height + top) * width + left) * channels + channel];
for (uint y = top; y < bottom; ++y) {{
  for (uint z = left; z < right; ++z) {{
    const T v = x[((image * height + y) * width + z) * channels + channel];
    peak = v > peak ? v : peak;
  }}
}}
out[i] = peak;
""",
    flops="batch * channels * height * width",
    cases=IMAGES,
    formula=f"The largest of each bin: {_BINS}.",
)


def _attended(x: Any, score: Any) -> Any:
    weight = np.exp(score - score.max(axis=-1, keepdims=True))
    weight = weight / weight.sum(axis=-1, keepdims=True)
    return (x * weight[..., None]).sum(axis=1)


attention_pool = indexed(
    "attention_pool",
    "pooling",
    axes("batch", Axis("seq", least=1), "channels"),
    (Tensor("x", ("batch", "seq", "channels")), Tensor("score", ("batch", "seq"))),
    (Tensor("out", ("batch", "channels"), match=Close("seq")),),
    np=_attended,
    steps=_attended,
    mlx="weight = mx.softmax(score.astype(mx.float32), axis=-1)[..., None]\n"
    "return mx.sum(x.astype(mx.float32) * weight, axis=1).astype(dtype)",
    metal="""
const uint row = i / channels;
float peak = -INFINITY;
for (uint t = 0; t < seq; ++t) {
  peak = max(peak, float(score[row * seq + t]));
}
float total = 0.0f;
float sum = 0.0f;
for (uint t = 0; t < seq; ++t) {
  const float weight = exp(float(score[row * seq + t]) - peak);
  total += weight;
  sum += weight * float(x[(row * seq + t) * channels + i % channels]);
}
out[i] = T(sum / total);
""",
    flops="batch * seq * (2 * channels + 5)",
    cases=(
        cases(ATTENDED, (1, 1, 1), (2, 8, 16), (3, 33, 64), (1, 100, 32)),
        cases(ATTENDED, (0, 2, 4), (2, 3, 0), (5, 67, 1), (1, 257, 31), (7, 5, 129)),
        (
            labelled(ATTENDED, "clip vit-b/16, 197 places", 1, 197, 768),
            labelled(ATTENDED, "sentence encoder, 128 tokens", 32, 128, 384),
        ),
    ),
    formula="w = softmax of score[b] over the places; out[b, c] = sum over t of w[t] x[b, t, c].",
)
