"""The ideas of MLX's page on custom kernels, in our own words: element-wise, strided, sampling.

Bilinear sampling has a forward kernel with helpers in the header and a backward kernel that adds
into its outputs atomically, joined by `mx.custom_function`.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import foundry

DTYPES = pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16], ids=str)


def _numpy(array: mx.array) -> np.ndarray[Any, Any]:
    return np.array(array.astype(mx.float32)).astype(np.float64)


def _normal(*shape: int, seed: int = 0) -> mx.array:
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@DTYPES
def test_an_element_each(dtype: mx.Dtype) -> None:
    kernel = foundry.metal_kernel(
        name="exponential",
        input_names=["a"],
        output_names=["result"],
        source="""
            uint at = thread_position_in_grid.x;
            T value = a[at];
            result[at] = metal::exp(value);
        """,
    )
    a = _normal(4, 16).astype(dtype)
    (got,) = kernel(
        inputs=[a],
        template=[("T", dtype)],
        grid=(a.size, 1, 1),
        threadgroup=(256, 1, 1),
        output_shapes=[a.shape],
        output_dtypes=[dtype],
    )
    np.testing.assert_allclose(_numpy(got), np.exp(_numpy(a)), rtol=1e-2)


def test_strides_of_the_input() -> None:
    kernel = foundry.metal_kernel(
        name="exponential_strided",
        input_names=["a"],
        output_names=["result"],
        source="""
            uint at = thread_position_in_grid.x;
            uint from = elem_to_loc(at, a_shape, a_strides, a_ndim);
            result[at] = metal::exp(a[from]);
        """,
        ensure_row_contiguous=False,
    )
    base = _normal(6, 16)
    for a in (base[::2], base.T, mx.broadcast_to(base[:, :1], (6, 16))):
        (got,) = kernel(
            inputs=[a],
            grid=(a.size, 1, 1),
            threadgroup=(32, 1, 1),
            output_shapes=[a.shape],
            output_dtypes=[a.dtype],
        )
        np.testing.assert_allclose(_numpy(got), np.exp(_numpy(a)), rtol=1e-6)


HELPERS = """
struct Corner { int2 at; float weight; };

// The four pixels around a point in [-1, 1] x [-1, 1], with their weights.
inline void corners(float2 point, int2 size, thread Corner (&found)[4]) {
  float2 position = ((point + 1.0f) * float2(size) - 1.0f) * 0.5f;
  float2 low = floor(position);
  float2 part = position - low;
  for (int i = 0; i < 4; ++i) {
    int2 step(i & 1, i >> 1);
    found[i].at = int2(low) + step;
    float2 share = select(1.0f - part, part, bool2(step));
    bool inside = all(found[i].at >= 0 && found[i].at < size);
    found[i].weight = inside ? share.x * share.y : 0.0f;
  }
}
"""
FORWARD = """
  uint at = thread_position_in_grid.x;
  int2 size(image_shape[2], image_shape[1]);
  int channels = image_shape[3], points = grid_shape[1];
  int c = at % channels, p = at / channels, b = p / points;
  Corner found[4];
  corners(float2(grid[2 * p], grid[2 * p + 1]), size, found);
  float total = 0;
  for (int i = 0; i < 4; ++i) {
    if (found[i].weight == 0) continue;
    int pixel = (b * size.y + found[i].at.y) * size.x + found[i].at.x;
    total += found[i].weight * float(image[pixel * channels + c]);
  }
  out[at] = static_cast<T>(total);
"""
BACKWARD = """
  uint at = thread_position_in_grid.x;
  int2 size(image_shape[2], image_shape[1]);
  int channels = image_shape[3], points = grid_shape[1];
  int c = at % channels, p = at / channels, b = p / points;
  Corner found[4];
  corners(float2(grid[2 * p], grid[2 * p + 1]), size, found);
  for (int i = 0; i < 4; ++i) {
    if (found[i].weight == 0) continue;
    int pixel = (b * size.y + found[i].at.y) * size.x + found[i].at.x;
    atomic_fetch_add_explicit(&image_slope[pixel * channels + c], found[i].weight * slope[at],
                              memory_order_relaxed);
  }
"""


def _sample(image: np.ndarray[Any, Any], grid: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    batch, height, width, channels = image.shape
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = ((grid[..., 0] + 1) * width - 1) / 2 + 1
    y = ((grid[..., 1] + 1) * height - 1) / 2 + 1
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    out = np.zeros((*grid.shape[:2], channels))
    rows = np.arange(batch)[:, None]
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            inside_x = np.clip(left + dx, 0, width + 1)
            inside_y = np.clip(top + dy, 0, height + 1)
            out += share[..., None] * padded[rows, inside_y, inside_x]
    return out


@DTYPES
def test_sampling_forward_and_backward(dtype: mx.Dtype) -> None:
    forward = foundry.metal_kernel("sample", ["image", "grid"], ["out"], FORWARD, HELPERS)
    backward = foundry.metal_kernel(
        "sample_slope",
        ["image", "grid", "slope"],
        ["image_slope"],
        BACKWARD,
        HELPERS,
        atomic_outputs=True,
    )

    def run(image: mx.array, grid: mx.array) -> mx.array:
        shape = (*grid.shape[:2], image.shape[-1])
        (out,) = forward(
            inputs=[image, grid],
            template=[("T", image.dtype)],
            grid=(int(np.prod(shape)), 1, 1),
            threadgroup=(64, 1, 1),
            output_shapes=[shape],
            output_dtypes=[image.dtype],
        )
        return mx.array(out)

    sample: Any = mx.custom_function(run)

    @sample.vjp  # type: ignore[untyped-decorator, unused-ignore]
    def slopes(primals: Any, cotangent: mx.array, _: Any) -> tuple[mx.array, mx.array]:
        image, grid = primals
        (image_slope,) = backward(
            inputs=[image, grid, cotangent.astype(mx.float32)],
            grid=(cotangent.size, 1, 1),
            threadgroup=(64, 1, 1),
            output_shapes=[image.shape],
            output_dtypes=[mx.float32],
            init_value=0,
        )
        return image_slope.astype(image.dtype), mx.zeros_like(grid)

    image = _normal(2, 7, 9, 3).astype(dtype)
    grid = mx.array(np.random.default_rng(1).uniform(-1.1, 1.1, (2, 30, 2)).astype(np.float32))
    bound = {mx.float32: 1e-5, mx.float16: 5e-3, mx.bfloat16: 4e-2}[dtype]
    points = np.array(grid).astype(np.float64)
    np.testing.assert_allclose(
        _numpy(sample(image, grid)), _sample(_numpy(image), points), rtol=bound, atol=bound
    )
    weights = _normal(2, 30, 3, seed=2).astype(dtype)
    slope = mx.grad(lambda v: (sample(v, grid) * weights).sum())(image)
    # The sum is linear in the image: its slope times the image is the sum itself.
    total = (_sample(_numpy(image), points) * _numpy(weights)).sum()
    product = (_numpy(slope) * _numpy(image)).sum()
    assert abs(product - total) <= 40 * bound
