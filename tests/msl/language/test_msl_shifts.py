"""Shifts by the width of a type or more: constants, loops, fibres, vectors, every operator."""

from __future__ import annotations

import numpy as np
import pytest
from msl_lang import run

from foundry.msl.frontend.rewriting.shifts import rewrite
from foundry.msl.frontend.tokens import tokenize

COUNT = 4096
AMOUNTS = (np.arange(COUNT) % 140).astype(np.uint32)
MASKED = {
    "uint(3u << s[i])": (3 << (AMOUNTS.astype(object) & 31)) & 0xFFFFFFFF,
    "uint(0x80000001u >> s[i])": 0x80000001 >> (AMOUNTS.astype(object) & 31),
    "uint(ulong(5) << s[i] >> 2)": ((5 << (AMOUNTS.astype(object) & 63)) % 2**64 >> 2) % 2**32,
    "uint(uchar(200) << s[i])": (200 << (AMOUNTS.astype(object) & 31)) & 0xFFFFFFFF,
    "uint(int(-8) >> s[i])": (-8 >> (AMOUNTS.astype(object) & 31)) & 0xFFFFFFFF,
    "shifted(9u, s[i])": (9 << (AMOUNTS.astype(object) & 31)) & 0xFFFFFFFF,
    "MACRO(9u, s[i])": (9 << (AMOUNTS.astype(object) & 31)) & 0xFFFFFFFF,
    "(uint2(3u) << uint2(s[i])).y": (3 << (AMOUNTS.astype(object) & 31)) & 0xFFFFFFFF,
}
HEADER = """template <typename T> T shifted(T v, uint by) { T w = v; w <<= by; return w; }
#define MACRO(v, by) ((v) << (by))
"""
FIBRES = "threadgroup uint a[256]; a[i % 256] = 0; threadgroup_barrier(mem_flags::mem_threadgroup);"


@pytest.mark.parametrize("before", ["", FIBRES], ids=["loop", "fibres"])
@pytest.mark.parametrize("expression", MASKED)
def test_the_low_bits_of_the_amount_count(before: str, expression: str) -> None:
    got = run(
        f"uint i = thread_position_in_grid.x; {before} out[i] = {expression};",
        {"s": AMOUNTS},
        {"out": ((COUNT,), "uint32")},
        grid=(COUNT, 1, 1),
        threadgroup=(256, 1, 1),
        header=HEADER,
    )["out"]
    np.testing.assert_array_equal(got, MASKED[expression].astype(np.uint32))


def test_constants_are_masked_too() -> None:
    body = """out[0] = 1u << 33; out[1] = 8u >> 33; out[2] = uint(1ul << 33 >> 32);
    constexpr int size = 1 << 33; float a[size]; out[3] = sizeof(a);
    enum { flag = 1 << 34 }; out[4] = flag; uint w = 1; w <<= 35; out[5] = w;
    uint2 v = 1; v.x <<= 2; v.y >>= 1; out[6] = v.x + v.y;"""
    got = run(body, {}, {"out": ((7,), "uint32")})["out"]
    assert got.tolist() == [2, 4, 2, 8, 4, 8, 4]


@pytest.mark.parametrize(
    "text",
    [
        "vec<vec<T,2>> q;",
        "template <typename T, typename = enable_if_t<is_same_v<T, half> || is_int_v<T>>> T f();",
        "x = a << 3; b >>= 4; c = d >> 31u;",
        "a = x<y<z>>(w);",
        "T operator<<(T a, T b);",
    ],
)
def test_what_is_no_shift_or_in_range_stays(text: str) -> None:
    tokens = list(tokenize(text))
    assert rewrite(tokens) == tokens
