"""Loops over threads with short vectors become loops over their elements, or over scalars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from numpy.typing import NDArray

import foundry
from foundry.msl.build.loops import lanes, rerolling
from foundry.msl.build.toolchain import Toolchain

Array = NDArray[Any]

STRUCT = '%"struct.metal::vec.1" = type { <4 x float> }'
LOOP = """
define void @mf_items(ptr noalias noundef %0, ptr noalias %1, i32 %2, i32 %3) {
before:
  br i1 true, label %9, label %30

9:
  %10 = phi i32 [ %20, %9 ], [ %2, %before ]
  %11 = zext i32 %10 to i64
  %12 = getelementptr inbounds nuw %"struct.metal::vec.1", ptr %0, i64 %11
  %13 = load <4 x float>, ptr %12, align 8
  %14 = fmul contract <4 x float> %13, splat (float 2.0)
  %15 = fcmp ogt <4 x float> %14, zeroinitializer
  %16 = select <4 x i1> %15, <4 x float> %14, <4 x float> %13
  %17 = tail call <4 x float> @llvm.sqrt.v4f32(<4 x float> %16)
  %18 = getelementptr inbounds nuw %"struct.metal::vec.1", ptr %1, i64 %11
  store <4 x float> %17, ptr %18, align 8
  %20 = add nuw i32 %10, 1
  %21 = icmp ult i32 %20, %3
  br i1 %21, label %9, label %30

30:
  ret void
}"""
TEXT = STRUCT + LOOP
STEP = "  %20 = add"
OTHER = """
define float @weight(<4 x float> %0) {
before:
  br label %9

9:
  %2 = extractelement <4 x float> %0, i64 0
  ret float %2
}"""
"""A function with a vector for a parameter, and labels that the loop's function has, too."""


def test_a_loop_of_one_vector_a_thread_goes_over_elements() -> None:
    done = rerolling.rerolled(TEXT)
    assert done is not None
    assert "  %10 = phi i64 [ %20, %9 ], [ %mf.start, %before ]" in done
    assert "  %mf.last = mul nuw nsw i64 %mf.last.thread, 4" in done
    assert "  %mf.end = call i64 @llvm.umax.i64(i64 %mf.last, i64 %mf.least)" in done
    assert "  %mf.14.0 = fmul contract float %mf.13.0, 2.0" in done
    assert done.count("store ") == done.count("@llvm.sqrt.f32") == 1
    assert "<4 x " not in done.partition("\n")[2]


def before_the_step(*lines: str) -> tuple[str, str]:
    return STEP, "\n".join([*(f"  {line}" for line in lines), STEP])


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("splat (float 2.0)", "<float 1.0, float 2.0, float 3.0, float 4.0>"),
        before_the_step("%19 = atomicrmw add ptr %0, i32 1 monotonic, align 4"),
        before_the_step("call void @far(ptr %0)"),
        before_the_step("store i32 1, ptr %0, align 4"),
        before_the_step("%19 = and i32 %10, 7"),
        before_the_step("%19 = extractelement <4 x float> %16, i64 0"),
        # A number at a vector's own place, or at one that the loop may write.
        before_the_step("%19 = load float, ptr %12, align 4"),
        before_the_step("%22 = getelementptr i8, ptr %12, i64 12", "%19 = load float, ptr %22"),
        before_the_step("%19 = load float, ptr %1, align 4"),
        # A place that is counted from another, or is of vectors of another size.
        ("ptr %1, i64 %11", "ptr %12, i64 %11"),
        ("= load <4 x float>, ptr %12", "= load <2 x double>, ptr %12"),
        ("= load <4 x float>, ptr %12", "= load <4 x half>, ptr %12"),
        ("store <4 x float> %17, ptr %18", "store <2 x float> %17, ptr %18"),
        ("store <4 x float> %17", "store <4 x float> <float 1.0, float 2.0, float 3.0, float 4.0>"),
        # Memory that may be the same at another component.
        ("noalias %1", "%1"),
        ("ptr %1, i64 %11", "ptr %5, i64 %11"),
        # The count of turns, used otherwise.
        ("  br i1 %21", "  %19 = zext i32 %20 to i64\n  br i1 %21"),
        ("  br i1 %21", "  %19 = select i1 %21, <4 x float> %14, <4 x float> %13\n  br i1 %21"),
        ("label %9, label %30\n\n", "label %9, label %4\n\n4:\n  %5 = add i32 %20, 1\n\n"),
        ("[ %20, %9 ]", "[ %3, %9 ]"),
        ("ult i32 %20, %3", "ult i32 %20, %10"),
        ("  %20 = add nuw i32 %10, 1", "  %20 = add nuw i32 %10, 2"),
        ("ptr %1, i64 %11", "ptr %1, i64 3"),
        ("  ret void", "  %31 = add i32 %20, 1\n  ret void"),
        ("= load <4", "= load volatile <4"),
        ("i32 %3)", "i32 %3, <4 x float> %splat)"),
        (
            "%17 = tail call <4 x float> @llvm.sqrt.v4f32(<4 x float> %16)",
            "%17 = shufflevector <4 x float> %16, <4 x float> poison,"
            " <4 x i32> <i32 3, i32 2, i32 1, i32 0>",
        ),
    ],
)
def test_what_is_not_the_same_for_every_element_stays(line: str, instead: str) -> None:
    assert line in TEXT
    assert rerolling.rerolled(TEXT.replace(line, instead, 1)) is None


