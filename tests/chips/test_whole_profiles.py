"""What a profile saw must be about all that an op cannot do without."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from foundry.chips import fitted
from foundry.chips import registry as chips
from foundry.chips.forecaster import ChipForecaster
from foundry.chips.plausible import ASKS, TOO_LITTLE, asks_who_compiles, is_whole, traffic_bytes
from foundry.chips.profiled import Profiler
from foundry.kernel import Kernel, parse
from foundry.msl.gpu.profile import GpuProfile, LaunchProfile, Reuse, SharedWork
from ops.registry import get
from ops.spec import Op, bytes_moved
from ops.workload import Workload
from templates import default, for_op, render


def profile(sectors: float, atomics: float = 0.0) -> GpuProfile:
    one = Reuse(1.0, sectors, sectors, (1.0,), 1.0, 1.0, 1.0, 1.0)
    launch = LaunchProfile(8, 0, 1, 32, 0, {}, SharedWork(), (one,), (), atomics)
    return GpuProfile((launch, replace(launch, loads=(), atomics=0.0)))


def test_traffic_is_of_loads_stores_and_atomics_of_all_launches() -> None:
    assert traffic_bytes(profile(3.0, atomics=2.0)) == 3 * 32 + 2 * 4


@pytest.mark.parametrize(
    ("share", "known", "whole"),
    [(1.0, 9.0, True), (0.6, 9.0, True), (0.4, 9.0, False), (0.4, 0.7, True), (0.0, 0.7, False)],
)
def test_a_kernel_moves_about_what_its_op_must_or_what_an_honest_one_does(
    share: float, known: float, whole: bool
) -> None:
    op = get("relu")
    workload = op.workloads("bench", "float32")[0]
    least = bytes_moved(op, workload)
    assert is_whole(profile(share * least / 32), op, workload, known * least) is whole


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("#if !defined(__AMDGPU__)", True),
        ("#ifdef __BIGGEST_ALIGNMENT__", True),
        ("#if __has_builtin(__builtin_popcount)", True),
        ("if (__COUNTER__ == 0) {}", True),
        ("#define NAMED(rest) _##rest", True),
        ("#if __METAL_VERSION__ >= 310", False),
        ("inline __attribute__((always_inline)) float f(float v) { return v; }", False),
        ("const float x__y = _z;", False),
    ],
)
def test_a_kernel_that_asks_who_compiles_it_is_known(line: str, asks: bool) -> None:
    kernel = parse(f"/*kernel\nop = 'relu'\ngrid = [1, 1, 1]\nthreadgroup = [1, 1, 1]\n*/\n"
                   f"{line}\n// --- body ---\nout[0] = 0;\n")  # fmt: skip
    assert asks_who_compiles(kernel) is asks
    assert asks_who_compiles(parse(kernel_text(line))) is asks


def kernel_text(line: str) -> str:
    template = for_op("relu")[0]
    text = render(template, default(template))
    return text.replace("// --- body ---\n", f"// --- body ---\n{line}\n")


class Sees:
    """A profiler that sees no traffic in one kernel, and some in all others."""

    def __init__(self, hidden: Kernel) -> None:
        self._hidden = hidden

    def profile(self, kernel: Kernel, op: Op, workload: Workload) -> GpuProfile:
        least = bytes_moved(op, workload)
        return profile(0.0 if kernel == self._hidden else least / 32)


def test_a_search_is_told_no_time_of_a_kernel_whose_work_was_not_seen() -> None:
    op = get("relu")
    workload = op.workloads("bench", "float32")[0]
    template = for_op("relu")[0]
    text = render(template, default(template))
    hiding = parse(text.replace("// --- body ---\n", "// --- body ---\n// elsewhere\n"))
    seen = ChipForecaster(cast(Profiler, Sees(hiding)), chips.get("m4-max"), fitted.built_in())
    assert seen.document(hiding, op, workload) == TOO_LITTLE
    found = seen.document(parse(text), op, workload)
    assert isinstance(found, dict)
    assert found["template_us"] == found["predicted_us"]
    assert seen.document(parse(kernel_text("#ifdef __AMDGPU__")), op, workload) == ASKS
