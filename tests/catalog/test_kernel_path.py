"""Calls that take the kernel, on a machine that answers as a Mac."""

from __future__ import annotations

from pathlib import Path

import pytest
from softmax_package import install, run

from foundry.program import Device

STAND_IN = Device("metal", "Apple M1 (foundry cpu engine)", {"cores": 7})
BEGIN = """
import mlx.core as mx
from foundry.msl.stand_in.metal import metal
with metal():
    import fast_ops
    from fast_ops import FUNCTIONS, dispatch
    fast_ops.dispatch.MODE = "all"
    softmax = FUNCTIONS["softmax"]
    ran = []
    ready = fast_ops.dispatch.ready
    def seen(*given):
        made = ready(*given)
        def kernel(*arrays):
            ran.append([a.shape for a in arrays])
            return made(*arrays)
        return kernel
    fast_ops.dispatch.ready = seen
    plain = lambda v: mx.softmax(v, axis=-1)
    f = fast_ops.softmax
    x = mx.random.normal((2, 3, 17))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("kernel_path"), STAND_IN)


CHECKS = {
    "a call folds, runs the kernel, and is ready the second time": """
    for _ in range(3):
        assert mx.allclose(f(x), plain(x)).item() and f(x).shape == x.shape
    assert set(map(tuple, ran)) == {((6, 17),)} and len(softmax.kept) == 1, ran
    f(x.astype(mx.float16)); f(x[0]); assert len(softmax.kept) == 3
""",
    "backwards takes the fallback's derivative around the kernel": """
    got = mx.grad(lambda v: f(v).square().sum())(x)
    assert ran and mx.allclose(got, mx.grad(lambda v: plain(v).square().sum())(x), atol=1e-6).item()
""",
    "forwards and over a batch MLX sees plain MLX": """
    tangent = mx.random.normal(x.shape)
    got, want = (mx.jvp(g, [x], [tangent])[1][0] for g in (f, plain))
    assert mx.allclose(got, want, atol=1e-6).item()
    assert mx.allclose(mx.vmap(f)(x), plain(x), atol=1e-6).item()
    assert mx.allclose(mx.vmap(f, in_axes=1, out_axes=1)(x), plain(x), atol=1e-6).item()
    both = mx.vmap(mx.grad(lambda v: f(v).square().sum()))(x)
    assert mx.allclose(both, mx.grad(lambda v: plain(v).square().sum())(x), atol=1e-6).item()
    assert not ran, ran
    assert f(x).shape == x.shape and ran
""",
    "exports and compilations for any shape hold plain MLX": """
    mx.export_function("f.mlxfn", f, x)
    assert mx.allclose(mx.import_function("f.mlxfn")(x)[0], plain(x), atol=1e-6).item()
    with mx.exporter("g.mlxfn", f) as exporter:
        exporter(x); exporter(x[0])
    assert mx.allclose(mx.import_function("g.mlxfn")(x[0])[0], plain(x[0]), atol=1e-6).item()
    any_shape = mx.compile(f, shapeless=True)
    for given in (x, x[:1], mx.random.normal((5, 4, 33))):
        assert mx.allclose(any_shape(given), plain(given), atol=1e-6).item()
    assert not ran, ran
""",
    "what is wrong stays one sentence, however often it is said": """
    for _ in range(2):
        try:
            f(mx.zeros((2, 3), mx.int32))
        except ValueError as error:
            assert str(error) == "softmax: x is int32; give float32, float16 or bfloat16", error
        else:
            raise AssertionError("taken")
    assert f([1.0, 1.0]).tolist() == [0.5, 0.5] and not softmax.kept
""",
    "what is kept has an end": """
    fast_ops.dispatch._MOST_KEPT = 3
    for cols in range(1, 9):
        f(mx.zeros((1, cols)))
    assert len(softmax.kept) <= 3
""",
    "outside of what was proven plain MLX answers": """
    for rows, cols in ((513, 17), (3, 4097), (512, 2048), (200, 1024)):
        assert f(mx.zeros((rows, cols))).shape == (rows, cols)
    assert not ran, ran
    said = softmax.choose(fast_ops.dispatch.match(softmax.op, [mx.zeros((512, 2048))], {}))
    assert said.why == "2097152 elements are more than what was proven, 1048576", said
    f(mx.zeros((4, 4096)))
    assert ran == [[(4, 4096)]], ran
    softmax.op["kernels"][0]["record"]["proven"] = None
    f(mx.zeros((4, 4000)))
    assert len(ran) == 1, ran
""",
    "info says what the variable does": """
    fast_ops.info.__globals__["rows"].__globals__["MODE"] = "off"
    assert {row["path"] for row in fast_ops.info()} == {"baseline"}
    assert "FAST_OPS_DISPATCH=off" in fast_ops.info()[0]["why"]
""",
}


@pytest.mark.parametrize("what", CHECKS)
def test_where_the_kernel_is_chosen(site: Path, what: str) -> None:
    found = run(site, "-c", BEGIN + CHECKS[what])
    assert found.returncode == 0, found.stderr
