"""Diverged lanes share a SIMD-group operation with those that reach it together, and meet again."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure, Launch, Program, TensorSpec

LANES = np.arange(32)
HELPERS = """
inline float total(float v) { return simd_sum(v); }
template <typename U> U twice(U v) { return total(v) * 2; }
float looped(float v, int n) {
    float s = 0;
    for (int k = 0; k < n; k++) { if (k % 2) s += simd_sum(v); else s -= simd_max(v); }
    return s;
}
struct Sum { float value; float over_lanes() const { return simd_sum(value); } };
"""


def run(body: str) -> NDArray[np.float32]:
    """`r` of each of 32 lanes; `l` is the lane, `v` its value, the lane too."""
    source = f"""
        uint i = thread_position_in_grid.x, l = i; float v = x[i], r = 0; (void)l; (void)v;
        {body}
        out[i] = r;"""
    launch = Launch(
        "k", ("x",), (TensorSpec("out", (32,), "float32"),), source, (32, 1, 1), (32, 1, 1),
        header=HELPERS,
    )  # fmt: skip
    built = CpuEngine().build(Program((TensorSpec("x", (32,), "float32"),), ("out",), (launch,)))
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind({"x": LANES.astype(np.float32)})
    call()
    return call.outputs()["out"]


def over(lanes: NDArray[np.bool_]) -> float:
    return float(LANES[lanes].sum())


LOW = LANES < 16
ALL = LANES >= 0
ONE = "simd_sum(1.0f)"

CASES = {
    "both branches, the same operation": (
        "if (l < 16) r = simd_sum(v); else r = simd_sum(v);",
        np.where(LOW, over(LOW), over(~LOW)),
    ),
    "ternary": (
        f"r = l < 5 ? {ONE} : {ONE};",
        np.where(LANES < 5, 5, 27),
    ),
    "meet after a branch": (
        "if (l < 16) r = simd_sum(v); r += simd_sum(v);",
        np.where(LOW, over(LOW), 0) + over(ALL),
    ),
    "meet after an unlikely branch": (
        "if (__builtin_expect(l < 16, 0)) r = simd_sum(v) * 2; r += simd_sum(v);",
        np.where(LOW, 2 * over(LOW), 0) + over(ALL),
    ),
    "a helper in the branch": (
        "if (l < 16) r = total(v); r += simd_sum(v);",
        np.where(LOW, over(LOW), 0) + over(ALL),
    ),
    "the same helper in the branch and after it": (
        "if (l < 16) r = twice(v); r += twice(v);",
        np.where(LOW, 2 * over(LOW), 0) + 2 * over(ALL),
    ),
    "a helper after the branch": (
        "if (l < 16) r = simd_sum(v); r += total(v);",
        np.where(LOW, over(LOW), 0) + over(ALL),
    ),
    "a helper with a loop": (
        "if (l < 16) r = looped(v, 3); r += looped(v, 2);",
        np.where(LOW, over(LOW) - 2 * 15, 0) + over(ALL) - 31,
    ),
    "a method": (
        "Sum s{v}; if (l < 16) r = s.over_lanes(); r += 1000 * simd_sum(1.0f);",
        np.where(LOW, over(LOW), 0) + 32000,
    ),
    "a lambda called twice": (
        "auto f = [&](float u) { return simd_sum(u); }; if (l < 16) r = f(v); r += f(v);",
        np.where(LOW, over(LOW), 0) + over(ALL),
    ),
    "a nested operation": (
        "if (l < 16) r = simd_sum(simd_max(v)); r += simd_sum(simd_max(v));",
        np.where(LOW, 15 * 16, 0) + 31 * 32,
    ),
    "lanes that leave a loop early": (
        f"for (uint j = l; j < 40; j += 32) r += {ONE}; r += 1000 * {ONE};",
        np.where(LANES < 8, 40, 32) + 32000,
    ),
    "a while loop of another length in each lane": (
        f"uint n = l % 4; while (n-- > 0) {{ r += {ONE}; }} r += 100 * {ONE};",
        np.array([sum(sum(k < LANES % 4) for k in range(lane % 4)) for lane in LANES]) + 3200,
    ),
    "a do loop": (
        f"uint n = l % 2; do r += {ONE}; while (n-- > 0); r += 100 * {ONE};",
        np.where(LANES % 2 == 1, 48, 32) + 3200,
    ),
    "loops that are branches themselves": (
        f"if (v < 0) r = 1; else for (uint k = 0; k < 2; ++k) r += {ONE};"
        f" if (v < 0) r = 1; else while (r < 96) r += {ONE};"
        f" if (v < 0) r = 1; else do r += {ONE}; while (r < 128);",
        np.full(32, 128),
    ),
    "continue meets again at the next turn": (
        f"for (uint k = 0; k < 4; k++) {{ if ((l + k) % 2) continue; r += {ONE}; }}"
        f" r += 100 * {ONE};",
        np.full(32, 2 * 16 + 3200),
    ),
    "a branch in a loop meets again at the next turn": (
        f"for (uint k = 0; k < 4; k++) {{ if ((l + k) % 2) r += {ONE}; }} r += 100 * {ONE};",
        np.full(32, 2 * 16 + 3200),
    ),
    "break": (
        f"for (uint k = 0; k < 9; k++) {{ if (k == l % 5) break; r += {ONE}; }} r += 100 * {ONE};",
        np.array([sum(sum(k < LANES % 5) for k in range(lane % 5)) for lane in LANES]) + 3200,
    ),
    "nested loops": (
        f"for (uint a = 0; a < 2; a++) for (uint b = 0; b <= l % 2; b++) r += {ONE};",
        np.where(LANES % 2 == 1, 2 * 48, 2 * 32),
    ),
    "a pragma before the loop": (
        f"\n#pragma unroll\nfor (int k = 0; k < 2; k++) if (l % 2 == k) r += {ONE};",
        np.full(32, 16),
    ),
    "switch": (
        f"switch (l % 3) {{ case 0: r = {ONE}; break; case 1: r = 2 * {ONE}; break;"
        f" default: r = 3 * {ONE}; }} r += 100 * {ONE};",
        np.choose(LANES % 3, [11, 22, 30]) + 3200,
    ),
    "early return": (
        f"out[i] = -1; if (l >= 20) return; r = {ONE};",
        np.where(LANES < 20, 20, -1),
    ),
    "short circuit": (
        "bool a = l < 10 && simd_any(l == 3), b = l >= 10 && simd_any(l == 3); r = a + 2 * b;",
        np.where(LANES < 10, 1, 0),
    ),
    "values of different sizes": (
        "if (l % 2) r = float(simd_sum(uint(1) << 20) >> 20); else r = simd_sum(short(1));",
        np.full(32, 16),
    ),
    "no else is taken from an outer if": (
        f"if (l < 16) for (int k = 0; k < 2; k++) r += {ONE}; else r = 7;",
        np.where(LOW, 32, 7),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_lanes_share_an_operation_as_on_a_gpu(name: str) -> None:
    body, expected = CASES[name]
    np.testing.assert_array_equal(run(body), np.asarray(expected, np.float32))
