"""Rewrites that keep a kernel's meaning, on the real engine: the judge must find them right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from discover.proposers.rewrites import all_rewrites
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.kernel import parse
from ops import registry as ops
from templates import registry, space
from templates.render import render

CHANGE_MEANING = {"threads", "constants", "math_mode"}
"""The judge decides these: a number may stand for something else, NaN may be assumed away."""

DIVIDING = """/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint cols = x_shape[1];
auto row = x + size_t(thread_position_in_grid.x) * cols;
auto to = out + size_t(thread_position_in_grid.x) * cols;
float peak = -INFINITY;
for (uint c = 0; c < cols; ++c) { peak = max(peak, float(row[c])); }
float total = 0.0f;
for (uint c = 0; c < cols; ++c) { total += exp(float(row[c]) - peak); }
for (uint c = 0; c < cols; ++c) { to[c] = T(exp(float(row[c]) - peak) / total); }
"""
GROUPED = """/*kernel
op = "softmax"
grid = ["rows * 32", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint cols = x_shape[1], lane = thread_index_in_simdgroup;
auto row = x + size_t(threadgroup_position_in_grid.x) * cols;
auto to = out + size_t(threadgroup_position_in_grid.x) * cols;
float peak = -INFINITY;
for (uint c = lane; c < cols; c += 32) { peak = max(peak, float(row[c])); }
peak = simd_max(peak);
float total = 0.0f;
for (uint parity = 0; parity < 2; ++parity) {
  for (uint c = lane; c < cols; c += 32) {
    total += c / 32 % 2 == parity ? exp(float(row[c]) - peak) : 0.0f;
  }
}
total = simd_sum(total);
for (uint c = lane; c < cols; c += 32) { to[c] = T(exp(float(row[c]) - peak) / total); }
"""
HALVING = """/*kernel
op = "softmax"
grid = ["rows * 64", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
threadgroup float part[64];
const uint cols = x_shape[1], i = thread_index_in_threadgroup;
auto row = x + size_t(threadgroup_position_in_grid.x) * cols;
auto to = out + size_t(threadgroup_position_in_grid.x) * cols;
float peak = -INFINITY;
for (uint c = i; c < cols; c += 64) { peak = max(peak, float(row[c])); }
part[i] = peak;
threadgroup_barrier(mem_flags::mem_threadgroup);
for (uint s = 32; s > 0; s /= 2) {
  if (i < s) { part[i] = max(part[i], part[i + s]); }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
peak = part[0];
threadgroup_barrier(mem_flags::mem_threadgroup);
float total = 0.0f;
for (uint c = i; c < cols; c += 64) { total += exp(float(row[c]) - peak); }
part[i] = total;
threadgroup_barrier(mem_flags::mem_threadgroup);
for (uint s = 32; s > 0; s /= 2) {
  if (i < s) { part[i] += part[i + s]; }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
total = part[0];
for (uint c = i; c < cols; c += 64) { to[c] = T(exp(float(row[c]) - peak) / total); }
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with WorkerPool("cpu", 2) as pool:
        yield Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False, per_workload=2))


@pytest.mark.parametrize("name", sorted(set(all_rewrites()) - CHANGE_MEANING))
def test_the_kernel_still_computes_the_op(judge: Judge, name: str) -> None:
    own = [DIVIDING, GROUPED, HALVING]
    texts = [*own, *map(_text, ("softmax_simdgroup", "rms_norm_thread", "silu_elements"))]
    kernels = [parse(text) for text in texts]
    made = [(ops.get(k.op), v) for k in kernels for v in all_rewrites()[name](k, ops.get(k.op))]
    assert made, f"{name} applies to none of these kernels"
    op, variant = made[-1]
    evaluation = judge.evaluate(variant.kernel, op, "float32", 1)
    assert evaluation.status.passed, f"{variant.label}: {evaluation.why}"


def _text(name: str) -> str:
    template = registry.get(name)
    return render(template, space.default(template))
