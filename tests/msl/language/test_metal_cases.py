"""Kernels reported to behave otherwise on a Mac: each gives Metal's value, or is refused."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

import foundry

pytestmark = pytest.mark.skipif(mx.metal.is_available(), reason="on a Mac it is Metal itself")
X = mx.arange(16).astype(mx.float32)
STORED = "atomic_store_explicit(&h, 0u, memory_order_relaxed);"
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"


def run(source: str, header: str = "", size: int = 1, threads: int = 1) -> list[float]:
    kernel = foundry.metal_kernel("case", ["x", "c"], ["out"], source, header)
    grid = (threads, 1, 1)
    got = kernel(
        inputs=[X, X[:2]], output_shapes=[(size,)], output_dtypes=[mx.float32], grid=grid,
        threadgroup=grid,
    )  # fmt: skip
    return np.array(got[0]).tolist()


@pytest.mark.parametrize(
    ("source", "header", "size", "threads", "value"),
    [
        ("P p = {1, 2}; out[0] = p.a + p.b;",
         "struct P { float a, b; P() = default; };\n", 1, 1, [3]),
        ("f(out);",
         "void f(volatile coherent(system) device float* p) { p[0] = 2; }\n", 1, 1, [2]),
        ("threadgroup P s; s.a = 4; out[0] = s.a;",
         "struct P { float a; P() thread = default; P() threadgroup = default;"
         " P() device = default; P() constant = default; };\n", 1, 1, [4]),
        ("out[0] = f(2);", 'extern "C" float f(float a) { return a * 2; }\n', 1, 1, [4]),
        ("out[0] = vec_elements<float4>::value;", "", 1, 1, [4]),
        ("float4 v = {x[1], 2, 3}; float4 w{x[4]}; float2 z = {};"
         " out[0] = v.x + v.z; out[1] = v.w; out[2] = w.x; out[3] = w.y; out[4] = z.x;",
         "constant float4 K = {1, 2};\nconstant constexpr half2 H{3.0h};\n"
         "float4 f(float a) { return {a, a}; }\n", 5, 1, [4, 0, 4, 0, 0]),
        ("out[0] = 0;\n#pragma unroll (LEAST(4, 8))\nfor (int i = 0; i < 4; i++) out[0] += x[i];"
         " out[0] += K[1] + H.x + f(1).w;",
         "#define LEAST(a, b) ((a) < (b) ? (a) : (b))\n"
         "constant float4 K = {1, 2};\nconstant constexpr half2 H{3.0h};\n"
         "float4 f(float a) { return {a, a}; }\n", 1, 1, [11]),
        ("threadgroup float s[8] = {0}; s[0] = 3; out[0] = s[0];", "", 1, 1, [3]),
        ("out[0] = k(c); out[1] = k(x);",
         "int k(const device float*) { return 1; }\nint k(constant float*) { return 2; }\n",
         2, 1, [2, 1]),
        ("float v = 1; out[0] = k(v); out[1] = k(out[0]);",
         "int k(thread float& a) { return 1; }\nint k(device float& a) { return 2; }\n",
         2, 1, [1, 2]),
        (f"threadgroup atomic_uint h; if (thread_index_in_threadgroup == 0) {STORED} {BARRIER}"
         f" bump(&h); {BARRIER} out[0] = atomic_load_explicit(&h, memory_order_relaxed);",
         "void bump(device atomic_uint* p) {"
         " atomic_fetch_add_explicit(p, 10u, memory_order_relaxed); }\n"
         "void bump(threadgroup atomic_uint* p) {"
         " atomic_fetch_add_explicit(p, 1u, memory_order_relaxed); }\n", 1, 8, [8]),
        ("out[0] = Sp<const device float*>::id; out[1] = Sp<threadgroup float*>::id;",
         "template <typename T> struct Sp { enum { id = 0 }; };\n"
         "template <typename T> struct Sp<device T*> { enum { id = 1 }; };\n"
         "template <typename T> struct Sp<threadgroup T*> { enum { id = 3 }; };\n", 2, 1, [1, 3]),
        ("#if __has_include(<metal_stdlib>) && !__has_include(<stdio.h>)\nout[0] = 1;\n#endif\n",
         "", 1, 1, [1]),
        ("#if defined(__METAL_MACOS__) && defined(__AIR64__) && __cplusplus == 201703L\n"
         "out[0] = __METAL_VERSION__;\n#endif\n", "", 1, 1, [400]),
    ],
)  # fmt: skip
def test_what_metal_allows_has_its_value(
    source: str, header: str, size: int, threads: int, value: list[float]
) -> None:
    assert run(source, header, size, threads) == value


@pytest.mark.parametrize(
    ("source", "header", "words"),
    [
        ("out[0] = thread_execution_width + threads_per_simdgroup;", "", "input declarations"),
        ("out[0] = f(c);", "float f(const device float* p) { return p[0]; }\n", "'constant' as a"),
        ("float a[2] = {1, 2}; float* p = a; out[0] = p[1];", "", "explicit address space"),
        ("thread const float* p = x; out[0] = p[1];", "", "cannot initialize"),
        ("out[0] = max(x[1], 0);", "", "call to 'max' is ambiguous"),
        ("out[0] = f(c) + f(x);", "template <typename T> int k(const device T*) { return 1; }\n"
         "template <typename T> int k(constant T*) { return 2; }\n"
         "template <typename P> int f(P p) { return k(p); }\n",
         "one overload for one address space"),
    ],
)  # fmt: skip
def test_what_metal_refuses_or_cannot_be_kept_apart_raises(
    source: str, header: str, words: str
) -> None:
    with pytest.raises(RuntimeError, match="Unable to build metal library") as caught:
        run(source, header)
    assert words in str(caught.value)


def test_a_language_version_that_does_not_exist_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from foundry.errors import UsageError
    from foundry.msl.frontend.language import chosen

    monkeypatch.setenv("FOUNDRY_LANGUAGE_VERSION", "3.9")
    with pytest.raises(UsageError, match="nearest is 3"):
        chosen()
    monkeypatch.setenv("FOUNDRY_LANGUAGE_VERSION", "3.2")
    assert chosen().standard == "c++14"
