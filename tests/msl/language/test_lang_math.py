"""Mathematics to Metal's stated precision, against extended precision on the host.

The bounds are those of the Metal Shading Language specification for precise functions, in units
in the last place. half and bfloat results are held to one unit, inputs being exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msl_lang import Array, as_dtype, run, ulps

X = np.longdouble
PI = X("3.14159265358979323846264338327950288")


def _fract(x: Array) -> Array:
    return np.asarray(np.minimum(x - np.floor(x), X(1) - X(2) ** -24))


def _sinpi(x: Array) -> Array:
    whole = np.round(x)
    return np.asarray(np.sin(PI * (x - whole)) * np.where(whole % 2 == 0, 1, -1))


def _round(x: Array) -> Array:
    return np.asarray(np.copysign(np.floor(np.abs(x) + X(0.5)), x))


# name: (lowest, highest, ulps, reference)
UNARY: dict[str, tuple[float, float, float, Callable[[Array], Array]]] = {
    "acos": (-1, 1, 4, np.arccos),
    "acosh": (1, 1e6, 4, np.arccosh),
    "asin": (-1, 1, 4, np.arcsin),
    "asinh": (-1e6, 1e6, 4, np.arcsinh),
    "atan": (-1e6, 1e6, 5, np.arctan),
    "atanh": (-1, 1, 5, np.arctanh),
    "ceil": (-1e6, 1e6, 0, np.ceil),
    "cos": (-1e5, 1e5, 4, np.cos),
    "cosh": (-89, 89, 4, np.cosh),
    "cospi": (-9, 9, 4, lambda x: _sinpi(x + X(0.5))),
    "exp": (-87, 88.5, 4, np.exp),
    "exp2": (-126, 127.9, 4, np.exp2),
    "exp10": (-37, 38.5, 4, lambda x: X(10) ** x),
    "fabs": (-1e6, 1e6, 0, np.abs),
    "abs": (-1e6, 1e6, 0, np.abs),
    "floor": (-1e6, 1e6, 0, np.floor),
    "fract": (-1e4, 1e4, 0.5, _fract),
    "log": (1e-37, 1e37, 4, np.log),
    "log2": (1e-37, 1e37, 4, np.log2),
    "log10": (1e-37, 1e37, 4, np.log10),
    "rint": (-1e6, 1e6, 0, np.rint),
    "round": (-1e6, 1e6, 0, _round),
    "rsqrt": (1e-37, 1e37, 0.51, lambda x: 1 / np.sqrt(x)),
    "sin": (-1e5, 1e5, 4, np.sin),
    "sinh": (-89, 89, 4, np.sinh),
    "sinpi": (-9, 9, 4, _sinpi),
    "sqrt": (0, 1e37, 0.5, np.sqrt),
    "tan": (-1e5, 1e5, 6, np.tan),
    "tanh": (-9, 9, 5, np.tanh),
    "tanpi": (-9, 9, 6, lambda x: _sinpi(x) / _sinpi(x + X(0.5))),
    "trunc": (-1e6, 1e6, 0, np.trunc),
}
COUNT = 4096


def _samples(low: float, high: float, dtype: str) -> Array:
    """Half of the samples even over the interval, half even in magnitude."""
    random = np.random.default_rng(7)
    limit = {"float16": 6e4, "bfloat16": 3e38, "float32": 3e38}[dtype]
    low, high = max(low, -limit), min(high, limit)
    even = random.uniform(low, high, COUNT // 2)
    top = max(abs(low), abs(high))
    floor = {"float16": 1e-4, "bfloat16": 1e-30, "float32": 1e-30}[dtype]
    sizes = np.exp(random.uniform(np.log(floor), np.log(top), COUNT // 2))
    signs = random.choice([-1.0, 1.0], COUNT // 2)
    values = as_dtype(np.concatenate([even, sizes * signs]), dtype)
    wide = values.astype(np.float64)
    return values[(wide >= low) & (wide <= high)]


_FUNCTIONS = 15
"""An input and an output each: Metal has places for 31 buffers."""


def _errors(names: list[str], dtype: str, prefix: str) -> dict[str, float]:
    """Largest error of each function, in kernels of as many as have room for their arrays."""
    worst = {}
    for first in range(0, len(names), _FUNCTIONS):
        worst |= _errors_of(names[first : first + _FUNCTIONS], dtype, prefix)
    return worst


def _errors_of(names: list[str], dtype: str, prefix: str) -> dict[str, float]:
    inputs = {f"x{i}": _samples(*UNARY[n][:2], dtype) for i, n in enumerate(names)}
    outputs = {f"y{i}": (inputs[f"x{i}"].shape, dtype) for i in range(len(names))}
    body = "\n".join(
        f"if (i < {len(inputs[f'x{k}'])}) y{k}[i] = {prefix}{n}(x{k}[i]);"
        for k, n in enumerate(names)
    )
    got = run(f"uint i = thread_position_in_grid.x;\n{body}", inputs, outputs, grid=(COUNT, 1, 1))
    worst = {}
    for k, name in enumerate(names):
        with np.errstate(all="ignore"):
            exact = UNARY[name][3](inputs[f"x{k}"].astype(X))
        top = {"float16": 65504, "bfloat16": 3.38e38, "float32": 3.4e38}[dtype]
        ok = np.isfinite(exact) & (np.abs(exact) < top)
        assert ok.sum() > COUNT // 8, name
        worst[name] = float(np.max(ulps(got[f"y{k}"][ok], exact[ok], dtype)))
    return worst


@pytest.mark.parametrize("prefix", ["", "metal::precise::"])
def test_float_functions_meet_metals_bounds(prefix: str) -> None:
    for name, worst in _errors(list(UNARY), "float32", prefix).items():
        assert worst <= UNARY[name][2], f"{name}: {worst} ulp"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_functions_are_rounded_once(dtype: str) -> None:
    for name, worst in _errors(list(UNARY), dtype, "metal::").items():
        bound = 1.0 if name == "fract" else min(UNARY[name][2], 0.51)
        assert worst <= bound, f"{name}: {worst} ulp"


def test_circular_functions_hold_for_arguments_of_any_size() -> None:
    random = np.random.default_rng(3)
    x = np.exp(random.uniform(np.log(1e4), np.log(3e38), COUNT)).astype(np.float32)
    source = "uint i = thread_position_in_grid.x; s[i] = sin(x[i]); c[i] = cos(x[i]);"
    shapes = {"s": (x.shape, "float32"), "c": (x.shape, "float32")}
    got = run(source, {"x": x}, shapes, grid=(COUNT, 1, 1))
    assert ulps(got["s"], np.sin(x.astype(X)), "float32").max() <= 4
    assert ulps(got["c"], np.cos(x.astype(X)), "float32").max() <= 4


SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-40, -1e-40, 3e38, 0.5, -2.0]
# What Metal and C agree on at the edges; NumPy's float64 functions give them.
EDGES = "ceil floor trunc rint exp exp2 log log2 log10 sin cos tan tanh sinh cosh atan asinh sqrt"


def test_edges_and_signed_zeros_are_those_of_c() -> None:
    names = EDGES.split()
    x = np.array(SPECIAL, np.float32)
    body = "\n".join(f"out[{k} * {len(x)} + i] = {n}(x[i]);" for k, n in enumerate(names))
    got = run(
        f"uint i = thread_position_in_grid.x;\n{body}",
        {"x": x},
        {"out": ((len(names), len(x)), "float32")},
        grid=(len(x), 1, 1),
    )["out"]
    numpy_names = {"asinh": "arcsinh", "atan": "arctan"}
    for row, name in zip(got, names, strict=True):
        with np.errstate(all="ignore"):
            exact = getattr(np, numpy_names.get(name, name))(x.astype(np.float64))
            exact = exact.astype(np.float32)
        nonfinite = ~np.isfinite(exact) | (exact == 0)
        np.testing.assert_array_equal(row[nonfinite], exact[nonfinite], err_msg=name)
        zeros = exact == 0
        np.testing.assert_array_equal(
            np.signbit(row[zeros]), np.signbit(exact[zeros]), err_msg=name
        )


# name: (ulps, reference over longdouble)
BINARY: dict[str, tuple[float, Callable[[Array, Array], Any]]] = {
    "atan2": (6, np.arctan2),
    "copysign": (0, np.copysign),
    "divide": (0.5, np.divide),
    "fdim": (0.5, lambda x, y: np.where(x > y, x - y, 0)),
    "fmax": (0, np.fmax),
    "fmin": (0, np.fmin),
    "max": (0, np.fmax),
    "min": (0, np.fmin),
    "fmod": (0, np.fmod),
    "pow": (16, np.power),
    "powr": (16, np.power),
    "step": (0, lambda x, y: np.where(y < x, 0, 1)),
}


def test_functions_of_two_values_meet_metals_bounds() -> None:
    random = np.random.default_rng(11)
    x = (random.standard_normal(COUNT) * np.exp(random.uniform(-9, 9, COUNT))).astype(np.float32)
    y = (random.standard_normal(COUNT) * np.exp(random.uniform(-9, 9, COUNT))).astype(np.float32)
    y[::7] = np.round(y[::7])
    x[1::9] = np.abs(x[1::9])
    body = "\n".join(f"out[{k} * {COUNT} + i] = {n}(x[i], y[i]);" for k, n in enumerate(BINARY))
    got = run(
        f"uint i = thread_position_in_grid.x;\n{body}",
        {"x": x, "y": y},
        {"out": ((len(BINARY), COUNT), "float32")},
        grid=(COUNT, 1, 1),
    )["out"]
    for row, (name, (bound, reference)) in zip(got, BINARY.items(), strict=True):
        with np.errstate(all="ignore"):
            exact = np.asarray(reference(x.astype(X), y.astype(X)))
        if name == "powr":
            exact = np.where(x < 0, X(np.nan), exact)
        np.testing.assert_array_equal(np.isnan(row), np.isnan(exact), err_msg=name)
        ok = np.isfinite(exact) & (np.abs(exact) < 3.4e38)
        worst = ulps(row[ok], exact[ok], "float32").max()
        assert worst <= bound, f"{name}: {worst} ulp"


def test_pow_at_the_edges_is_that_of_c() -> None:
    edge = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 2, -2, 3, -3, 0.5, -0.5, 2.5])
    x, y = (v.ravel().astype(np.float32) for v in np.meshgrid(edge, edge))
    source = """uint i = thread_position_in_grid.x;
      p[i] = pow(x[i], y[i]); a[i] = atan2(x[i], y[i]); m[i] = fmod(x[i], y[i]);"""
    shapes = dict.fromkeys("pam", (x.shape, "float32"))
    got = run(source, {"x": x, "y": y}, shapes, grid=(len(x), 1, 1))
    with np.errstate(all="ignore"):
        np.testing.assert_array_max_ulp(got["p"], np.power(x.astype(np.float64), y).astype("f4"), 1)
        np.testing.assert_array_equal(got["m"], np.fmod(x, y))
        np.testing.assert_array_max_ulp(got["a"], np.arctan2(x, y), 6)


def test_parts_of_numbers() -> None:
    x = np.array([0.0, 1.0, -3.75, 1e-42, 6e-39, 3e38, -0.1, 1024.0, np.inf, -7.5], np.float32)
    source = """uint i = thread_position_in_grid.x;
      int e; m[i] = frexp(x[i], e); ex[i] = e; il[i] = ilogb(x[i]);
      float w; fr[i] = modf(x[i], w); wh[i] = w;
      float c; s[i] = sincos(x[i], c); co[i] = c;
      ld[i] = ldexp(x[i], int(i) - 5); up[i] = nextafter(x[i], 100.0f);
      half h = half(x[i]); hn[i] = nextafter(h, half(2.0h));"""
    shapes = dict.fromkeys(["m", "fr", "wh", "s", "co", "ld", "up"], (x.shape, "float32"))
    shapes |= {"ex": (x.shape, "int32"), "il": (x.shape, "int32"), "hn": (x.shape, "float16")}
    got = run(source, {"x": x}, shapes, grid=(len(x), 1, 1))
    mantissa, exponent = np.frexp(x)
    finite = np.isfinite(x)
    np.testing.assert_array_equal(got["m"], mantissa)
    np.testing.assert_array_equal(got["ex"][finite], exponent[finite])
    nonzero = finite & (x != 0)
    np.testing.assert_array_equal(got["il"][nonzero], exponent[nonzero] - 1)
    fraction, whole = np.modf(x)
    np.testing.assert_array_equal(got["fr"], fraction)
    np.testing.assert_array_equal(got["wh"], whole)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(got["ld"], np.ldexp(x, np.arange(len(x)) - 5))
    np.testing.assert_array_equal(got["up"], np.nextafter(x, np.float32(100)))
    with np.errstate(all="ignore"):
        halves = x.astype(np.float16)
    np.testing.assert_array_equal(got["hn"], np.nextafter(halves, np.float16(2)))
    assert ulps(got["s"][finite], np.sin(x[finite].astype(X)), "float32").max() <= 4
    assert ulps(got["co"][finite], np.cos(x[finite].astype(X)), "float32").max() <= 4


def test_common_functions() -> None:
    random = np.random.default_rng(5)
    x, y, a = (random.uniform(-2, 2, 512).astype(np.float32) for _ in range(3))
    source = """uint i = thread_position_in_grid.x;
      cl[i] = clamp(x[i], -0.5f, 0.75f); mi[i] = mix(x[i], y[i], a[i]); sa[i] = saturate(x[i]);
      sg[i] = sign(x[i]); sm[i] = smoothstep(-1.0f, 1.5f, x[i]); fm[i] = fma(x[i], y[i], a[i]);
      m3[i] = fmax3(x[i], y[i], a[i]); n3[i] = min3(x[i], y[i], a[i]);
      nf[i] = fmin3(x[i], y[i], a[i]);
      me[i] = fmedian3(x[i], y[i], a[i]); de[i] = degrees(x[i]);"""
    names = ["cl", "mi", "sa", "sg", "sm", "fm", "m3", "n3", "nf", "me", "de"]
    got = run(
        source,
        {"x": x, "y": y, "a": a},
        dict.fromkeys(names, (x.shape, "float32")),
        grid=(512, 1, 1),
    )
    wide = [v.astype(np.float64) for v in (x, y, a)]
    t = np.clip((wide[0] + 1) / 2.5, 0, 1)
    exact = {
        "cl": np.clip(wide[0], -0.5, 0.75),
        "mi": wide[0] + (wide[1] - wide[0]) * wide[2],
        "sa": np.clip(wide[0], 0, 1),
        "sg": np.sign(wide[0]),
        "sm": t * t * (3 - 2 * t),
        "fm": wide[0] * wide[1] + wide[2],
        "m3": np.max(wide, axis=0),
        "n3": np.min(wide, axis=0),
        "nf": np.min(wide, axis=0),
        "me": np.median(wide, axis=0),
        "de": np.degrees(wide[0]),
    }
    for name in names:
        np.testing.assert_allclose(got[name], exact[name], rtol=1e-6, atol=1e-6, err_msg=name)
    assert ulps(got["fm"], exact["fm"].astype(X), "float32").max() <= 0.5 + 1e-6


def test_fast_functions_are_right_in_the_range_models_use() -> None:
    names = [
        "exp",
        "exp2",
        "log",
        "log2",
        "log10",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sqrt",
        "rsqrt",
        "pow",
    ]
    random = np.random.default_rng(13)
    x = random.uniform(0.01, 12, COUNT).astype(np.float32)
    calls = [f"metal::fast::{n}(x[i]{', 1.5f' if n == 'pow' else ''})" for n in names]
    body = "\n".join(f"out[{k} * {COUNT} + i] = {c};" for k, c in enumerate(calls))
    for mode in ("safe", "fast"):
        got = run(
            f"uint i = thread_position_in_grid.x;\n{body}",
            {"x": x},
            {"out": ((len(names), COUNT), "float32")},
            grid=(COUNT, 1, 1),
            math_mode=mode,
        )["out"]
        wide = x.astype(X)
        for row, name in zip(got, names, strict=True):
            exact = {"rsqrt": 1 / np.sqrt(wide), "pow": wide ** X(1.5)}.get(name)
            exact = getattr(np, name)(wide) if exact is None else exact
            if name in {"sin", "cos", "tan", "tanh"}:  # MSL 8.4 bounds them absolutely, or not
                assert np.abs((row - exact) / np.maximum(1, exact**2)).max() <= 2**-13, name
                continue
            bad = ulps(row, exact, "float32").max()
            assert bad <= 16, f"{mode} {name}: {bad} ulp"


def test_fast_functions_overflow_where_their_formulas_do() -> None:
    """MSL 8.4: fast::tanh is (t - 1) / (t + 1), with t = exp(2 x)."""
    x = np.array([50, -50, 20, 44, 89, -89, 89.2, 0, -2, 2], np.float32)
    calls = ["tanh(x[i])", "sinh(x[i])", "cosh(x[i])", "pow(x[i], 2.0f)", "atan2(x[i], 0.0f)"]
    for mode, names in (("safe", "metal::fast::"), ("fast", "metal::")):
        body = "\n".join(f"out[{k} * 10 + i] = {names}{c};" for k, c in enumerate(calls))
        got = run(
            f"uint i = thread_position_in_grid.x;\n{body}",
            {"x": x},
            {"out": ((len(calls), 10), "float32")},
            grid=(10, 1, 1),
            math_mode=mode,
        )["out"]
        tanh, sinh, cosh, power, angle = got
        np.testing.assert_allclose(tanh[:4], [np.nan, -1, 1, 1])
        assert np.isinf(sinh[[4, 5]]).all()
        assert np.isinf(cosh[[4, 5]]).all()
        assert power[9] == 4
        if mode == "safe":  # the fast mode may take a NaN for any number
            assert np.isnan(power[8]), "exp2(y log2(x)) of a negative x"
            assert np.isnan(angle).all(), "undefined where x is 0"


def test_fast_circular_functions_lose_a_bit_for_every_doubling_of_x() -> None:
    x = np.linspace(-4096, 4096, 4001).astype(np.float32)
    got = run(
        "uint i = thread_position_in_grid.x; s[i] = fast::sin(x[i]); p[i] = sin(x[i]);",
        {"x": x},
        {"s": ((4001,), "float32"), "p": ((4001,), "float32")},
        grid=(4001, 1, 1),
    )
    exact = np.sin(x.astype(X))
    near, far = np.abs(x) <= np.pi, np.abs(x) > 2048
    assert np.abs(got["s"] - exact)[near].max() <= 2**-13
    assert np.abs(got["s"] - exact)[far].max() > 5e-5
    assert np.abs(got["p"] - exact).max() <= 1e-6


@pytest.mark.parametrize(("dtype", "below"), [("float16", 2047 / 2048), ("bfloat16", 255 / 256)])
def test_fract_of_the_16_bit_types_stays_below_1(dtype: str, below: float) -> None:
    import mlx.core as mx

    import foundry

    kernel = foundry.metal_kernel(
        "k", ["x"], ["out"],
        "out[0] = fract(x[0]); out[1] = vec<T, 2>(fract(vec<T, 2>(x[0], x[1]))).x;"
        " out[2] = fract(x[1]);",
    )  # fmt: skip
    x = mx.array([-(2.0**-20), 1.25]).astype(getattr(mx, dtype))
    got = kernel(
        inputs=[x], output_shapes=[(3,)], output_dtypes=[mx.float32], grid=(1, 1, 1),
        threadgroup=(1, 1, 1), template=[("T", x.dtype)],
    )[0]  # fmt: skip
    assert got.tolist() == [below, below, 0.25]