def test_offsets_into_buffers_that_lie_apart_are_taken() -> None:
    offset = "before:\n  %5 = getelementptr inbounds float, ptr %{}, i64 8\n"
    text = TEXT.replace("ptr %1, i64 %11", "ptr %5, i64 %11")
    assert rerolling.rerolled(text.replace("before:\n", offset.format(1), 1)) is not None
    assert rerolling.rerolled(text.replace("before:\n", offset.format(0), 1)) is None


def test_other_functions_stay_as_they_are() -> None:
    for made in (rerolling.rerolled(STRUCT + OTHER + LOOP), lanes.apart(STRUCT + OTHER + LOOP)):
        assert made is not None
        assert made.startswith(STRUCT + OTHER)
        assert "<4 x " not in made.removeprefix(STRUCT + OTHER)
    made = rerolling.rerolled(STRUCT + OTHER + LOOP) or ""
    assert made.count("%mf.start = ") == made.partition("@mf_items")[2].count("%mf.start = ") == 1


def test_other_vectors_of_a_loop_are_taken_apart() -> None:
    text = TEXT.replace("splat (float 2.0)", "<float 1.0, float 2.0, float 3.0, float 4.0>")
    done = lanes.apart(text)
    assert done is not None
    assert "  %mf.14.3 = fmul contract float %mf.13.3, 4.0" in done
    assert lanes.apart(text.replace("%16)", "%16, <4 x float> %16)").replace("sqrt", "foo")) is None
    assert lanes.apart(text.replace("%16)", "%16, i32 -1)")) is None
    assert lanes.apart(text.replace("i32 %3)", "i32 %3, <4 x float> %4)")) is None


ELEMENTS, SCALARS, VECTORS = "elements", "scalars", "vectors"
BODIES = {
    "v * exp(-w) + tanh(v)": ELEMENTS,
    "max(v, w) * V(2)": ELEMENTS,
    "select(v, w, v > w)": ELEMENTS,
    "rsqrt(w * w + V(1))": ELEMENTS,
    "v * float(x[i % 7]) + w": SCALARS,
    "v.wzyx + w": SCALARS,
    "V(v.x) * w": SCALARS,
    "fma(v, V(1, 2, 3, 4), w)": SCALARS,
    "floor(v) + fract(w)": ELEMENTS,
    "V(int4(v)) + w": ELEMENTS,
    "pow(abs(v), V(2)) - w": SCALARS,
    "dot(v, w) + v": SCALARS,
}
"""And what becomes of their loop for float32."""


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of the loops that the test builds; the compiler has to take each."""
    seen: list[str] = []
    apart, takes = Toolchain._apart, Toolchain._takes

    def watch(toolchain: Toolchain, command: Sequence[str], unit: str) -> str | None:
        text = apart(toolchain, command, unit)
        form = ELEMENTS if text and "%mf.end = " in text else SCALARS
        seen.append(form if text else VECTORS)
        return text

    def must_take(toolchain: Toolchain, text: str, math_mode: str, made: Path) -> bool:
        assert takes(toolchain, text, math_mode, made)
        return True

    monkeypatch.setattr(Toolchain, "_apart", watch)
    monkeypatch.setattr(Toolchain, "_takes", must_take)
    return seen


def unseen(source: str) -> str:
    """The same kernel, which the cache of builds does not know."""
    return f"// {np.random.default_rng().integers(1 << 60)}\n{source}"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_values_are_those_of_the_same_kernel_with_a_barrier(dtype: str, forms: list[str]) -> None:
    source = """
      typedef vec<S, 4> S4; typedef float4 V; uint i = thread_position_in_grid.x; {barrier}
      V v = V(((const device S4*)x)[i]), w = V(((const device S4*)y)[i]);
      ((device S4*)out)[i] = S4({body});"""
    names = {"S": getattr(mx, dtype)}
    rng = np.random.default_rng(0)
    x, y = (mx.array(rng.standard_normal(4 * 301).astype(np.float32)) * 3 for _ in range(2))
    arrays = [array.astype(names["S"]) for array in (x, y)]
    for body in BODIES:
        results = []
        for barrier in ("", "threadgroup_barrier(mem_flags::mem_none);"):
            text = source.format(barrier=barrier, body=body)
            is_watched = dtype == "float32" and not barrier
            text = unseen(text) if is_watched else text
            kernel = foundry.metal_kernel("lanes", ["x", "y"], ["out"], text)
            made = kernel(
                inputs=arrays, output_shapes=[(4 * 301,)], output_dtypes=[names["S"]],
                grid=(301, 1, 1), threadgroup=(64, 1, 1), template=[("S", names["S"])],
            )  # fmt: skip
            results.append(np.array(made[0].astype(mx.float32)))
        off = 1e-4 if "dot" in body else 0  # which product of a sum is fused may differ
        np.testing.assert_allclose(*results, rtol=off, atol=off, err_msg=body)
    if dtype == "float32":
        assert dict(zip(BODIES, forms, strict=True)) == BODIES


N = 150
PLACES = """
  uint i = thread_position_in_grid.x; device float4* out4 = (device float4*)out;
  const device float4* x4 = (const device float4*)x;
  const device float4* y4 = (const device float4*)y;
