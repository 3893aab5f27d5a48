"""A kernel as a GPU's compiler sees it: kinds of instructions, blocks, spills, reuse of lines."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from foundry.errors import DoesNotBuild
from foundry.msl.gpu import machine, native
from foundry.msl.gpu.kinds import kind_of
from foundry.msl.gpu.profile import LaunchProfile
from foundry.msl.gpu.run import profile
from foundry.program import Launch, Program, TensorSpec

N = 256


def profiled(source: str, *, threads: int = N, group: int = 64, size: int = N) -> LaunchProfile:
    spec = TensorSpec("a", (size,), "float32")
    launch = Launch(
        "k", ("a",), (TensorSpec("out", (N,), "float32"),), source, (threads, 1, 1), (group, 1, 1)
    )
    program = Program((spec,), ("out",), (launch,))
    (found,) = profile(program, {"a": np.ones(size, np.float32)}).launches
    return found


@pytest.mark.parametrize(
    ("opcode", "kind"),
    [
        ("v_fmac_f32_e32", "fp32"),
        ("v_dual_mul_f32", "fp32"),
        ("v_pk_fma_f16", "fp16"),
        ("v_exp_f32_e32", "exp2"),
        ("v_rcp_iflag_f32_e32", "reciprocal"),
        ("v_mul_lo_u32", "multiply"),
        ("v_mad_u64_u32", "wide_multiply"),
        ("v_add_co_ci_u32_e64", "address"),
        ("s_lshr_b32", "shift_right"),
        ("ds_load_b128", "shared_load"),
        ("scratch_store_b32", "spill"),
        ("global_atomic_add_u32", "device_atomic"),
        ("s_cbranch_scc1", "branch"),
        ("v_cvt_f32_u32_e32", "convert"),
        ("mf_shuffle", "shuffle"),
        ("s_waitcnt", None),
        ("s_delay_alu", None),
        (".p2align", None),
    ],
)
def test_an_instruction_has_a_kind(opcode: str, kind: str | None) -> None:
    assert kind_of(opcode) == kind


def test_blocks_are_read_by_name_and_those_without_one_go_to_their_loop() -> None:
    text = """
mf_run_gpu:
\tv_mov_b32_e32 v2, 0
.LBB0_1:                                ; %for.body
                                        ; =>This Inner Loop Header: Depth=1
\tv_dual_mul_f32 v1, v2, v3 :: v_dual_add_f32 v4, v5, v6
; %bb.2:                                ; %Flow
                                        ;   in Loop: Header=BB0_1 Depth=1
\ts_cbranch_scc1 .LBB0_1
.LBB0_3:                                ; %Flow6
\tglobal_store_b32 v1, v2, s[0:1]
.Lfunc_end0:
; NumVgprs: 7
; ScratchSize: 12
"""
    found = machine.read(text)
    assert (found.registers, found.scratch_bytes) == (7, 12)
    assert found.blocks == {
        "entry": {"integer": 1, "device_store": 1},
        "for.body": {"fp32": 2, "branch": 1},
    }
    assert machine.from_json(machine.as_json(found)) == found


def test_a_block_that_stands_above_the_header_of_its_loop_counts_with_the_loop() -> None:
    text = """
mf_run_gpu:
\ts_branch .LBB0_2
.LBB0_1:                                ; %Flow450
                                        ;   in Loop: Header=BB0_2 Depth=1
\tv_fmac_f32_e32 v1, v2, v3
.LBB0_2:                                ; %for.body
                                        ; =>This Loop Header: Depth=1
