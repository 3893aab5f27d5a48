from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from toy import OP

from discover.proposers.rewrites import all_rewrites
from foundry.kernel import Kernel, check, parse, render
from foundry.prompts.differences import changes
from ops import registry as ops
from templates import registry, space
from templates.render import render as fill

ROWS = """/*kernel
op = "twice"
grid = ["rows * 32", 1, 1]
threadgroup = [32, 1, 1]
[constants]
VEC = 4
*/
inline float scaled(float v, float s) { return exp(v) / s; }
// --- body ---
uint row = thread_position_in_grid.x / 32;
uint lane = thread_index_in_simdgroup;
float total = 0.0f;
#pragma unroll(2)
for (uint c = lane; c < x_shape[1]; c += 32) {
  total += float(x[row * x_shape[1] + c]) * 0.5f;  // partial
}
float peak = -INFINITY;
for (uint c = lane; c < x_shape[1]; c += 32u) {
  const float v = x[row * x_shape[1] + c];
  peak = max(peak, exp(v));
}
total = simd_sum(total);
for (uint c = lane; c < x_shape[1]; c += 32)
  out[row * x_shape[1] + c] = T(x[row * x_shape[1] + c] / total + exp(shift));
"""
ELEMENTS = """/*kernel
op = "twice"
grid = ["ceildiv(rows * cols, 2)", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.x * 2;
for (int j = 0; j < 2; j++) {
  if (i + j < x_shape[0] * x_shape[1]) {
    out[i + j] = T(2 * x[i + j] + shift);
  }
}
"""
GROUPS = """/*kernel
op = "twice"
grid = ["rows * 32", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = threadgroup_position_in_grid.x;
uint lane = thread_index_in_threadgroup;
float first = 0.0f;
for (uint r = 0; r < x_shape[0]; ++r) {
  first += float(x[r * x_shape[1]]);
}
float total = 0.0f;
for (uint half_at = 0; half_at < 2; ++half_at) {
  for (uint c = lane; c < x_shape[1]; c += 32) {
    total += float(x[row * x_shape[1] + c]);
  }
}
total = simd_sum(total);
out[row * x_shape[1] + lane] = T(total + first);
"""
TREE = """/*kernel
op = "twice"
grid = ["rows * 64", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
threadgroup float part[64];
uint i = thread_index_in_threadgroup;
part[i] = float(x[thread_position_in_grid.x]);
threadgroup_barrier(mem_flags::mem_threadgroup);
for (uint s = 64 / 2; s > 0; s >>= 1) {
  if (i < s) {
    part[i] += part[i + s];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
out[thread_position_in_grid.x] = T(part[0]);
"""
TEXTS = {"rows": ROWS, "elements": ELEMENTS, "groups": GROUPS, "tree": TREE}


def variants(text: str, name: str) -> dict[str, Kernel]:
    return {v.label: v.kernel for v in all_rewrites()[name](parse(text), OP)}


@pytest.mark.parametrize("name", sorted(all_rewrites()))
def test_what_a_rewrite_does(name: str, golden: Callable[[str, str], None]) -> None:
    parts = []
    for title, text in TEXTS.items():
        kernel = parse(text)
        for label, changed in variants(text, name).items():
            parts.append(f"== {title}: {label}\n{changes(render(kernel), render(changed))}\n")
    golden(f"discover/rewrites/{name}.txt", "\n".join(parts))
    assert parts, "each rewrite must apply to one of the kernels"


@pytest.mark.parametrize("name", sorted(all_rewrites()))
def test_every_variant_is_another_valid_kernel(name: str) -> None:
    rewrite = all_rewrites()[name]
    for template in registry.one_of_each_text():
        op = ops.get(template.op)
        points = list(itertools.islice(space.points(template), 12))
        point = random.Random(f"{name} {template.name}").choice(points)
        kernel = parse(fill(template, point))
        for variant in rewrite(kernel, op):
            assert variant.kernel != kernel, variant.label
            assert parse(render(variant.kernel)) == variant.kernel, variant.label
            check(variant.kernel, op)


@pytest.mark.parametrize("name", sorted(all_rewrites()))
def test_a_rewrite_gives_the_same_every_time(name: str) -> None:
    assert variants(ROWS, name) == variants(ROWS, name)


def loop(line: str, body: str = "s += x[i];") -> str:
    return ROWS.replace("total = simd_sum(total);", f"float s = 0;\n{line} {{ {body} }}")


@pytest.mark.parametrize(
    "line",
    [
        "for (uint i = 0; i < 8 && s < 3; ++i)",
        "for (uint i = 0; i <= 8; ++i)",
        "for (uint i = 0, j = 1; i < 8; ++i)",
        "for (uint i = 8; i > 0; --i)",
        "for (uint i = 0; i < 8; i += 2, ++lane)",
        "for (float i = 0; i < 8; i += 0.5f)",
        "for (;;)",
    ],
)
def test_a_loop_that_is_not_understood_is_left_alone(line: str) -> None:
    for name in ("jam", "split_accumulator", "reciprocal", "index_type", "unroll"):
        assert not any("over i" in label for label in variants(loop(line), name)), name
        assert not any("for s" in label for label in variants(loop(line), name)), name


