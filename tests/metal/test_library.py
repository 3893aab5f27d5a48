"""Whole `.metal` files: values against NumPy, in every form that a kernel function may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundry.errors import DoesNotBuild, LaunchFailed, UsageError
from foundry.metal import Library

FILE = """\
#include <metal_stdlib>
#include <metal_atomic>
using namespace metal;

constant float gain [[function_constant(0)]];
constant bool has_bias [[function_constant(7)]];
constant int steps_given [[function_constant(3)]];
constant int steps = is_function_constant_defined(steps_given) ? steps_given : 2;
constant float2 scales [[function_constant(4)]];

struct Params {
  uint n;
  float a;
};

static inline float scaled(float v) { return gain * v; }

kernel void axpy(device const float* x [[buffer(0)]],
                 device float* y [[buffer(1)]],
                 constant Params& p [[buffer(2)]],
                 uint i [[thread_position_in_grid]]) {
  if (i < p.n) y[i] += p.a * scaled(x[i]);
}

[[kernel]] void biased(device float* y [[buffer(0)]],
                       device const float* bias [[buffer(1), function_constant(has_bias)]],
                       ushort i [[thread_position_in_grid]]) {
  if (has_bias) y[i] += bias[i];
  for (int n = 0; n < steps; ++n) y[i] *= 2;
}

