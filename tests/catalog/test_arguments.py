"""Numbers of a call: what has no value as a number is refused in one sentence."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from foundry.catalog.checks import Checks
from foundry.catalog.package import op_record
from foundry.catalog.runtime.arguments import match
from foundry.catalog.runtime.surface.attention import attention
from foundry.catalog.runtime.surface.calls import reduced
from foundry.catalog.runtime.surface.positional import rope
from ops import get

RMS_NORM = op_record(get("rms_norm"), [], Checks([], {}))
ARRAYS = (mx.ones((2, 8)), mx.ones((8,)))


@pytest.mark.parametrize("given", [None, "1e-5", [1e-5], {}])
def test_a_parameter_that_is_no_number_is_named(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^rms_norm: eps is .*; give a number$") as caught:
        match(RMS_NORM, ARRAYS, {"eps": given})
    assert repr(given) in str(caught.value)


@pytest.mark.parametrize("given", [0, 1e-5, True, np.float32(1e-5), mx.array(1e-5)])
def test_a_number_of_any_kind_is_taken_as_it_is(given: Any) -> None:
    assert match(RMS_NORM, ARRAYS, {"eps": given}).sizes.params["eps"] is given


def test_a_number_that_is_traced_is_asked_for_no_value() -> None:
    def traced(eps: mx.array) -> mx.array:
        return match(RMS_NORM, ARRAYS, {"eps": eps}).sizes.params["eps"] + 1

    assert mx.compile(traced)(mx.array(1.0)).item() == 2


def test_the_scale_of_attention_is_a_number() -> None:
    heads = mx.ones((1, 2, 3, 8))
    with pytest.raises(ValueError, match=r"^attention: scale is 'a'; give a number$"):
        attention(heads, heads, heads, scale="a")


def test_a_fraction_is_no_whole_number() -> None:
    op = op_record(get("attention_two_sided_window"), [], Checks([], {}))
    heads = (mx.ones((1, 2, 3, 8)),) * 3
    for whole in (2, 2.0, np.float32(2), np.int64(2), mx.array(2), 10**400):
        assert match(op, heads, {"before": whole}).sizes.params["before"] is whole
    for fraction in (1.5, np.float32(1.5), float("nan")):
        with pytest.raises(ValueError, match=r"before is .*; give a whole number"):
            match(op, heads, {"before": fraction})


@pytest.mark.parametrize("given", ["a", {}, [[1.0], [1.0, 2.0]]])
def test_what_is_no_array_is_named(given: Any) -> None:
    said = f"is of type {type(given).__name__}, and no array: "
    with pytest.raises(ValueError, match=f"^rms_norm: weight {said}"):
        match(RMS_NORM, (ARRAYS[0], given), {})
    with pytest.raises(ValueError, match=f"^rope: x {said}"):
        rope(given)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0)])
def test_of_rows_without_elements_mlx_says_what_comes_out(shape: tuple[int, int]) -> None:
    x = mx.zeros(shape)
    for axis, keepdims in ((-1, False), (0, True)):
        found = reduced("row_sum", mx.sum, x, axis, keepdims, None)
        wanted = mx.sum(x, axis, keepdims=keepdims)
        assert (found.shape, found.tolist()) == (wanted.shape, wanted.tolist())