\tv_cmp_gt_u32_e32 vcc_lo, 4, v1
.Lfunc_end0:
; NumVgprs: 7
; ScratchSize: 0
"""
    assert machine.read(text).blocks == {
        "entry": {"branch": 1},
        "for.body": {"fp32": 1, "compare": 1},
    }


def test_atomic_operations_are_counted_by_lane() -> None:
    source = (
        "atomic_fetch_add_explicit((device atomic_uint*)out, 1u, memory_order_relaxed); (void)a;"
    )
    assert profiled(source).atomics == N
    assert profiled("out[thread_position_in_grid.x] = a[0];").atomics == 0


def test_the_text_for_this_machine_has_one_memory() -> None:
    text = 'target datalayout = "x"\ntarget triple = "amdgcn"\n' + (
        "define void @mf_run_gpu(ptr addrspace(1) %mf_0, ptr addrspace(4) %mf_1) #0 {\n"
        "  %a = alloca [4 x i8], align 4, addrspace(5)\n"
        "  %b = addrspacecast ptr addrspace(5) %a to ptr\n"
        "  call void @llvm.memcpy.p0.p4.i64(ptr %b, ptr addrspace(4) %mf_1, i64 4, i1 false)\n}\n"
        'attributes #0 = { nounwind "target-cpu"="gfx1100" "amdgpu-no-queue-ptr" }\n'
    )
    here = native.native_text(text, "target triple = here")
    assert "addrspace" not in here
    assert "gfx1100" not in here
    assert "amdgpu" not in here
    assert "bitcast ptr %a to ptr" in here
    assert "@llvm.memcpy.p0.p0.i64" in here
    assert "call void @mf_run_gpu(ptr %b0, ptr %b1)" in here


def test_multiply_adds_of_a_loop_are_counted_by_simdgroup() -> None:
    found = profiled(
        "float s = 0; for (int k = 0; k < a_shape[0]; ++k) s += a[k] * a[k];"
        "out[thread_position_in_grid.x] = s;"
    )
    # One FMA a turn, and nothing else of floats.
    assert found.work["fp32"] == 8 * N
    assert found.work["device_load"] >= 8 * N


def test_a_reduction_is_five_shuffles_and_its_value_is_right_enough_to_steer_a_loop() -> None:
    found = profiled(
        "float s = simd_sum(a[thread_position_in_grid.x]); float t = 0;"
        "for (int k = 0; k < int(s); ++k) t += a[k % 7];"
        "out[thread_position_in_grid.x] = t;"
    )
    assert found.work["shuffle"] == 8 * 5
    assert found.work["fp32"] == 8 * (5 + 32)


def test_an_array_that_is_too_large_for_registers_is_kept_in_memory() -> None:
    source = (
        "float held[SIDE * SIDE] = {}; for (int k = 0; k < a_shape[0]; k += SIDE)"
        "  for (int i = 0; i < SIDE; ++i) for (int j = 0; j < SIDE; ++j)"
        "    held[i * SIDE + j] += a[k + i] * a[k + j];"
        "float s = 0; for (int i = 0; i < SIDE * SIDE; ++i) s += held[i];"
        "out[thread_position_in_grid.x] = s;"
    )
    small, large = (profiled(f"constexpr int SIDE = {n}; {source}") for n in (4, 16))
    assert (small.scratch_bytes, small.work.get("spill", 0)) == (0, 0)
    assert large.scratch_bytes >= 1024
    assert large.work["spill"] > 0


def test_lines_that_threadgroups_share_are_told_from_their_own() -> None:
    shared = profiled("out[thread_position_in_grid.x] = a[thread_position_in_threadgroup.x];")
    own = profiled("out[thread_position_in_grid.x] = a[thread_position_in_grid.x];")
    assert (shared.loads[0].of_threadgroup, shared.loads[0].more) == (2, 0)
    assert (own.loads[0].of_threadgroup, own.loads[0].more) == (2, 2)
    assert own.loads[0].touches == 8
    assert own.stores[-1].touches == 8


def test_a_cache_of_enough_lines_holds_what_is_read_again() -> None:
    # Each lane walks its own line: 32 lines, each touched 32 times.
    found = profiled(
        "float s = 0; for (int k = 0; k < 32; ++k)"
        " s += a[thread_position_in_threadgroup.x * 32 + k];"
        "out[thread_position_in_grid.x] = s;",
        threads=32,
        group=32,
        size=1024,
    )
    reuse = found.loads[0]
    assert reuse.touches == 1024
    assert reuse.missed[4] == 1.0  # 16 lines
    assert reuse.missed[5] == pytest.approx(1 / 32)  # 32 lines


def test_matrices_and_barriers_have_kinds_of_their_own() -> None:
    found = profiled(
        "threadgroup float t[64]; t[thread_position_in_threadgroup.x] = a[0];"
        "threadgroup_barrier(mem_flags::mem_threadgroup);"
        "simdgroup_float8x8 m, n(0); simdgroup_load(m, t, 8);"
        "simdgroup_multiply_accumulate(n, m, m, n); simdgroup_store(n, out, 8);"
    )
    assert found.work["matrix"] == 8
    assert found.work["barrier"] == 8
    assert found.threadgroup_bytes == 256


def test_a_kernel_that_does_not_build_is_told() -> None:
    with pytest.raises(DoesNotBuild, match="does not build"):
        profiled("out[0] = nothing;")


def test_runtimes_with_functions_of_one_name_serve_their_own_kernels() -> None:
    """In a process of its own, where the counters' runtime is loaded before the GPU's."""
    script = (
        "import numpy as np\n"
        "from foundry.msl.counters.run import count\n"
        "from foundry.msl.gpu.run import profile\n"
        "from foundry.program import Launch, Program, TensorSpec\n"
        "a, out = (TensorSpec(n, (64,), 'float32') for n in ('a', 'out'))\n"
        "source = 'out[thread_position_in_grid.x] = a[thread_position_in_grid.x];'\n"
        "launch = Launch('k', ('a',), (out,), source, (64, 1, 1), (64, 1, 1))\n"
        "program, inputs = Program((a,), ('out',), (launch,)), {'a': np.ones(64, np.float32)}\n"
        "for run in (count, profile, count):\n"
        "    (found,) = run(program, inputs).launches\n"
        "    taken = found.arrays[0].loads if run is count else found.loads[0]\n"
        "    assert taken.instructions == 2, (run, taken)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
