"""What stands for MLX in float64 gives what MLX gives."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from ops.texts import wide_mlx


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("axis", [-1, 0, None])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (2, 0)])
def test_running_sums_and_products(
    name: str, axis: int | None, reverse: bool, inclusive: bool, shape: tuple[int, ...]
) -> None:
    x = np.random.default_rng(1).standard_normal(shape)
    how = {"axis": axis, "reverse": reverse, "inclusive": inclusive}
    found = getattr(wide_mlx.namespace(), name)(x, **how)
    wanted = np.array(getattr(mx, name)(mx.array(x.astype(np.float32)), **how))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_what_numpys_arrays_do_otherwise_is_left_to_mlx() -> None:
    assert wide_mlx.lacks("mx.cumsum(x, axis=-1, reverse=True)") is None
    assert wide_mlx.lacks("x.cumsum(axis=-1)") == ".cumsum"
