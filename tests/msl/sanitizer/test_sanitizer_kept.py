"""Stores that change nothing are checked, though the optimiser would take them out."""

from __future__ import annotations

import pytest

from foundry import kernel
from foundry.judge.oracle.inputs import make_inputs
from foundry.msl.sanitizer import examine
from foundry.msl.sanitizer.kept import freed, kept
from ops import Case, registry

POKE = """/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
size_t i = thread_position_in_grid.x;
T old = x[i];
((device T*)&x[0])[i] = old;
out[i] = T(float(old) / (1.0f + exp(-float(old))));
"""
PAST = """/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
size_t i = thread_position_in_grid.x;
out[i] = T(float(x[i]) / (1.0f + exp(-float(x[i]))));
T old = out[i + 1];
out[i + 1] = old;
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("text", "kind"), [(POKE, "input_write"), (PAST, "out_of_bounds")])
def test_a_store_of_what_was_there_is_found(text: str, kind: str, dtype: str) -> None:
    op = registry.get("silu")
    workload = op.workload(Case({"rows": 6, "cols": 37}), dtype)
    program = kernel.bind(kernel.parse(text), op, workload)
    found = examine(program, make_inputs(op, workload, "normal", 1))
    assert kind in {finding.kind for finding in found.findings}


WRITTEN = """define void @f(ptr %0, i64 %1) {
  %3 = alloca ptr, align 8
  %4 = load ptr, ptr %3, align 8
  %5 = getelementptr inbounds float, ptr %4, i64 %1
  store float 1.000000e+00, ptr %5, align 4
  store ptr %0, ptr %3, align 8
}"""


def test_only_stores_to_indexed_elements_are_kept() -> None:
    marked = WRITTEN.replace("store float", "store volatile float")
    assert kept(WRITTEN) == marked
    assert freed(marked, WRITTEN) == WRITTEN


def test_a_text_with_volatile_accesses_stays_as_it_is() -> None:
    own = WRITTEN.replace("store ptr", "store volatile ptr")
    assert kept(own) == own
    assert freed(own, own) == own
