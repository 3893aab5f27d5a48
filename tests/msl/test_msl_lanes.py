"""Loops over threads with short vectors become loops over their elements, or over scalars."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

import foundry
from foundry.msl.build import lanes, rerolling
from foundry.msl.build.cache import default_directory
from foundry.msl.build.toolchain import find_toolchain

STRUCT = '%"struct.metal::vec.1" = type { <4 x float> }'
LOOP = """
define void @mf_items(ptr %0, ptr %1, i32 %2, i32 %3, <4 x float> %splat) {
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
TEXT = STRUCT + LOOP.replace(", <4 x float> %splat", "")


def test_a_loop_of_one_vector_a_thread_goes_over_elements() -> None:
    done = rerolling.rerolled(TEXT)
    assert done is not None
    assert "  %10 = phi i64 [ %20, %9 ], [ %mf.start, %before ]" in done
    assert "  %mf.end = mul nuw nsw i64 %mf.end.thread, 4" in done
    assert "  %mf.14.0 = fmul contract float %mf.13.0, 2.0" in done
    assert done.count("store ") == done.count("@llvm.sqrt.f32") == 1
    assert "<4 x " not in done.partition("\n")[2]


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("splat (float 2.0)", "<float 1.0, float 2.0, float 3.0, float 4.0>"),
        ("  %20 = add", "  %19 = atomicrmw add ptr %0, i32 1 monotonic, align 4\n  %20 = add"),
        ("  %20 = add", "  call void @far(ptr %0)\n  %20 = add"),
        ("  %20 = add", "  store i32 1, ptr %0, align 4\n  %20 = add"),
        ("  %20 = add", "  %19 = and i32 %10, 7\n  %20 = add"),
        ("  %20 = add nuw i32 %10, 1", "  %20 = add nuw i32 %10, 2"),
        ("ptr %1, i64 %11", "ptr %1, i64 3"),
        ("  ret void", "  %31 = add i32 %20, 1\n  ret void"),
        ("= load <4", "= load volatile <4"),
        (
            "%17 = tail call <4 x float> @llvm.sqrt.v4f32(<4 x float> %16)",
            "%17 = shufflevector <4 x float> %16, <4 x float> poison,"
            " <4 x i32> <i32 3, i32 2, i32 1, i32 0>",
        ),
        ("  %20 = add", "  %19 = extractelement <4 x float> %16, i64 0\n  %20 = add"),
    ],
)
def test_what_is_not_the_same_for_every_element_stays(line: str, instead: str) -> None:
    assert line in TEXT
    assert rerolling.rerolled(TEXT.replace(line, instead)) is None


def test_other_vectors_of_a_loop_are_taken_apart() -> None:
    text = TEXT.replace("splat (float 2.0)", "<float 1.0, float 2.0, float 3.0, float 4.0>")
    done = lanes.apart(text)
    assert done is not None
    assert "  %mf.14.3 = fmul contract float %mf.13.3, 4.0" in done
    assert lanes.apart(text.replace("%16)", "%16, <4 x float> %16)").replace("sqrt", "foo")) is None


BODIES = (
    "v * exp(-w) + tanh(v)", "max(v, w) * V(2)", "select(v, w, v > w)", "rsqrt(w * w + V(1))",
    "v * float(x[i % 7]) + w", "v.wzyx + w", "V(v.x) * w", "fma(v, V(1, 2, 3, 4), w)",
    "floor(v) + fract(w)", "V(int4(v)) + w", "pow(abs(v), V(2)) - w", "dot(v, w) + v",
)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_values_are_those_of_the_same_kernel_with_a_barrier(dtype: str) -> None:
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
            kernel = foundry.metal_kernel("lanes", ["x", "y"], ["out"], text)
            made = kernel(
                inputs=arrays, output_shapes=[(4 * 301,)], output_dtypes=[names["S"]],
                grid=(301, 1, 1), threadgroup=(64, 1, 1), template=[("S", names["S"])],
            )  # fmt: skip
            results.append(np.array(made[0].astype(mx.float32)))
        off = 1e-4 if "dot" in body else 0  # which product of a sum is fused may differ
        np.testing.assert_allclose(*results, rtol=off, atol=off, err_msg=body)


def test_an_elementwise_kernel_is_rerolled_by_this_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []
    rerolled = rerolling.rerolled

    def watch(text: str) -> str | None:
        done = rerolled(text)
        seen.append(done is not None)
        return done

    monkeypatch.setattr(rerolling, "rerolled", watch)
    find_toolchain(default_directory())
    source = f"""uint i = thread_position_in_grid.x;  // {np.random.default_rng().integers(1 << 60)}
      ((device float4*)out)[i] = exp(((const device float4*)x)[i]);"""
    kernel = foundry.metal_kernel("lanes", ["x"], ["out"], source)
    kernel(inputs=[mx.zeros(64)], output_shapes=[(64,)], output_dtypes=[mx.float32],
           grid=(16, 1, 1), threadgroup=(16, 1, 1))  # fmt: skip
    assert seen == [True]
