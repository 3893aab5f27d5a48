"""The sanitizer over whole `.metal` files: kinds and lines, from Python and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundry.cli.kernels.file_buffers import parse_buffers
from foundry.errors import UsageError
from foundry.metal import Library
from foundry.metal.pytest_plugin import MetalLibrary, Sanitized, metal_library, sanitized

__all__ = ["metal_library", "sanitized"]
"""Fixtures."""

HELPERS = """\
#ifndef HELPERS
#define HELPERS
inline float beyond(device const float* p, uint i) {
  return p[i + 1];  //! out_of_bounds helpers.h
}
#endif
"""
FILE = """\
#include <metal_stdlib>
#include "lib/helpers.h"
using namespace metal;

struct Args {
  uint n;
};

kernel void shifted(device const float* x [[buffer(0)]],
                    device float* y [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  y[i] = beyond(x, i);
}

kernel void halves(device float* y [[buffer(0)]],
                   constant Args& args [[buffer(1)]],
                   uint i [[thread_position_in_grid]]) {
  if (i < args.n / 2) y[i] = 1;  //! unwritten_output
}

kernel void neighbours(device float* y [[buffer(0)]],
                       threadgroup float* part [[threadgroup(0)]],
                       uint t [[thread_index_in_threadgroup]],
                       uint size [[threads_per_threadgroup]]) {
  part[t] = t;
  y[t] = part[(t + 1) % size];  //! data_race
}

kernel void uneven(device float* y [[buffer(0)]], uint t [[thread_index_in_threadgroup]]) {
  if (t < 7) threadgroup_barrier(mem_flags::mem_threadgroup);  //! barrier_divergence
  y[t] = 1;
}

kernel void early(device float* y [[buffer(0)]],
                  threadgroup float* part [[threadgroup(0)]],
                  uint t [[thread_index_in_threadgroup]]) {
  y[t] = part[t];  //! uninitialised_read
}

kernel void endless(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  while (y[i] < 1) y[i] *= 0.5f;  //! runaway_loop
}
"""
CASES: dict[str, dict[str, Any]] = {
    "shifted": {"buffers": ["x", "y"]},
    "halves": {"buffers": ["y"], "numbers": {"args": np.array([16], "u4")}, "outputs": ["y"]},
    "neighbours": {"buffers": ["y"], "threadgroup_memory": {0: 64}},
    "uneven": {"buffers": ["y"]},
    "early": {"buffers": ["y"], "threadgroup_memory": {0: 64}},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shaders")
    (folder / "lib").mkdir()
    (folder / "lib" / "helpers.h").write_text(HELPERS)
    (folder / "all.metal").write_text(FILE)
    return folder / "all.metal"


@pytest.fixture(scope="module")
def library(path: Path) -> Library:
    return Library(path)


def planted(function: str) -> tuple[str, str, int]:
    """Kind, file and line of the fault in a function."""
    lines = FILE.split("\n")
    start = next(n for n, line in enumerate(lines) if f"void {function}(" in line)
    for n, line in enumerate(lines[start:], start + 1):
        if "beyond(x" in line:
            return "out_of_bounds", "lib/helpers.h", 4
        if "//!" in line:
            return line.split("//!")[1].strip(), "all.metal", n
    raise AssertionError(function)


@pytest.mark.parametrize("function", CASES)
def test_a_fault_is_found_with_its_kind_file_and_line(library: Library, function: str) -> None:
    case = CASES[function]
    buffers: dict[str | int, Any] = {name: np.zeros(16, np.float32) for name in case["buffers"]}
    report = library[function].sanitize(
        buffers | case.get("numbers", {}),
        grid=16,
        threadgroup=16,
        threadgroup_memory=case.get("threadgroup_memory"),
        outputs=case.get("outputs", ()),
    )
    kind, file, line = planted(function)
    assert {str(found.kind) for found in report.findings} == {kind}
    assert (file, line) in {(found.part, found.line) for found in report.findings}
    assert all(found.text in FILE + HELPERS for found in report.findings)


def test_copies_are_sanitized_and_the_arrays_stay(library: Library) -> None:
    y = np.zeros(16, np.float32)
    report = library["halves"].sanitize({"y": y, "args": b"\x20\0\0\0"}, grid=16, threadgroup=8)
    assert not report.findings
    assert not y.any()


def test_counters_stand_on_the_lines_of_the_file(library: Library) -> None:
    y = np.zeros(64, np.float32)
    report = library["halves"].sanitize([y, np.array([128], "u4")], grid=64, threadgroup=64)
    assert report.counters.stores.coalescing == 1
    assert {line.part for line in report.counters.hottest(4)} == {"all.metal"}


def test_one_array_in_two_places_is_refused(library: Library) -> None:
    x = np.zeros(17, np.float32)
    with pytest.raises(UsageError, match="'x' and 'y' are the same array"):
        library["shifted"].sanitize([x, x], grid=16, threadgroup=16)
    with pytest.raises(UsageError, match="unknown output of 'shifted': 'x': known: y"):
        library["shifted"].sanitize([x, x.copy()], grid=16, threadgroup=16, outputs=["x"])


def test_outputs_by_index(library: Library) -> None:
    y, half = np.zeros(64, np.float32), np.array([64], "u4")
    report = library["halves"].sanitize({0: y, 1: half}, grid=64, threadgroup=64, outputs=[0])
    assert [found.kind for found in report.findings] == ["unwritten_output"]
    with pytest.raises(UsageError, match="output of 'halves'"):
        library["halves"].sanitize({0: y, 1: half}, grid=64, threadgroup=64, outputs=[1])


def test_a_text_is_a_library_as_a_file_is(
    metal_library: MetalLibrary, sanitized: Sanitized
) -> None:
    text = "kernel void one(device float* y, uint i [[thread_position_in_grid]]) { y[i] = 1; }"
    library = metal_library(text)
    assert metal_library(text) is library
    y = np.zeros(4, np.float32)
    sanitized(library["one"], [y], grid=4, threadgroup=4, outputs=["y"])
    assert y.all()
    with pytest.raises(pytest.fail.Exception, match="out-of-bounds write"):
        sanitized(library["one"], [y], grid=5, threadgroup=5)


def sanitize(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foundry", "sanitize", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)


def test_the_command_prints_a_fault_as_a_compiler_would(path: Path) -> None:
    done = sanitize(
        path, "--function", "shifted", "--grid", "16", "--threadgroup", "16",
        "--buffer", "x=f32[16]", "--buffer", "1=f32[16]:new",
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert done.stdout.startswith("lib/helpers.h:4: error: out-of-bounds read: thread (15, 0, 0)")
    assert "    4 |   return p[i + 1];" in done.stdout


STRUCTS = {
    "u32:7,f32:0.5": np.array([(7, 0.5)], [("n", "u4"), ("a", "f4")]),
    "u8:1, u64:0x10,bool:true": np.array(
        [(1, 16, True)], np.dtype([("a", "u1"), ("b", "u8"), ("c", "?")], align=True)
    ),
    "f16:1": np.array([1], "f2"),
    "f16:-inf,f32:0.1": np.array(
        [(-np.inf, 0.1)], np.dtype([("a", "f2"), ("b", "f4")], align=True)
    ),
    "bool:1": np.array([True]),
}


@pytest.mark.parametrize("spec", STRUCTS)
def test_a_struct_is_given_by_its_members(spec: str) -> None:
    given = parse_buffers([f"args={spec}"], seed=0)
    assert given.arrays["args"].view(STRUCTS[spec].dtype) == STRUCTS[spec]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("u32:-1", "is no uint32"),
        ("u32:1.5", "is no uint32"),
        ("u8:300,f32:1", "is no uint8"),
        ("u32:nan", "nan is no uint32"),
        ("i8:inf", "inf is no int8"),
        ("f16:1e9", "is no float16"),
        ("bf16:1e39", "is no bfloat16"),
        ("f32:1" + "0" * 400, "is no float32"),
        ("bool:7", "7 is no bool"),
        ("bool:nan", "nan is no bool"),
        ("u8[4]:300", "300 is no uint8"),
        ("u32[4]:nan", "nan is no uint32"),
        ("f16[4]:1e9", "is no float16"),
        ("u33:1", "did you mean"),
        ("f32:one", "reads as no buffer"),
        ("f32:1,", "reads as no buffer"),
    ],
)
def test_members_that_are_none(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_buffers([f"args={spec}"], seed=0)


def test_the_command_tells_all_as_json(path: Path) -> None:
    done = sanitize(
        path, "--json", "--function", "early", "--threadgroups", "2", "--threadgroup", "16",
        "--buffer", "y=f32[16]", "--threadgroup-memory", "0=64",
    )  # fmt: skip
    document = json.loads(done.stdout)
    kinds = {finding["kind"] for finding in document["findings"]}
    assert (done.returncode, document["status"]) == (4, "sanitizer_error")
    assert "uninitialised_read" in kinds


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "name one with --function"),
        (["--grid", "4"], 2, "--grid goes with --function NAME"),
        (["--function", "half", "--grid", "1", "--threadgroup", "1"], 2, "did you mean halves"),
        (
            ["--function", "halves", "--grid", "1", "--threadgroup", "1", "--buffer", "y"],
            2,
            "reads as no buffer",
        ),
    ],
)
def test_wrong_options(path: Path, arguments: list[str], code: int, said: str) -> None:
    done = sanitize(path, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


@pytest.mark.slow
def test_a_function_that_never_ends_is_a_finding(path: Path) -> None:
    done = sanitize(
        path, "--function", "endless", "--grid", "1", "--threadgroup", "1", "--buffer",
        "y=f32[1]:0.5",
    )  # fmt: skip
    assert done.returncode == 4
    assert "[runaway_loop]" in done.stdout
