"""Norms without what is learnt or a part of it, as MLX has them where it is None."""

from __future__ import annotations

from ops.families.forms.rowwise import MOMENTS, rowwise
from ops.families.norms.norms_fused import (
    EPS_OF,
    LEARNT,
    NORMAL,
    OUT,
    RANGES,
    TOKENS,
    X,
    normal,
    rms,
)

rms_norm_unweighted = rowwise(
    "rms_norm_unweighted",
    "norms",
    (X,),
    (OUT,),
    np=rms,
    mlx="mx.fast.rms_norm(x, None, eps)",
    passes={"squares": "sum of x * x", "scale": "rsqrt(squares / float(cols) + eps)"},
    metal={"out": "x * scale"},
    flops=3,
    params=EPS_OF,
    ranges=RANGES,
    formula="out = x / sqrt(sum of x^2 over the row / cols + eps): `rms_norm` without a weight.",
    cases=TOKENS,
)
layer_norm_unweighted = rowwise(
    "layer_norm_unweighted",
    "norms",
    (X,),
    (OUT,),
    np=normal,
    steps=lambda stored, x, eps: normal(x, eps),
    mlx="mx.fast.layer_norm(x, None, None, eps)",
    passes=MOMENTS,
    metal={"out": NORMAL},
    flops=7,
    params=EPS_OF,
    ranges=RANGES,
    formula="out = (x - mean) / sqrt(variance + eps) over each row: `layer_norm` without weight "
    "and bias.",
    cases=TOKENS,
)
layer_norm_unbiased = rowwise(
    "layer_norm_unbiased",
    "norms",
    (X, LEARNT),
    (OUT,),
    np=lambda x, weight, eps: normal(x, eps) * weight,
    steps=lambda stored, x, weight, eps: stored(normal(x, eps)) * weight,
    mlx="mx.fast.layer_norm(x, weight, None, eps)",
    passes=MOMENTS,
    metal={"out": f"{NORMAL} * weight"},
    flops=8,
    params=EPS_OF,
    ranges=RANGES,
    formula="out = (x - mean) / sqrt(variance + eps) * weight over each row: `layer_norm` with a "
    "weight and without a bias. What stands before the weight may be rounded to T.",
    cases=TOKENS,
)
