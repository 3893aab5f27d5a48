"""Every kernel mlx-lm ships, against the package's own non-Metal path or a formula.

The kernels come from the package on PyPI; nothing of them is copied here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import mlx.core as mx
import mlx.nn.layers.normalization as normalization
import mlx_lm_package
import numpy as np
import pytest

import foundry

MODULES = [
    "kernels.expert_routing",
    "kernels.norm_add_norm",
    "kernels.post_expert_norm_combine",
    "kernels.qk_norm",
    "kernels.qk_norm_rope",
    "kernels.rms_norm_sigmoid_gate",
    "models.bitlinear_layers",
    "models.deepseek_v41",
    "models.gated_delta",
    "models.kimi_k3",
    "models.rwkv7",
    "models.ssm",
    "tuner.losses",
]


class Package:
    """The loaded modules, and which of their kernels were made and run."""

    def __init__(self) -> None:
        self._mlx = mx.fast.metal_kernel, mx.metal.is_available
        self.made: list[str] = []
        self.ran: set[str] = set()
        self.modules: dict[str, ModuleType] = {}

    def metal_kernel(self, name: str, *arguments: Any, **options: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:  # foundry asks MLX itself
            patch.setattr(mx.fast, "metal_kernel", self._mlx[0])
            patch.setattr(mx.metal, "is_available", self._mlx[1])
            kernel = foundry.metal_kernel(name, *arguments, **options)
        number = f"{name}#{len(self.made)}"
        self.made.append(number)

        def call(**call_options: Any) -> Any:
            self.ran.add(number)
            return kernel(**call_options)

        return call

    def __getitem__(self, name: str) -> ModuleType:
        return self.modules[name]


_RUN: set[str] = set()
"""Names of the tests that this process has begun."""


@pytest.fixture(autouse=True)
def begun(request: pytest.FixtureRequest) -> None:
    _RUN.add(request.node.name)


@pytest.fixture(scope="module")
def package() -> Iterator[Package]:
    root = mlx_lm_package.folder()
    loaded = Package()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mx.fast, "metal_kernel", loaded.metal_kernel)
        patch.setattr(mx.metal, "is_available", lambda: True)
        mx.disable_compile()
        with mlx_lm_package.entered(root):
            for name in MODULES:
                loaded.modules[name] = mlx_lm_package.load(name)
            yield loaded
        mx.enable_compile()


def _random(
    *shape: int, seed: int = 0, scale: float = 1.0, dtype: mx.Dtype = mx.float32
) -> mx.array:
    values = np.random.default_rng(seed + sum(shape)).standard_normal(shape) * scale
    return mx.array(values.astype(np.float32)).astype(dtype)


def _wide(array: mx.array) -> np.ndarray[Any, Any]:
    return np.array(array.astype(mx.float32)).astype(np.float64)


def _close(got: mx.array, expected: Any, tolerance: float = 2e-5) -> None:
    exact = _wide(expected) if isinstance(expected, mx.array) else np.asarray(expected)
    np.testing.assert_allclose(_wide(got), exact, rtol=tolerance, atol=tolerance)


TOLERANCE: Mapping[mx.Dtype, float] = {mx.float32: 2e-5, mx.float16: 4e-3, mx.bfloat16: 3e-2}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)


@DTYPES
def test_rwkv7(package: Package, dtype: mx.Dtype) -> None:
    rwkv7 = package["models.rwkv7"]
    b, t, h, d = 2, 3, 2, 64
    r, w, k, v, a, bb = (_random(b, t, h, d, seed=i, scale=0.3, dtype=dtype) for i in range(6))
    state = _random(b, h, d, d, dtype=dtype)
    y, last = rwkv7.wkv7_kernel(r, w, k, v, a, bb, state)
    wide = [x.astype(mx.float32) for x in (r, w, k, v, a, bb)]
    kept, ys = state.astype(mx.float32), []
    for i in range(t):
        out, kept = rwkv7._wkv7_step_ops(*[x[:, i] for x in wide], kept)
        ys.append(out)
    _close(y, mx.stack(ys, axis=1).reshape(y.shape), 10 * TOLERANCE[dtype])
    _close(last, kept, 10 * TOLERANCE[dtype])


@DTYPES
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("vector_gate", "dk"), [(False, 64), (True, 64), (False, 128)])
def test_gated_delta(
    package: Package, dtype: mx.Dtype, masked: bool, vector_gate: bool, dk: int
) -> None:
    module = package["models.gated_delta"]
    b, t, hk, hv, dv = 1, 4, 1, 2, 16
    q, k = (_random(b, t, hk, dk, seed=i, scale=dk**-0.5, dtype=dtype) for i in range(2))
    v = _random(b, t, hv, dv, seed=2, dtype=dtype)
    g = mx.sigmoid(_random(b, t, hv, *([dk] if vector_gate else []), seed=3))
    beta = mx.sigmoid(_random(b, t, hv, seed=4)).astype(dtype)
    state = _random(b, hv, dv, dk, seed=5)
    kept_rows = [True, not masked, True, True]
    mask = mx.array([kept_rows]) if masked else None
    y, last = module.gated_delta_kernel(q, k, v, g, beta, state, mask)
    wide = [x.astype(mx.float32) for x in (q, k, v, g, beta)]
    exact, kept = module.gated_delta_ops(*wide, state, mask)
    rows = mx.array(np.flatnonzero(kept_rows))
    _close(y[:, rows], exact[:, rows], 5 * TOLERANCE[dtype])
    _close(last, kept, 5 * TOLERANCE[dtype])


def test_gated_delta_packed_equals_its_comparator_to_the_bit(package: Package) -> None:
    module = package["models.gated_delta"]
    b, t, hk, hv, dk, dv = 2, 5, 2, 4, 128, 16
    q, k = (_random(b, t, hk, dk, seed=i, scale=0.1) for i in range(2))
    v, g = _random(b, t, hv, dv, seed=2), mx.sigmoid(_random(b, t, hv, seed=3))
    beta, state = mx.sigmoid(_random(b, t, hv, seed=4)), _random(b, hv, dv, dk, seed=5)
    packed = module.gated_delta_kernel(q, k, v, g, beta, state)
    tree = module.gated_delta_kernel_xtree(q, k, v, g, beta, state)
    for one, other in zip(packed, tree, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other))


@DTYPES
def test_ssm(package: Package, dtype: mx.Dtype) -> None:
    ssm = package["models.ssm"]
    n, h, d, groups, ds = 2, 4, 16, 2, 64
    x, state = _random(n, 1, h, d, dtype=dtype), _random(n, h, d, ds, seed=1, dtype=dtype)
    bb, c = (_random(n, 1, groups, ds, seed=i, dtype=dtype) for i in (2, 3))
    a_log, dd, bias = (_random(h, seed=i, dtype=mx.float32) for i in (4, 5, 6))
    dt = _random(n, 1, h, seed=7, dtype=dtype)
    limits = (0.001, 100.0)
    y, last = ssm.ssm_update_kernel(x, a_log, bb, c, dd, dt, bias, state, limits)
    wide = [v.astype(mx.float32) for v in (x, a_log, bb, c, dd, dt, bias, state)]
    exact, kept = ssm.ssm_attn(*wide, limits)
    _close(y, exact, 20 * TOLERANCE[dtype])
    _close(last, kept, 20 * TOLERANCE[dtype])


@DTYPES
def test_attention_residuals(package: Package, dtype: mx.Dtype) -> None:
    kimi = package["models.kimi_k3"]
    blocks = kimi.ResidualBlocks(1e-6)
    for seed in range(3):
        blocks.append(_random(2, 3, 96, seed=seed, dtype=dtype))
    partial, w = _random(2, 3, 96, seed=9, dtype=dtype), _random(96, seed=10, scale=0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mx, "default_device", lambda: mx.gpu)
        got = kimi._attn_res_mix(blocks, partial, w, 1e-6)
    exact = kimi._attn_res_combine(
        blocks.raw.astype(mx.float32), blocks.inv_rms, partial.astype(mx.float32), w, 1e-6
    )
    _close(got, exact, TOLERANCE[dtype])


def test_sinkhorn(package: Package) -> None:
    module = package["models.deepseek_v41"]
    comb = mx.exp(_random(5, 7, 4, 4))
    eps = mx.array([1e-6])
    exact = module._sinkhorn(comb, iters=6, eps=eps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mx, "default_device", lambda: mx.gpu)
        got = module._sinkhorn(comb, iters=6, eps=eps)
    _close(got, exact, 1e-6)


@DTYPES
@pytest.mark.parametrize("invert", [False, True])
def test_bitlinear(package: Package, dtype: mx.Dtype, invert: bool) -> None:
    layer = package["models.bitlinear_layers"].BitLinear(256, 64, False, invert)
    random = np.random.default_rng(0)
    ternary = random.integers(-1, 2, (64, 256))
    packed = np.add.reduce([(ternary[16 * i : 16 * (i + 1)] + 1) << (2 * i) for i in range(4)])
    layer.weight = mx.array(packed.astype(np.uint8))
    layer.weight_scale = mx.array([0.5]).astype(dtype)
    x = _random(3, 256, dtype=dtype)
    scale = 2.0 if invert else 0.5
    _close(layer(x[None]), (_wide(x) @ ternary.T * scale)[None], 10 * TOLERANCE[dtype])


@DTYPES
@pytest.mark.parametrize("loss", ["kl", "js"])
def test_divergence_losses(package: Package, dtype: mx.Dtype, loss: str) -> None:
    losses = package["tuner.losses"]
    q, p = (_random(3, 5000, seed=i, scale=2.0, dtype=dtype) for i in range(2))
    function = getattr(losses, f"{loss}_div_loss")
    a, b = (_wide(x) for x in (q, p))
    log_q, log_p = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (a, b))
    if loss == "kl":
        exact = (np.exp(log_p) * (log_p - log_q)).sum(-1)
        slope = np.exp(log_q) - np.exp(log_p)
    else:
        log_m = np.logaddexp(log_q, log_p) - np.log(2)
        kl_q = (np.exp(log_q) * (log_q - log_m)).sum(-1)
        exact = 0.5 * ((np.exp(log_p) * (log_p - log_m)).sum(-1) + kl_q)
        slope = 0.5 * np.exp(log_q) * (log_q - log_m - kl_q[:, None])
    _close(function(q, p), exact, 10 * TOLERANCE[dtype])
    weights = mx.array([1.0, 2.0, -1.0]).astype(dtype)
    gradient = mx.grad(lambda v: (function(v, p) * weights).sum())(q)
    _close(gradient, slope * np.array([[1.0], [2.0], [-1.0]]), TOLERANCE[dtype])


def _norm(x: np.ndarray[Any, Any], eps: float = 1e-6) -> np.ndarray[Any, Any]:
    return np.asarray(x / np.sqrt((x * x).mean(-1, keepdims=True) + eps))


@DTYPES
@pytest.mark.parametrize("head_dim", [64, 80])
def test_head_norms_and_rotation(package: Package, dtype: mx.Dtype, head_dim: int) -> None:
    tokens, hq, hk = 6, 4, 2
    qkvg = _random(1, tokens, 2 * (hq + hk) * head_dim, dtype=dtype)
    options = {"n_heads": hq, "n_kv_heads": hk, "head_dim": head_dim, "eps": 1e-6}
    q, k = package["kernels.qk_norm"].qk_norm(qkvg, query_scale=0.5, **options)
    heads = _wide(qkvg).reshape(1, tokens, -1, head_dim)
    normed = _norm(heads[:, :, : hq + hk])
    normed[:, :, :hq] *= 0.5
    _close(q, normed[:, :, :hq], TOLERANCE[dtype])
    _close(k, normed[:, :, hq:], TOLERANCE[dtype])
    turned_q, turned_k = package["kernels.qk_norm_rope"].qk_norm_rope(
        qkvg, query_scale=0.5, rope_base=10000.0, offset=3, **options
    )
    angle = (np.arange(tokens) + 3)[:, None] * 10000.0 ** (-np.arange(head_dim // 2) * 2 / head_dim)
    pairs = normed[..., ::2] + 1j * normed[..., 1::2]
    turned = pairs * np.exp(1j * angle)[None, :, None]
    exact = np.stack([turned.real, turned.imag], -1).reshape(normed.shape)
    _close(turned_q, exact[:, :, :hq], 5 * TOLERANCE[dtype])
    _close(turned_k, exact[:, :, hq:], 5 * TOLERANCE[dtype])


def test_expert_routing(package: Package) -> None:
    tokens, experts, k = 9, 72, 5
    logits, bias = _random(tokens, experts), _random(experts, seed=1, scale=0.1)
    indices, weights = package["kernels.expert_routing"].expert_routing(
        logits, bias, top_k=k, multiplier=1.5, score_eps=1e-9, route_scale=2.5
    )
    score = 1 / (1 + np.exp(-1.5 * _wide(logits)))
    order = np.argsort(-(score + _wide(bias)), axis=-1, kind="stable")[:, :k]
    chosen = np.take_along_axis(score, order, -1)
    np.testing.assert_array_equal(np.array(indices), order)
    _close(weights, chosen / chosen.sum(-1, keepdims=True) * 2.5, 1e-5)


@DTYPES
@pytest.mark.parametrize("dim", [64, 1000])
def test_norms_of_streams(package: Package, dtype: mx.Dtype, dim: int) -> None:
    module = package["kernels.norm_add_norm"]
    branch, stream = _random(4, dim, dtype=dtype), _random(4, dim, seed=1)
    alpha, beta, post = (_random(dim, seed=i) for i in (2, 3, 4))
    norm: Any = normalization.RMSNorm(dim, eps=1e-6)
    norm.weight = _random(dim, seed=5)
    for weight in (None, post):
        scaled = _wide(branch) * (1 if weight is None else _wide(weight.astype(dtype)))
        exact = _wide(alpha) * _wide(stream) + _wide(beta) * _norm(scaled)
        options = {"alpha": alpha, "beta": beta, "post_weight": weight, "post_eps": 1e-6}
        total, normed = module.norm_add_norm(branch, stream, next_norm=norm, **options)
        alone, nothing = module.norm_add_norm(branch, stream, next_norm=None, **options)
        assert nothing is None
        _close(total, exact, 3 * TOLERANCE[dtype])
        _close(alone, exact, 3 * TOLERANCE[dtype])
        _close(normed, _norm(exact) * _wide(norm.weight), 4 * TOLERANCE[dtype])
    _close(
        module.pre_norm(stream, norm, dtype=dtype),
        _norm(_wide(stream)) * _wide(norm.weight),
        2 * TOLERANCE[dtype],
    )


@DTYPES
def test_gate_and_expert_norms(package: Package, dtype: mx.Dtype) -> None:
    b, h, length, d = 2, 3, 5, 48
    x = _random(b, length, h, d, dtype=dtype).transpose(0, 2, 1, 3)  # strides of its own
    gate = _random(b, length, h * d, seed=1, dtype=dtype)
    got = package["kernels.rms_norm_sigmoid_gate"].rms_norm_sigmoid_gate(x, gate, eps=1e-6)
    normed = _norm(_wide(x)).transpose(0, 2, 1, 3).reshape(b, length, -1)
    _close(got, normed / (1 + np.exp(-_wide(gate))), 2 * TOLERANCE[dtype])

    experts, weights = _random(4, 3, 200, dtype=dtype), _random(4, 3, seed=2).astype(dtype)
    scale = _random(200, seed=3).astype(dtype)
    combined = package["kernels.post_expert_norm_combine"].post_expert_norm_combine(
        experts, weights, norm_weight=scale, eps=1e-6
    )
    exact = (_norm(_wide(experts) * _wide(scale)) * _wide(weights)[..., None]).sum(1)
    _close(combined, exact, 5 * TOLERANCE[dtype])


def test_every_kernel_of_the_package_was_run(
    package: Package, request: pytest.FixtureRequest
) -> None:
    """Runs last in this file: what it lists has no test above."""
    here = {item.name for item in request.session.items if item.path == request.path}
    if here - _RUN:
        pytest.skip("the tests of this file were shared out among workers")
    assert set(package.made) == package.ran
    assert len(package.made) >= 20
