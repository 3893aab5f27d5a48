"""Overloads and specialisations by address space, which are one function here."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msl_lang import run

from foundry.msl.frontend.rewriting.twins import remove
from foundry.msl.frontend.tokens import join_lines, tokenize


def _without_twins(text: str) -> str:
    return "".join(token.text for token in remove(list(tokenize(join_lines(text)))))


def test_twins_by_address_space_go_and_lines_stay() -> None:
    text = """template <typename T> struct inner<device T*> { using type = T; };
template <typename T>
struct inner<threadgroup T*> {
  using type = T;
};
inline float load(const device float* p) { return p[0]; }
inline float load(const threadgroup float* q) {
  return q[0];
}
inline float load(const device half* p) { return p[0]; }
struct S {
  float v;
  S(float x) thread : v(x) {}
  S(float x) device : v(x) {}
  float get() const thread { return v; }
  float get() const device { return v; }
  float get() const constant { return v; }
};
"""
    got = _without_twins(text)
    assert got.count("\n") == text.count("\n")
    counts = {"struct inner": 1, "load(": 2, "S(float x)": 1, "get()": 1}
    assert {piece: got.count(piece) for piece in counts} == counts


def test_definitions_that_differ_otherwise_stay() -> None:
    text = """#if A
float f(device float* p) { return 1; }
#else
float f(device float* p) { return 2; }
#endif
float f(constant float* p) { return 3; }
float g(device float* p, int n) { return 4; }
float g(device float* p, uint n) { return 5; }
float table[2] = {1, 2};
"""
    assert _without_twins(text) == text


@given(st.text(alphabet="ab(){}[];:,<>=*& \n\"'#/1.hf", max_size=60))
def test_any_text_is_without_twins_on_its_lines(text: str) -> None:
    source = f"device {text}"
    assert _without_twins(source).count("\n") == join_lines(source).count("\n")


def test_helpers_overloaded_on_memory_run() -> None:
    header = """
    template <typename T> inline T total(const device T* p, int n) {
      T t = 0; for (int i = 0; i < n; ++i) t += p[i]; return t;
    }
    template <typename T> inline T total(const threadgroup T* p, int n) {
      T t = 0;
      #pragma clang loop unroll(full)
      for (int i = 0; i < n; ++i) t += p[i];
      return t;
    }
    template <typename T> inline T total(thread const T* values, int count) {
      T t = 0; for (int i = 0; i < count; ++i) t += values[i]; return t;
    }
    struct Walker {
      int at;
      Walker(int start) thread : at(start) {}
      Walker(int start) threadgroup : at(start) {}
      void next(int by = 1) thread { at += by; }
      int where() const thread { return at; }
      int where() const device { return at; }
    };
    """
    body = """
      threadgroup float shared_values[4];
      uint t = thread_index_in_threadgroup;
      shared_values[t] = x[t] * 2;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      float mine[2] = {1.0h, 2.0h};
      Walker walker(3); walker.next(); walker.next(2);
      out[t] = total(x, 4) + total(shared_values, 4) + total(mine, 2) + walker.where();
    """
    x = np.arange(8, dtype=np.float32)
    got = run(
        body,
        {"x": x},
        {"out": ((4,), "float32")},
        header=header,
        grid=(4, 1, 1),
        threadgroup=(4, 1, 1),
    )
    np.testing.assert_array_equal(got["out"], np.full(4, 6 + 12 + 3 + 6))
