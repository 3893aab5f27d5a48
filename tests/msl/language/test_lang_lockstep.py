"""Kernels that read threadgroup memory and write it without a barrier between, as on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from msl_lang import Array, run

THREADS = 256
INDEX = np.arange(THREADS)
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
TOTAL = f"""
inline float total(threadgroup float* s, float v, uint l) {{
  s[l] = v; {BARRIER}
  for (uint k = 128; k > 0; k >>= 1) {{ if (l < k) s[l] += s[l + k]; {BARRIER} }}
  return s[0];
}}
"""
CASES = {
    "all read one element, then write theirs": (
        f"s[l] = l; {BARRIER} float m = s[255]; s[l] = m + 1; {BARRIER} out[l] = s[255 - l];",
        np.full(THREADS, 256),
    ),
    "one thread writes what all read": (
        f"s[l] = l; {BARRIER} float m = s[7]; if (l == 7) s[7] = 100; {BARRIER} out[l] = m + s[7];",
        np.full(THREADS, 107),
    ),
    "a loop without a barrier at its end": (
        f"float r = 0; for (int k = 0; k < 3; k++) {{"
        f" s[l] = l + k; {BARRIER} r += s[(l + 1) % 256]; }} out[l] = r;",
        3 * ((INDEX + 1) % THREADS) + 3,
    ),
    "a reduction called twice": (
        "float a = total(s, 1.0f, l); float b = total(s, 2.0f, l); out[l] = a + b;",
        np.full(THREADS, 768),
    ),
    "a reduction in a lambda": (
        f"auto sum = [&](float v) {{ s[l] = v; {BARRIER}"
        f" for (uint k = 128; k > 0; k >>= 1) {{ if (l < k) s[l] += s[l + k]; {BARRIER} }}"
        " return s[0]; }; float a = sum(1.0f); float b = sum(2.0f); out[l] = a + b;",
        np.full(THREADS, 768),
    ),
    "a scan with one barrier a step": (
        f"s[l] = 1; {BARRIER} for (uint k = 1; k < 256; k <<= 1) {{"
        f" float v = l >= k ? s[l - k] : 0; s[l] += v; {BARRIER} }} out[l] = s[l];",
        INDEX + 1,
    ),
    "through a pointer": (
        f"threadgroup float* p = s; p[l] = l; {BARRIER} float m = p[3]; p[l] = m; {BARRIER}"
        " out[l] = p[255 - l];",
        np.full(THREADS, 3),
    ),
    "with SIMD-group operations around": (
        f"s[l] = simd_sum(1.0f); {BARRIER} float m = s[0] + s[255]; if (l % 2) s[l] = simd_sum(m);"
        f" else s[l] = simd_sum(2 * m); {BARRIER} out[l] = s[255 - l];",
        np.where(INDEX % 2 == 0, 16 * 64, 2 * 16 * 64),
    ),
}


def _run(body: str) -> Array:
    source = f"uint l = thread_position_in_threadgroup.x; threadgroup float s[256]; {body}"
    sizes = {"grid": (THREADS, 1, 1), "threadgroup": (THREADS, 1, 1)}
    return run(source, {}, {"out": ((THREADS,), "float32")}, header=TOTAL, **sizes)["out"]


@pytest.mark.parametrize("name", CASES)
def test_threads_read_before_others_write(name: str) -> None:
    body, expected = CASES[name]
    np.testing.assert_array_equal(_run(body), expected)