"""
HEADER = "float weight(float4 v) { return v.x + 2 * v.w; }"
OTHER_FORMS: list[tuple[str, Callable[[Array, Array], Array], str]] = [
    (
        "const device float* r = (const device float*)(x4 + i); float s = r[3];"
        " out4[i] = s > 0 ? y4[i] * 2 : y4[i];",
        lambda x, y: np.where(x[:N, 3:] > 0, y[:N] * 2, y[:N]), SCALARS,
    ),
    (
        "out4[i] = x4[i].w > 0 ? y4[i] + 2 : y4[i];",
        lambda x, y: np.where(x[:N, 3:] > 0, y[:N] + 2, y[:N]), SCALARS,
    ),
    (
        "const device float4* p = x4 + i; out4[i] = p[i] + y4[i];",
        lambda x, y: x[: 2 * N : 2] + y[:N], SCALARS,
    ),
    (
        "const device float2* p = (const device float2*)(x4 + i);"
        " out4[i] = float4(p[0], p[0]) + y4[i];",
        lambda x, y: x[:N, [0, 1, 0, 1]] + y[:N], SCALARS,
    ),
    (
        "out4[i] = i + 1 == threads_per_grid.x ? x4[i] + 2 : y4[i];",
        lambda x, y: np.concatenate([y[: N - 1], x[N - 1 : N] + 2]), VECTORS,
    ),
    (
        "out4[i] = float4(1, 2, 3, 4);",
        lambda x, y: np.tile(np.array([1, 2, 3, 4], np.float32), (N, 1)), VECTORS,
    ),
    (
        "out4[i] = y4[i] * weight(x4[i]);",
        lambda x, y: y[:N] * (x[:N, :1] + 2 * x[:N, 3:]), SCALARS,
    ),
    (
        "out4[i] = y4[i] * 3; out4[i] += x4[i] * 2;",
        lambda x, y: y[:N] * 3 + x[:N] * 2, ELEMENTS,
    ),
    (
        "float s = y[5]; out4[i] = x4[i + 8] - s * y4[i];",
        lambda x, y: x[8 : N + 8] - y[1, 1] * y[:N], SCALARS,
    ),
    (
        "float s = y[5]; out4[i] = (x4 + 8)[i] - s * y4[i];",
        lambda x, y: x[8 : N + 8] - y[1, 1] * y[:N], ELEMENTS,
    ),
]  # fmt: skip
"""Bodies of which a loop over elements is hard or wrong: their values, and what they become."""


@pytest.mark.parametrize(("body", "values", "form"), OTHER_FORMS)
def test_other_forms_keep_their_values(
    body: str, values: Callable[[Array, Array], Array], form: str, forms: list[str]
) -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.integers(-50, 50, (2 * N, 4)).astype(np.float32) for _ in range(2))
    kernel = foundry.metal_kernel("lanes", ["x", "y"], ["out"], unseen(PLACES + body), HEADER)
    made = kernel(
        inputs=[mx.array(x), mx.array(y)], output_shapes=[(N, 4)], output_dtypes=[mx.float32],
        grid=(N, 1, 1), threadgroup=(50, 1, 1),
    )  # fmt: skip
    np.testing.assert_array_equal(np.array(made[0]), values(x, y))
    assert forms == [form]


def test_a_kernel_of_which_the_compiler_takes_no_other_form_is_built_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Toolchain, "_apart", lambda *_: "define void @mf_run_items() {\n}")
    source = unseen("""uint i = thread_position_in_grid.x;
      ((device float4*)out)[i] = ((const device float4*)x)[i] * 2;""")
    kernel = foundry.metal_kernel("lanes", ["x"], ["out"], source)
    made = kernel(inputs=[mx.ones(64)], output_shapes=[(64,)], output_dtypes=[mx.float32],
                  grid=(16, 1, 1), threadgroup=(16, 1, 1))  # fmt: skip
    assert made[0].tolist() == [2.0] * 64