kernel void pairs(device float2* v [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  v[i] *= scales;
}

template <typename T, int N>
[[kernel, max_total_threads_per_threadgroup(N * 16)]] void total(
    const device T* x [[buffer(0)]],
    device atomic_float* out [[buffer(3)]],
    constant uint& n [[buffer(5)]],
    threadgroup float* part [[threadgroup(1)]],
    ushort t [[thread_index_in_threadgroup]],
    uint3 at [[thread_position_in_grid]],
    uint3 size [[threads_per_threadgroup]]) {
  part[t] = at.x < n ? float(x[at.x]) : 0;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint s = size.x / 2; s > 0; s /= 2) {
    if (t < s) part[t] += part[t + s];
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (t == 0) atomic_fetch_add_explicit(out, part[0] * N, memory_order_relaxed);
}

#define INSTANTIATE(name, type) \\
  template [[host_name("total_" #name)]] [[kernel]] decltype(total<type, 2>) total<type, 2>;
INSTANTIATE(float, float)
INSTANTIATE(half, half)
template [[host_name("total_int")]] kernel void total<int, 4>(
    const device int*, device atomic_float*, constant uint&, threadgroup float*, ushort, uint3,
    uint3);
"""


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(FILE, function_constants={"gain": 2.0, 7: True, "scales": [3.0, 0.5]})


def params(n: int, a: float) -> np.ndarray[Any, Any]:
    value = np.zeros((), [("n", "u4"), ("a", "f4")])
    value["n"], value["a"] = n, a
    return value


def test_the_kernels_of_a_file_by_their_host_names(library: Library) -> None:
    names = ["axpy", "biased", "pairs", "total_float", "total_half", "total_int"]
    assert library.names == list(library) == names
    assert "total_half" in library
    assert "total" not in library


@pytest.mark.parametrize("called", ["metal::exp", "exp", "precise::exp"])
def test_a_kernel_may_be_named_as_a_function_that_it_calls(called: str) -> None:
    library = Library(f"""
      #include <metal_stdlib>
      using namespace metal;
      kernel void exp(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) {{
        x[i] = {called}(x[i]);
      }}""")
    x = np.linspace(-2, 2, 8, dtype=np.float32)
    expected = np.exp(x)
    library["exp"]([x], grid=8, threadgroup=8)
    np.testing.assert_allclose(x, expected, rtol=1e-6)


def test_a_kernel_writes_in_place(library: Library) -> None:
    x, y = np.arange(10, dtype=np.float32), np.ones(10, np.float32)
    library["axpy"]({"x": x, "y": y, "p": params(7, 3)}, grid=16, threadgroup=8)
    assert y.tolist() == [1, 7, 13, 19, 25, 31, 37, 1, 1, 1]


def test_a_member_called_as_another_kernel_is_asks_for_no_constant_of_its() -> None:
    text = """#include <metal_stdlib>
using namespace metal;
constant bool has_bias [[function_constant(0)]];
struct Args { uint n; float scale; };
kernel void scale(device float* x, uint i [[thread_position_in_grid]]) {
  x[i] *= has_bias ? 2.0f : 1.0f;
}
kernel void plain(device float* x, constant Args& args, uint i [[thread_position_in_grid]]) {
  if (i < args.n) x[i] *= args.scale;
}
"""
    x = np.ones(4, np.float32)
    args = np.zeros((), [("n", "u4"), ("scale", "f4")])
    args["n"], args["scale"] = 3, 5
    Library(text)["plain"]([x, args], grid=4, threadgroup=4)
    assert x.tolist() == [5, 5, 5, 1]


def test_buffers_by_index_and_in_order_and_structs_as_bytes(library: Library) -> None:
    x = np.arange(4, dtype=np.float32)
    one, other = np.zeros(4, np.float32), np.zeros(4, np.float32)
    library["axpy"]({0: x, 1: one, 2: params(4, 1).tobytes()}, grid=4, threadgroup=4)
    library["axpy"]([x, other, params(4, 1)], threadgroups=1, threadgroup=4)
    assert one.tolist() == other.tolist() == [0, 2, 4, 6]


def test_one_array_in_two_places(library: Library) -> None:
    x = np.arange(4, dtype=np.float32)
    library["axpy"]([x, x, params(4, 1)], grid=4, threadgroup=4)
    assert x.tolist() == [0, 3, 6, 9]


ORDERED = """\
kernel void ordered(device const float* x, device float* y, uint i [[thread_position_in_grid]]) {
  y[i] = x[i] + 1;
  y[i] = x[i] * 2;
}
"""


def test_a_read_sees_what_was_written_through_another_name_of_the_array() -> None:
    ordered = Library(ORDERED)["ordered"]
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    ordered([x, y], grid=64, threadgroup=32)
    assert y.tolist() == [2.0 * i for i in range(64)]
    ordered([x, x], grid=64, threadgroup=32)
    assert x.tolist() == [2.0 * (i + 1) for i in range(64)]


def test_threadgroup_memory_and_atomics(library: Library) -> None:
    for name, dtype, factor in (("float", "f4", 2), ("half", "f2", 2), ("int", "i4", 4)):
        x, out = np.arange(100).astype(dtype), np.zeros(1, np.float32)
        library[f"total_{name}"](
            {"x": x, "out": out, "n": 100},
            threadgroups=4,
            threadgroup=32,
            threadgroup_memory={1: 128},
        )
        assert out[0] == factor * 4950


def test_function_constants_decide(library: Library) -> None:
    y = np.ones(4, np.float32)
    library["biased"]({"y": y, "bias": np.arange(4, dtype=np.float32)}, grid=4, threadgroup=4)
    assert y.tolist() == [4, 8, 12, 16]  # two steps, since none are given
    without = Library(FILE, function_constants={"has_bias": False, 3: 1})
    without["biased"]([y], grid=4, threadgroup=4)  # no bias to give
    assert y.tolist() == [8, 16, 24, 32]
    assert not without["biased"].buffers["bias"].is_present
    v = np.ones((3, 2), np.float32)
    library["pairs"]([v], grid=3, threadgroup=2)
    assert v.tolist() == [[3, 0.5]] * 3


def test_a_constant_without_a_value_is_asked_for() -> None:
    with pytest.raises(UsageError, match=r"'axpy' uses the function constant 'gain', .*'gain': "):
        Library(FILE)["axpy"]


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ({"gains": 1.0}, "unknown function constant 'gains': did you mean gain"),
        ({9: 1.0}, "unknown function constant '9'"),
        ({"has_bias": 3}, "'has_bias' is a bool: 3 is none"),
        ({"steps_given": 2.5}, "'steps_given' is a int: 2.5 is none"),
        ({"steps_given": 1 << 31}, "is a int: 2147483648 is none"),
        ({"scales": [1.0, 2.0, 3.0]}, "is a float2: it takes 2 values, not 3"),
    ],
)
def test_wrong_function_constants(constants: dict[str | int, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Library(FILE, function_constants=constants)


def test_what_a_kernel_takes(library: Library) -> None:
    buffers = library["axpy"].buffers
    assert {name: fact.index for name, fact in buffers.items()} == {"x": 0, "y": 1, "p": 2}
    assert buffers["p"].is_struct
    assert (buffers["x"].dtype, buffers["p"].bytes) == ("float32", 8)
    assert [f.index for f in library["total_half"].buffers.values()] == [0, 3, 5]
    assert library["total_half"].buffers["x"].dtype == "float16"
    assert (library["axpy"].most_threads, library["total_int"].most_threads) == (1024, 64)


X, Y = np.zeros(8, np.float32), np.zeros(8, np.float32)
READ_ONLY = np.zeros(8, np.float32)
READ_ONLY.flags.writeable = False
GOOD = {"x": X, "y": Y, "p": b"\0" * 8}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x": None}, "takes buffer 0, 'x', which is not given"),
        ({"z": X}, "unknown buffer of 'axpy': 'z'"),
        ({9: X}, "unknown buffer index of 'axpy': '9'"),
        ({"x": np.zeros(8)}, "'x' of 'axpy' holds float32: give float32, not float64"),
        ({"x": np.zeros(8, np.float16)}, "not float16"),
        ({"p": b"\0" * 4}, "'p' of 'axpy' is a struct 'Params' of 8 bytes: 4 are given"),
        ({"p": 7}, "'p' of 'axpy' is a struct: give its bytes"),
        ({"y": b"\0" * 32}, "'y' of 'axpy' may be written: give a NumPy array"),
        ({"y": READ_ONLY}, "the array is read-only"),
        ({"x": np.zeros((8, 2), np.float32)[:, 0]}, "do not follow one another"),
        ({0: X}, "'x' of 'axpy' is given twice"),
    ],
)
def test_buffers_that_do_not_fit(
    library: Library, changed: dict[str | int, Any], said: str
) -> None:
    given = {k: v for k, v in (GOOD | changed).items() if v is not None}  # type: ignore[operator]
    with pytest.raises(UsageError, match=said):
        library["axpy"](given, grid=8, threadgroup=8)


def test_buffers_that_overlap_in_part(library: Library) -> None:
    memory = np.zeros(12, np.float32)
    with pytest.raises(UsageError, match="'x' and 'y' of 'axpy' overlap in part"):
        library["axpy"]([memory[:8], memory[4:], b"\0" * 8], grid=8, threadgroup=8)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"threadgroup": 8}, "give either grid="),
        ({"grid": 8, "threadgroups": 1, "threadgroup": 8}, "give either grid="),
        ({"grid": 0, "threadgroup": 8}, "every size is at least 1"),
        ({"grid": (1, 2, 3, 4), "threadgroup": 8}, "up to three of them"),
        ({"grid": 64, "threadgroup": 64}, "'total_half' runs with at most 32"),
        ({"grid": 8, "threadgroup": 8, "threadgroup_memory": {}}, r"threadgroup_memory={1: bytes}"),
        ({"grid": 8, "threadgroup": 8, "threadgroup_memory": {1: 30}}, "a multiple of 16 bytes"),
        ({"grid": 8, "threadgroup": 8, "threadgroup_memory": {0: 32}}, "no threadgroup memory at"),
        ({"grid": 8, "threadgroup": 8, "threadgroup_memory": {1: 1 << 16}}, "Metal has 32768"),
    ],
)
def test_sizes_that_do_not_fit(library: Library, sizes: dict[str, Any], said: str) -> None:
    call: Any = library["total_half"]
    with pytest.raises(UsageError, match=said):
        call([np.zeros(8, np.float16), np.zeros(1, np.float32), 8], **sizes)


def test_no_such_kernel(library: Library) -> None:
    with pytest.raises(UsageError, match="unknown kernel function 'axpi': did you mean axpy"):
        library["axpi"]
    with pytest.raises(UsageError, match="'vs' is no kernel of this file: it is a vertex function"):
        Library("vertex float4 vs() {\n return float4(0); }")["vs"]
    text = "template <typename T> kernel void f(device T* x) {\n x[0] = 0; }"
    with pytest.raises(UsageError, match="it is a template without an explicit instantiation"):
        Library(text)["f"]


def test_a_bad_kernel_ends_with_an_error_that_names_it() -> None:
    text = "kernel void far(device float* x [[buffer(0)]]) {\n  x[1l << 30] = 1;\n}\n"
    with pytest.raises(LaunchFailed, match=r"kernel 'far', launched with grid \(1, 1, 1\)"):
        Library(text)["far"]([np.zeros(4, np.float32)], grid=1, threadgroup=1)


def test_errors_stand_on_the_lines_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "one.h").write_text("#pragma once\n\ninline int one() { return oen; }\n")
    path = tmp_path / "f.metal"
    path.write_text('#include "one.h"\n#include "one.h"\nkernel void f(device int* x) {\n}\n')
    with pytest.raises(DoesNotBuild, match=r"^one\.h:3:27: error: use of undeclared .*'oen'"):
        Library(path)
    path.write_text("#include <metal_stdlib>\nkernel void f(device int* x) {\n  *x = y;\n}\n")
    with pytest.raises(DoesNotBuild, match=r"^f\.metal:3:8: error: .*'y'\n    3 \|   \*x = y;"):
        Library(path)
