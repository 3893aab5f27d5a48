"""What stands between a call and the baseline that answers it."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx

from foundry.catalog.runtime.arguments import Sizes
from foundry.catalog.runtime.running import DecidedCall, ShippedBaseline


def test_a_baseline_is_called_as_it_is_where_nothing_is_folded() -> None:
    """To go through the inputs once more costs a microsecond a call."""
    baseline = ShippedBaseline("b", lambda x: x + 1, (), folds=True)
    sizes = Sizes({"rows": 2}, {}, {"T": "float32"}, (2,), (None,))
    assert DecidedCall(baseline, sizes, None, ()).answer({}) is baseline.function
    folded = replace(sizes, lead=(1, 2), folds=((2, 3),))
    answer = DecidedCall(baseline, folded, None, ()).answer({})
    assert [out.shape for out in answer(mx.zeros((1, 2, 3)))] == [(1, 2, 3)]