def test_only_by_a_float_is_a_division_made_a_product() -> None:
    """`row = i / cols` in whole numbers gave the row before in one place of some thousand."""
    body = "const uint row = i / cols; s += x[row] / total;"
    found = variants(loop("for (uint i = 0; i < 8; ++i)", body), "reciprocal")
    assert found
    assert all("1 / total" in label for label in found), list(found)


@pytest.mark.parametrize(
    "body",
    [
        "if (i == 3) break; s += x[i];",
        "s += x[i]; i += 1;",
        "threadgroup_barrier(mem_flags::mem_threadgroup); s += x[i];",
    ],
)
def test_steps_that_are_not_alike_stay_single(body: str) -> None:
    text = loop("for (uint i = 0; i < 8; ++i)", body)
    assert not any("over i" in label for label in variants(text, "jam"))


@pytest.mark.parametrize("body", ["s += x[i] * s;", "out[i] = x[i]; s += x[i];", "s -= x[i];"])
def test_only_pure_accumulation_is_split(body: str) -> None:
    text = loop("for (uint i = 0; i < 8; ++i)", body)
    assert not any("for s" in label for label in variants(text, "split_accumulator"))


@pytest.mark.parametrize(
    "line", ["uint n = simd_sum(1);", "threadgroup float t[4];", "if (i > 9) { return; }"]
)
def test_threads_that_depend_on_each_other_are_not_coarsened(line: str) -> None:
    assert not variants(ELEMENTS.replace("uint i =", f"{line}\nuint i ="), "coarsen")


@pytest.mark.parametrize(
    "line",
    [
        "for (uint c = 0; c < 2; ++c) { for (uint j = c; j < 4; ++j) { s += x[j]; } }",
        "for (uint c = 0; c < n; ++c) { for (uint j = 0; j < 4; ++j) { n = x[j]; } }",
        "for (uint c = 0; c < 2; ++c) { s = 0; for (uint j = 0; j < 4; ++j) { s += x[j]; } }",
        "for (uint c = 0; c < 2; ++c) { for (uint j = 0; j < 4; ++j) { if (x[j]) break; } }",
    ],
)
def test_loops_that_hang_on_one_another_are_not_swapped(line: str) -> None:
    text = ROWS.replace("total = simd_sum(total);", f"float s = 0; uint n = 3;\n{line}")
    assert not variants(text, "interchange")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x[r * x_shape[1]]", "x[r * x_shape[1] + lane]"),
        ("r < x_shape[0]", "r < lane"),
        ("uint lane =", "if (row > 3) return;\nuint lane ="),
        ("uint lane =", "uint k = 0; if (row > 3) { k = simd_sum(1); }\nuint lane ="),
    ],
)
def test_only_what_all_threads_read_alike_is_staged(old: str, new: str) -> None:
    text = GROUPS.replace(old, new)
    found = [label for label in variants(text, "staging") if "over r" in label]
    assert bool(found) is (new.startswith("uint k"))


def test_a_reduction_that_not_all_threads_reach_stays_in_its_simdgroup() -> None:
    text = ROWS.replace("total = simd_sum(total);", "if (row > 2) { total = simd_sum(total); }")
    assert not variants(text, "group_reduction")
    assert not variants(ROWS.replace("simd_sum(total)", "simd_shuffle_xor(total, 1)"),
                        "group_reduction")  # fmt: skip


@pytest.mark.parametrize("sum_", ["simd_sum<float>(total)", "simd_sum CALL total END", "simd_sum("])
def test_a_reduction_whose_call_is_not_plain_stays_in_its_simdgroup(sum_: str) -> None:
    assert variants(ROWS, "group_reduction")
    assert not variants(ROWS.replace("simd_sum(total)", sum_), "group_reduction")


def test_threads_that_share_a_simdgroup_stay_32() -> None:
    assert not variants(ROWS, "threads")
    wide = ROWS.replace('"rows * 32"', '"rows * 64"').replace("[32, 1, 1]", "[64, 1, 1]")
    assert {label.partition(",")[0] for label in variants(wide, "threads")} == {
        "threadgroup 64 -> 128",
        "threadgroup 64 -> 32",
    }
    assert "threadgroup 256 -> 128" in variants(ELEMENTS, "threads")


def test_a_counter_that_goes_into_an_overloaded_call_keeps_its_type() -> None:
    header = ELEMENTS.split("uint i =", maxsplit=1)[0]
    loop = "for (uint c = 0; c < x_shape[0]; c += 4) {{ out[{}] = T(1.0f); }}\n"
    assert variants(header + loop.format("c"), "index_type")
    assert not variants(header + loop.format("min(c + 4, x_shape[0])"), "index_type")
