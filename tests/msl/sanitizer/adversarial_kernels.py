"""Kernels that try to slip past the sanitizer.

Each is a body over the same arrays: `x` of 128 floats, `h` of 128 halves, `w` of 32 floats, `n` of
16 unsigned integers (0 to 15), and `out` of 128 elements; 128 threads in threadgroups of 64. A
fault is marked `//! kind` on its line, a fault with two sides on both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foundry.msl.sanitizer import Report, sanitize
from foundry.program import Launch, Program, TensorSpec

HEAD = """\
uint i = thread_position_in_grid.x, t = thread_position_in_threadgroup.x;
uint lane = thread_index_in_simdgroup, sg = simdgroup_index_in_threadgroup;
(void)i, (void)t, (void)lane, (void)sg;
"""
TABLE = "constant float table[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};\n"
_SIZE = 128
_TIME_LIMIT_S = 1.0


@dataclass(frozen=True)
class Case:
    """A body, and how its `out` is made."""

    source: str
    header: str = ""
    dtype: str = "float32"
    init_value: float | None = None
    atomic: bool = False


def examine(case: Case) -> Report:
    """What the sanitizer says of a case."""
    inputs = {
        "x": np.arange(_SIZE, dtype=np.float32),
        "h": np.arange(_SIZE, dtype=np.float16),
        "w": np.ones(32, np.float32),
        "n": np.arange(16, dtype=np.uint32),
    }
    specs = tuple(TensorSpec(name, a.shape, str(a.dtype)) for name, a in inputs.items())
    out = TensorSpec("out", (_SIZE,), case.dtype)
    launch = Launch(
        "k",
        tuple(inputs),
        (out,),
        HEAD + case.source,
        (_SIZE, 1, 1),
        (64, 1, 1),
        case.header,
        (),
        case.init_value,
        case.atomic,
    )
    return sanitize(Program(specs, ("out",), (launch,)), inputs, time_limit_s=_TIME_LIMIT_S)


GUILTY = {
    "a stride of the wrong array": Case("""
        out[i] = x[(i / 4) * 128 + i % 4];  //! out_of_bounds
    """),
    "the tail of a vector": Case("""
        if (i * 4 < 128 + 4) {
          float4 v = ((const device packed_float4*)(x))[i];  //! out_of_bounds
          for (uint k = 0; k < 4; ++k) if (i * 4 + k < 128) out[i * 4 + k] = v[k];
        }
    """),
    "a vector store over the end": Case("""
        if (i < 33) ((device float4*)out)[i] = float4(x[i]);  //! out_of_bounds
    """),
    "stages without a barrier between": Case("""
        threadgroup float s[64], r[64];
        s[t] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        r[t] = s[63 - t];  //! data_race
        out[i] = r[(t + 33) % 64];  //! data_race
    """),
    "double buffering without a barrier": Case("""
        threadgroup float s[2][64];
        float a = 0;
        for (uint k = 0; k < 4; ++k) {
          s[0][t] = x[i] + k;  //! data_race
          threadgroup_barrier(mem_flags::mem_threadgroup);
          a += s[0][(t + 32) % 64];  //! data_race
        }
        out[i] = a;
    """),
    "a shuffle in a loop of its own length": Case("""
        float v = x[i];
        for (uint k = 0; k <= lane; ++k)
          v += simd_shuffle_up(v, 1);  //! simd_divergence
        out[i] = v;
    """),
    "a shuffle under a lane's condition": Case("""
        float v = x[i];
        if (lane & 1) v = simd_shuffle_xor(v, 1);  //! simd_divergence
        out[i] = v;
    """),
    "past a tile into the next": Case("""
        threadgroup float a[8][9], b[64];
        b[t] = x[i];
        if (t < 8) for (uint k = 0; k < 9; ++k) a[t][k] = 0;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        threadgroup float* p = &a[0][0];
        out[i] = p[t + 9] + b[t];  //! out_of_bounds
    """),
    "a misaligned cast": Case("""
        float4 v = *(const device float4*)(x + 1 + 4 * (i % 8));  //! misaligned_access
        out[i] = v.x;
    """),
    "a misaligned half4": Case("""
        half4 v = *(const device half4*)(h + 2 * (i % 32) + 1);  //! misaligned_access
        out[i] = float(v.x);
    """),
    "a plain read of an atomic counter": Case(
        """
        atomic_fetch_add_explicit(&out[0], 1, memory_order_relaxed);  //! data_race
        uint seen = ((device uint*)out)[0];  //! data_race
        if (seen > 1000) atomic_store_explicit(&out[1], 1, memory_order_relaxed);
    """,
        dtype="uint32",
        init_value=0,
        atomic=True,
    ),
    "a tile set in part": Case("""
        threadgroup float s[64];
        if (t < 60) s[t] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = s[t];  //! uninitialised_read
    """),
    "a constant table": Case(
        """
        out[i] = table[n[i % 16] + 1];  //! out_of_bounds
    """,
        header=TABLE,
    ),
    "a negative index": Case("""
        out[i] = x[int(i) - 1];  //! out_of_bounds
    """),
    "an index near the end of 32 bits": Case("""
        out[i] = x[i - 64u];  //! out_of_bounds
    """),
    "a product that overflows": Case("""
        uint at = (i + 1) * 0x4000001u;
        out[i] = x[at];  //! out_of_bounds
    """),
    "a byte between two elements": Case("""
        out[i] = float(*((const device uchar*)x + 512 + i % 2));  //! out_of_bounds
    """),
    "halves written over one float": Case("""
        ((device half*)out)[i] = half(1);  //! data_race
        ((device half*)out)[(i + 1) % 256] = half(x[i]);  //! data_race
        if (i < 64) out[64 + i] = 0;
    """),
    "a vector over the neighbour's element": Case("""
        *(device packed_float2*)(out + min(i, 126u)) = packed_float2(x[i], x[i] + 1);  //! data_race
    """),
    "a read of the neighbour's output": Case("""
        out[i] = x[i];  //! data_race
        out[i] = out[i ^ 1] + 1;  //! data_race
    """),
    "across threadgroups": Case("""
        out[i] = x[i];  //! data_race
        threadgroup_barrier(mem_flags::mem_device);
        out[i] += out[(i + 64) % 128];  //! data_race
    """),
    "an output read before it is written": Case("""
        if (i < 64) {
          float2 v = ((device float2*)out)[i];  //! uninitialised_read
          ((device float2*)out)[i] = v + 1;
        }
    """),
    "a vector of a half-set tile": Case("""
        threadgroup float4 s[16];
        if (t % 4 != 3) ((threadgroup float*)s)[t] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = s[t / 4].x + s[t / 4].w;  //! uninitialised_read
    """),
    "a barrier only some reach": Case("""
        if (sg == 0) threadgroup_barrier(mem_flags::mem_threadgroup);  //! barrier_divergence
        out[i] = x[i];
    """),
    "a barrier after a return": Case("""
        if (t == 63) { out[i] = 0; return; }
        threadgroup_barrier(mem_flags::mem_threadgroup);  //! barrier_divergence
        out[i] = x[i];
    """),
    "the wrong kind of barrier": Case("""
        threadgroup float s[64];
        s[t] = x[i];  //! data_race
        threadgroup_barrier(mem_flags::mem_device);
        out[i] = s[63 - t];  //! data_race
    """),
    "lanes without their barrier": Case("""
        threadgroup float s[64];
        s[t] = x[i];  //! data_race
        out[i] = s[t ^ 1];  //! data_race
    """),
    "SIMD-groups with only their own barrier": Case("""
        threadgroup float s[64];
        s[t] = x[i];  //! data_race
        simdgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = s[t ^ 32];  //! data_race
    """),
    "a loop that never ends": Case("""
        uint k = i;
        while (k != 200) { k = k * 3 + 1; if (k == 200) k = 1; }  //! runaway_loop
        out[i] = k;
    """),
    "too deep a recursion": Case(
        """
        out[i] = x[deep(i + 100000) % 128];
    """,
        header="""uint deep(uint k) {
        uint a[64];  //! stack_overflow
        for (uint j = 0; j < 64; ++j) a[j] = k * j;  //! stack_overflow
        if (k == 0) return a[5];  //! stack_overflow
        uint r = deep(k - 1);  //! stack_overflow
        return r + a[r % 64];
    }  //! stack_overflow
