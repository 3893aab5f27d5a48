"""Kernels whose threads repeat one another's work: how they are known, and that none is taught."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_examples import MUTATE, Filled, template_kernel, verdict

from foundry.datasets import export_dataset
from foundry.datasets.repeated import repeats_its_work
from foundry.datasets.rows import read_rows
from foundry.kernel import parse

REPEATS = """
/*kernel
op = "exp"
grid = ["rows * cols", {grid}, 1]
threadgroup = [64, {threadgroup}, 1]
*/
// --- body ---
const uint i = {index};
if (i < x_shape[0] * x_shape[1]) {{
  out[i] = T(precise::exp(float(x[i])));
}}
""".lstrip()


@pytest.mark.parametrize(
    ("grid", "threadgroup", "index", "wasteful"),
    [
        ("2", "1", "thread_position_in_grid.x", True),
        ("16", "2", "thread_position_in_grid.x", True),
        ("1", "1", "thread_position_in_grid.x", False),
        ('"rows"', "1", "thread_position_in_grid.x", False),
        ("2", "1", "thread_position_in_grid.x * thread_position_in_grid.y", False),
        ("2", "1", "thread_position_in_grid.xy.x", False),
        ("2", "1", "uint3(thread_position_in_grid).x", False),
        ("2", "1", "threadgroup_position_in_grid.x * 64 + thread_index_in_threadgroup", True),
        ("2", "2", "threadgroup_position_in_grid.x * 64 + thread_index_in_threadgroup", False),
        ("2", "2", "threadgroup_position_in_grid.x * 64 + thread_index_in_simdgroup", True),
    ],
)
def test_threads_that_cannot_tell_a_dimension_repeat_their_work(
    grid: str, threadgroup: str, index: str, wasteful: bool
) -> None:
    text = REPEATS.format(grid=grid, threadgroup=threadgroup, index=index)
    assert parse(text)
    assert repeats_its_work(text) is wasteful
    assert not repeats_its_work(text.replace("// --- body ---", "// body"))


def test_what_repeats_its_work_is_taught_to_nobody(filled: Filled, tmp_path: Path) -> None:
    once, origin = template_kernel("exp")
    filled.add(once, origin, verdict(once, low=0.5))
    filled.add(template_kernel("softmax")[0], origin)
    twice = parse(REPEATS.format(grid="2", threadgroup="1", index="thread_position_in_grid.x"))
    filled.add(twice, MUTATE, verdict(twice), parent=once.hash)
    folder = tmp_path / "out"
    done = export_dataset(list(filled.store.evaluations()), filled.store.origins(), folder)
    for path in folder.glob("*/*.parquet"):
        shown = {row["kernel_hash"] for row in read_rows(path)}
        assert (twice.hash in shown) is (path.parent.name == "attempts" and once.hash in shown)
    assert done.metadata["rows_left_out"]["sft"] == {"its threads repeat one another's work": 1}
