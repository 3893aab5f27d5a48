from __future__ import annotations

import pytest

from foundry.judge.time.baselines import smallest_workload
from foundry.judge.time.work import Taken, is_mostly_dispatch, of_baseline, of_kernel
from ops import all_ops, registry


def test_a_win_of_dispatch_alone_is_none() -> None:
    """The demo's 65x: 25 us of MLX, nearly all dispatch, against 2 us that do the same work."""
    taken = Taken(baseline_us=24.0, kernel_us=1.0)
    assert of_baseline((25.0, 26.0), taken) == pytest.approx((1.25, 2.0))
    assert of_kernel((3.0, 3.0), taken) == pytest.approx((2.0, 2.0))


def test_a_twin_reads_one_whatever_its_dispatch() -> None:
    for work_us in (40.0, 1000.0):
        taken = Taken(10.0, 2.0)
        (baseline,) = of_baseline((work_us + 10.0,), taken)
        (kernel,) = of_kernel((work_us + 2.0,), taken)
        assert baseline / kernel == pytest.approx(1.0)


def test_at_most_half_of_a_kernels_time_is_taken_for_dispatch() -> None:
    assert of_kernel((4.0, 2.0, 1.0), Taken(0.0, 3.0)) == (2.0, 1.0, 0.5)


def test_what_is_off_a_baseline_never_leaves_nothing() -> None:
    assert min(of_baseline((10.0, 0.5), Taken(20.0, 0.0))) > 0


@pytest.mark.parametrize(
    ("latency_us", "dispatch_us", "mostly"), [(25, 24, True), (40, 9, False), (39, 10, True)]
)
def test_a_baseline_that_is_mostly_dispatch_is_told(
    latency_us: float, dispatch_us: float, mostly: bool
) -> None:
    assert is_mostly_dispatch(latency_us, dispatch_us) == mostly


def test_dispatch_is_measured_where_there_is_hardly_any_work() -> None:
    for op in all_ops().values():
        for dtype in op.dtypes[:1]:
            large = op.workloads("bench", dtype)[-1]
            small = smallest_workload(op, large)
            assert all(small.axes.values())
            assert (small.dtype, small.absent, small.types) == (dtype, large.absent, large.types)
    softmax = registry.get("softmax")
    small = smallest_workload(softmax, softmax.workloads("bench", "float32")[0])
    assert dict(small.axes) == {"rows": 1, "cols": 1}
