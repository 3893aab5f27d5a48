"""What MLX texts mean where nothing is rounded: functions of `mlx.core`, over NumPy in float64.

Every float dtype is float64 here, and integers stay what they are. Arrays of a kind go out as that
kind, so that the judge can follow rounding errors through. What is not listed is not known, and
`lacks` says so before anything is computed.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from ops.dtypes import DTYPE_BYTES, FLOAT_DTYPES
from ops.formulas import logistic, normal_share
from ops.texts.mlx import statements

_ALIKE = """
    abs add arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort broadcast_to
    ceil clip concatenate cos cosh degrees diag divide einsum equal exp expand_dims
    expm1 eye floor floor_divide full greater greater_equal inner isfinite isinf isnan less
    less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or matmul maximum
    minimum moveaxis multiply negative not_equal ones ones_like outer power radians remainder repeat
    reshape round sign sin sinh sort split sqrt square squeeze stack subtract swapaxes take
    take_along_axis tan tanh tensordot tile transpose tril triu where zeros zeros_like
    """
_REDUCTIONS = ["all", "any", "prod", "sum"]
_METHODS = """
    all any argmax argmin astype dtype max mean min ndim prod reshape round shape size
    squeeze std sum swapaxes transpose T var
    """
"""Of arrays, where NumPy's take and give what MLX's do."""


def lacks(text: str) -> str | None:
    """The first thing of a text that is not known here, such as `mx.fast.rope`; None: all is.

    Raises:
        MlxTextError: It is no MLX text.
    """
    for node in ast.walk(ast.parse(statements(text))):
        if isinstance(node, ast.Attribute) and (fault := _unknown(ast.unparse(node), node.attr)):
            return fault
    return None


def _unknown(path: str, attribute: str) -> str | None:
    root, _, rest = path.partition(".")
    if root == "mx" and all(part.isidentifier() for part in rest.split(".")):
        # `mx.float32.x` is no function; what MLX itself lacks is told elsewhere.
        return None if rest in _KNOWN or any(k.startswith(f"{rest}.") for k in _KNOWN) else path
    if root == "math" or attribute in _METHODS.split():
        return None
    return f".{attribute}"


def dtype(name: str) -> Any:
    """What stands for an MLX dtype here."""
    return np.float64 if name in FLOAT_DTYPES else np.dtype(name.rstrip("_")).type


def namespace() -> SimpleNamespace:
    """What stands for `mx` in a text."""
    fast = {n.partition(".")[2]: f for n, f in _KNOWN.items() if n.startswith("fast.")}
    plain = {name: found for name, found in _KNOWN.items() if "." not in name}
    return SimpleNamespace(**plain, fast=SimpleNamespace(**fast))


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduced(a: Any, axis: Any = None, keepdims: bool = False, **more: Any) -> Any:
        return function(a, axis=_axes(axis), keepdims=keepdims, **more)

    return reduced


def _running(function: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    """Running sums or products; from the end, or without an element itself."""

    def found(a: Any, axis: Any = None, reverse: bool = False, inclusive: bool = True) -> Any:
        given, along = (np.ravel(a), 0) if axis is None else (np.asarray(a), axis)
        ordered = np.flip(given, along) if reverse else given
        every = function(ordered, axis=along)
        if not inclusive and every.size:
            first = np.full_like(np.take(every, [0], along), neutral)
            every = np.concatenate([first, np.delete(every, -1, along)], along)
        return np.flip(every, along) if reverse else every

    return found


def _extreme(function: Callable[..., Any], neutral: float) -> Callable[..., Any]:
    """A largest or smallest element; of none, what changes nothing."""

    def found(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        start = {"initial": neutral} if np.size(a) == 0 and a.dtype == np.float64 else {}
        return function(a, axis=_axes(axis), keepdims=keepdims, **start)

    return found


def _mean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    every = tuple(range(np.ndim(a))) if axis is None else np.atleast_1d(axis)
    count = math.prod(np.shape(a)[at] for at in every)
    # Of nothing it is NaN, as in MLX, and no warning.
    return np.sum(a, axis=_axes(axis), keepdims=keepdims) / np.float64(count)


def _var(a: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    apart = np.square(a - _mean(a, axis, keepdims=True))
    mean, plain = _mean(apart, axis, keepdims), np.size(apart) or 1
    return mean if ddof == 0 else mean * plain / (plain - ddof * np.size(mean))


def _std(a: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    return np.sqrt(_var(a, axis, keepdims, ddof))


_max, _min = _extreme(np.max, -math.inf), _extreme(np.min, math.inf)


def _softmax(a: Any, axis: Any = None, precise: bool = False) -> Any:
    shifted = np.exp(a - _max(a, axis, keepdims=True))
    return shifted / np.sum(shifted, axis=_axes(axis), keepdims=True)


def _logsumexp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    peak = _max(a, axis, keepdims=True)
    found = peak + np.log(np.sum(np.exp(a - peak), axis=_axes(axis), keepdims=True))
    return found if keepdims else np.squeeze(found, axis=_axes(axis))


def _rms_norm(x: Any, weight: Any, eps: float) -> Any:
    scaled = x / np.sqrt(_mean(np.square(x), -1, keepdims=True) + eps)
    return scaled if weight is None else scaled * weight


def _layer_norm(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    centred = x - _mean(x, -1, keepdims=True)
    scaled = _rms_norm(centred, weight, eps)
    return scaled if bias is None else scaled + bias


def _erf(x: Any) -> Any:
    return 2.0 * normal_share(x * math.sqrt(2.0)) - 1.0


def _addmm(c: Any, a: Any, b: Any, alpha: float = 1.0, beta: float = 1.0) -> Any:
    return alpha * (a @ b) + beta * c


_KNOWN: Mapping[str, Any] = {
    **{name: getattr(np, name) for name in _ALIKE.split()},
    **{name: _reduction(getattr(np, name)) for name in _REDUCTIONS},
    **{name: dtype(name) for name in DTYPE_BYTES},
    "addmm": _addmm,
    "arange": np.arange,
    "array": np.asanyarray,
    "contiguous": lambda x: x,
    "cumprod": _running(np.cumprod, 1.0),
    "cumsum": _running(np.cumsum, 0.0),
    "erf": _erf,
    "fast.layer_norm": _layer_norm,
    "fast.rms_norm": _rms_norm,
    "inf": math.inf,
    "logsumexp": _logsumexp,
    "max": _max,
    "mean": _mean,
    "min": _min,
    "nan": math.nan,
    "newaxis": None,
    "pi": math.pi,
    "reciprocal": lambda x: 1.0 / x,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "sigmoid": logistic,
    "softmax": _softmax,
    "std": _std,
    "stop_gradient": lambda x: x,
    "var": _var,
}
"""By the name after `mx.`."""
