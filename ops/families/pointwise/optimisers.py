"""Steps of optimisers: every parameter by itself, its moments kept in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.families.forms.pointwise import elements, pointwise
from ops.fills import Real
from ops.parameters import Range
from ops.workload import Tensor

RATE = Range(1e-6, 0.5, usual=(3e-4, 1e-3))
MOMENT = Tensor("moment", ("rows", "cols"), "float32")
SQUARE = Tensor("square", ("rows", "cols"), "float32", fill=Real(low=0.0))


adamw_step = pointwise(
    "adamw_step",
    "optimisers",
    (elements("x"), elements("grad"), MOMENT, SQUARE),
    {
        "out": "x - rate * (correct_1 * (beta_1 * moment + (1.0f - beta_1) * grad) / "
        "(sqrt(correct_2 * (beta_2 * square + (1.0f - beta_2) * grad * grad)) + eps) + decay * x)",
        "moment_out": "beta_1 * moment + (1.0f - beta_1) * grad",
        "square_out": "beta_2 * square + (1.0f - beta_2) * grad * grad",
    },
    np=lambda x, grad, moment, square, **settings: _adam(x, grad, moment, square, settings),
    mlx="""
wide, g = x.astype(mx.float32), grad.astype(mx.float32)
first = beta_1 * moment + (1 - beta_1) * g
second = beta_2 * square + (1 - beta_2) * g * g
step = correct_1 * first / (mx.sqrt(correct_2 * second) + eps) + decay * wide
return (wide - rate * step).astype(dtype), first, second
""",
    params={
        "rate": 1e-3,
        "beta_1": (0.9, 0.95, 0.5),
        "beta_2": (0.99, 0.95, 0.5),
        "eps": (1e-4, 1e-2, 1e-3),
        "decay": (0.01, 0.1, 0.25),
        "correct_1": (1.0, 3.0, 2.0),
        "correct_2": (1.0, 4.0, 2.0),
    },
    ranges={
        "rate": RATE,
        "beta_1": Range(0.0, 0.99, usual=(0.9, 0.95)),
        "beta_2": Range(0.0, 0.9999, usual=(0.999, 0.99, 0.95)),
        "eps": Range(1e-8, 1e-2, usual=(1e-8, 1e-6)),
        "decay": Range(0.0, 0.25, usual=(0.0, 0.1, 0.01)),
        "correct_1": Range(1.0, 100.0, usual=(1.0, 10.0, 20.0)),
        "correct_2": Range(1.0, 10000.0, usual=(1.0, 100.0, 1000.0)),
    },
    flops=24,
    wide=("moment_out", "square_out"),
    formula="moment_out = beta_1 moment + (1 - beta_1) grad; square_out = beta_2 square + (1 - "
    "beta_2) grad^2; out = x - rate (correct_1 moment_out / (sqrt(correct_2 square_out) + eps) + "
    "decay x). correct_1 and correct_2 are 1 / (1 - beta^t). All is computed in float32.",
)
sgd_step = pointwise(
    "sgd_step",
    "optimisers",
    (elements("x"), elements("grad"), MOMENT),
    {
        "out": "x - rate * (momentum * moment + grad + decay * x)",
        "moment_out": "momentum * moment + grad + decay * x",
    },
    np=lambda x, grad, moment, rate, momentum, decay: (
        x - rate * (momentum * moment + grad + decay * x),
        momentum * moment + grad + decay * x,
    ),
    mlx="""
wide = x.astype(mx.float32)
found = momentum * moment + grad.astype(mx.float32) + decay * wide
return (wide - rate * found).astype(dtype), found
""",
    params={"rate": 1e-3, "momentum": (0.9, 0.5, 0.99), "decay": (0.01, 0.1, 0.25)},
    ranges={
        "rate": RATE,
        "momentum": Range(0.0, 0.999, usual=(0.9,)),
        "decay": Range(0.0, 0.25, usual=(1e-4, 0.01)),
    },
    flops=8,
    wide=("moment_out",),
    formula="moment_out = momentum moment + grad + decay x, out = x - rate moment_out.",
)
lion_step = pointwise(
    "lion_step",
    "optimisers",
    (elements("x"), elements("grad"), MOMENT),
    {
        "out": "x - rate * (sign(beta_1 * moment + (1.0f - beta_1) * grad) + decay * x)",
        "moment_out": "beta_2 * moment + (1.0f - beta_2) * grad",
    },
    np=lambda x, grad, moment, **settings: _lion(x, grad, moment, settings),
    steps=lambda x, grad, moment, **settings: _lion(x, grad, moment, settings),
    mlx="""
wide, g = x.astype(mx.float32), grad.astype(mx.float32)
step = mx.sign(beta_1 * moment + (1 - beta_1) * g) + decay * wide
found = beta_2 * moment + (1 - beta_2) * g
return (wide - rate * step).astype(dtype), found
""",
    params={
        "rate": 1e-4,
        "beta_1": (0.9, 0.95, 0.5),
        "beta_2": (0.99, 0.98, 0.5),
        "decay": (0.01, 0.1, 0.25),
    },
    ranges={
        "rate": RATE,
        "beta_1": Range(0.0, 0.99, usual=(0.9, 0.95)),
        "beta_2": Range(0.0, 0.999, usual=(0.98, 0.99, 0.999)),
        "decay": Range(0.0, 1.0, usual=(0.0, 0.1, 1.0)),
    },
    flops=12,
    wide=("moment_out",),
    formula="out = x - rate (sign(beta_1 moment + (1 - beta_1) grad) + decay x), sign(0) = 0; "
    "moment_out = beta_2 moment + (1 - beta_2) grad. All is computed in float32.",
)


def _lion(x: Any, grad: Any, moment: Any, s: dict[str, float]) -> Any:
    step = np.sign(s["beta_1"] * moment + (1.0 - s["beta_1"]) * grad) + s["decay"] * x
    return x - s["rate"] * step, s["beta_2"] * moment + (1.0 - s["beta_2"]) * grad


def _adam(x: Any, grad: Any, moment: Any, square: Any, s: dict[str, float]) -> Any:
    first = s["beta_1"] * moment + (1.0 - s["beta_1"]) * grad
    second = s["beta_2"] * square + (1.0 - s["beta_2"]) * np.square(grad)
    root = np.sqrt(s["correct_2"] * second) + s["eps"]
    step = s["correct_1"] * first / root + s["decay"] * x
    return x - s["rate"] * step, first, second