""",
    ),
    "a large array on the stack": Case("""
        float s[60000];  //! stack_overflow
        for (uint k = 0; k < 60000; ++k) s[k] = x[k % 128];  //! stack_overflow
        out[i] = s[(i * 977u) % 60000];  //! stack_overflow
    """),
    "an address of nothing": Case("""
        out[i] = *(const device float*)(ulong(i) * 8 + 64);  //! out_of_bounds
    """),
    "an array of its own": Case("""
        float s[8];
        for (uint k = 0; k < 8; ++k) s[k] = x[k];
        out[i] = s[n[i % 16]];  //! out_of_bounds
    """),
    "everything into one element": Case("""
        out[0] = x[i];  //! data_race
        if (i) out[i] = 0;
    """),
    "a sum into one element": Case(
        """
        out[0] += x[i];  //! data_race
    """,
        init_value=0,
    ),
    "elements that nobody writes": Case("""
        if (i % 8 != 7) out[i] = x[i];  //! unwritten_output
    """),
    "an index from the data": Case("""
        out[i] = x[n[i % 16] * 9];  //! out_of_bounds
    """),
    "half the threads one element off": Case("""
        out[i] = i % 2 ? x[i + 1] : x[i];  //! out_of_bounds
    """),
    "a copy that is too long": Case("""
        struct block { float v[8]; };
        if (i < 16) {
          block b = ((const device block*)(x + 4))[i];  //! out_of_bounds
          for (uint k = 0; k < 8; ++k) out[8 * i + k] = b.v[k];
        }
    """),
    "an atomic beyond the end": Case(
        """
        atomic_fetch_add_explicit(&out[i + 1], 1u, memory_order_relaxed);  //! out_of_bounds
    """,
        dtype="uint32",
        init_value=0,
        atomic=True,
    ),
    "a flag that others set plainly": Case("""
        threadgroup uint flag;
        if (t == 0) flag = 0;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (x[i] > 70) flag = t;  //! data_race
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = flag;
    """),
    "a scan that reads what it writes": Case("""
        threadgroup float s[64];
        s[t] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint d = 1; d < 64; d *= 2) {
          float v = t >= d ? s[t - d] : 0;  //! data_race
          s[t] += v;  //! data_race
          threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        out[i] = s[t];
    """),
    "rows of three in steps of four": Case("""
        if (i < 33) ((device float3*)out)[i] = float3(x[i]);  //! out_of_bounds
    """),
    "every second vector over its neighbour": Case("""
        device float* p = out + 3 * i - i / 41;
        if (i < 42) *(device packed_float3*)p = packed_float3(x[i]);  //! data_race
        if (i < 3) out[125 + i] = 0;
    """),
    "an element twice, by two threads": Case("""
        out[i == 127 ? 126 : i] = x[i];  //! data_race
        if (i == 0) out[127] = 0;
    """),
    "a row of four that starts between": Case("""
        device float* p = out + 4 * i + 2;
        if (i < 31) *(device packed_float4*)p = packed_float4(x[i]);  //! data_race
        if (i < 4) out[i < 2 ? i : 124 + i - 1] = x[i];  //! data_race
    """),
    "a loop over one row too many": Case("""
        float total = 0;
        for (uint k = 0; k <= 4; ++k) total += x[i % 32 + 32 * k];  //! out_of_bounds
        out[i] = total;
    """),
    "a last element that is left out": Case("""
        for (uint k = i; k < 127; k += 128) out[k] = x[k];  //! unwritten_output
    """),
    "an index of 64 bits": Case("""
        long at = long(i) - 127;
        out[i] = x[at * at * at];  //! out_of_bounds
    """),
    "a half at an odd byte": Case("""
        const device uchar* p = (const device uchar*)h + 2 * (i % 100) + 1;
        out[i] = float(*(const device half*)p);  //! misaligned_access
    """),
    "a lane that takes from one that left": Case("""
        if (lane < 4) return out[i] = 0, void();
        out[i] = simd_shuffle(x[i], ushort(lane % 8));  //! simd_divergence
    """),
    "a short array where longer ones are not used": Case("""
        out[i] = w[i];  //! out_of_bounds
    """),
    "a constant array of the wrong size where longer ones are not used": Case("""
        out[i] = n[i / 4];  //! out_of_bounds
    """),
}
