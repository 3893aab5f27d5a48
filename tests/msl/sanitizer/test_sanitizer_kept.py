"""Stores that change nothing are checked, though the optimiser would take them out."""

from __future__ import annotations

import pytest

from foundry import kernel
from foundry.judge.oracle.inputs import make_inputs
from foundry.msl.sanitizer import examine
from foundry.msl.sanitizer.checks.kept import freed, kept
from ops import Case, registry

HEAD = """/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
size_t i = thread_position_in_grid.x;
out[i] = T(float(x[i]) / (1.0f + exp(-float(x[i]))));
"""
POKE = "T old = x[i]; ((device T*)&x[0])[i] = old;"
PAST = "T old = out[i + 1]; out[i + 1] = old;"
TO_INPUTS = [
    "device T* p = (device T*)&x[i]; *p = *p;",
    "device T& r = *(device T*)x; r = r;",
    "*(i % 2 ? (device T*)x : (device T*)(x + 1)) = *(i % 2 ? (device T*)x : (device T*)(x + 1));",
    "T old = *(volatile device T*)&x[i]; *(device T*)&x[i] = old;",
    "volatile float z = 1; (void)z; device T* p = (device T*)x + i; *p = *p;",
    "struct Five { T a[5]; }; device Five* b = (device Five*)x; b[1] = b[1];",
]
TO_VECTORS = [
    "device float4* q = (device float4*)x; *q = *q;",
    "device float4* q = (device float4*)x; q[i / 8].x = q[i / 8].x;",
    "device packed_float3* q = (device packed_float3*)x; q->y = q->y;",
    "device float2x2* q = (device float2x2*)x; (*q)[1] = (*q)[1];",
]


def found_in(statement: str, dtype: str = "float32") -> set[str]:
    """Kinds of what the sanitizer finds in a right kernel with one more statement."""
    op = registry.get("silu")
    workload = op.workload(Case({"rows": 6, "cols": 37}), dtype)
    program = kernel.bind(kernel.parse(HEAD + statement), op, workload)
    found = examine(program, make_inputs(op, workload, "normal", 1))
    return {str(finding.kind) for finding in found.findings}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("text", "kind"), [(POKE, "input_write"), (PAST, "out_of_bounds")])
def test_a_store_of_what_was_there_is_found(text: str, kind: str, dtype: str) -> None:
    assert kind in found_in(text, dtype)


@pytest.mark.parametrize("text", [*TO_INPUTS, *TO_VECTORS])
def test_whatever_way_it_goes(text: str) -> None:
    assert "input_write" in found_in(text)


def test_components_that_threads_set_side_by_side_are_no_race() -> None:
    statement = """
    threadgroup float4 shared[32];
    if (thread_position_in_grid.x % 2) shared[i % 64 / 2].y = 1.0f;
    else shared[i % 64 / 2].x = 2.0f;
    """
    assert found_in(statement) == set()


WRITTEN = """define void @f(ptr %0, i64 %1) {
  %3 = alloca ptr, align 8
  %4 = load ptr, ptr %3, align 8
  %5 = getelementptr inbounds float, ptr %4, i64 %1
  store float 1.000000e+00, ptr %5, align 4
  store float 1.000000e+00, ptr %4, align 4
  store ptr %0, ptr %3, align 8
}"""
OF_A_KERNEL = WRITTEN.replace(") {", ") !dbg !10 {")


def test_in_the_prelude_stores_to_indexed_elements_are_kept() -> None:
    marked = WRITTEN.replace("store float", "store volatile float", 1)
    assert kept(WRITTEN) == marked
    assert freed(marked, WRITTEN) == WRITTEN


def test_in_a_kernel_all_are_kept_but_those_to_its_variables() -> None:
    marked = OF_A_KERNEL.replace("store float", "store volatile float")
    assert kept(OF_A_KERNEL) == marked
    assert freed(marked, OF_A_KERNEL) == OF_A_KERNEL


def test_volatile_accesses_of_a_text_stay() -> None:
    own = OF_A_KERNEL.replace("store ptr", "store volatile ptr")
    marked = own.replace("store float", "store volatile float")
    assert kept(own) == marked
    assert freed(marked, own) == marked
