"""What users got wrong, or what went wrong for them, in whole files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundry.errors import DoesNotBuild, LaunchFailed, UsageError
from foundry.metal import Library

HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"
SIZES: dict[str, Any] = {"grid": 64, "threadgroup": 64}
AT = "uint i [[thread_position_in_grid]]"
DIVIDING = f"""
import numpy as np
from foundry.metal import Library
HEAD = {HEAD!r}
plain = Library(HEAD + "kernel void f(device int* o, {AT}) {{ o[i] = i; }}")["f"]
text = "kernel void f(device int* o, constant int& s, {AT}) {{ o[i] = 7 / s; }}"
divide = Library(HEAD + text)["f"]
o = np.zeros(8, np.int32)
sizes = dict(grid=8, threadgroup=8)
plain.sanitize([o], **sizes)
plain([o], **sizes)
divide.sanitize([o, 0], **sizes)
for _ in range(2):
    divide([o, 0], **sizes)
    divide.sanitize([o, 0], **sizes)
print(o.tolist())
"""


def test_divisions_by_zero_are_survived_in_every_order_of_runs_and_checks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIVIDING], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([0] * 8)


def floats(body: str) -> tuple[Any, list[Any]]:
    """A kernel from x to o, and arrays for it."""
    text = f"{HEAD}kernel void f(device float* o, device const float* x, {AT}) {{ {body} }}"
    return Library(text)["f"], [np.zeros(64, np.float32), np.arange(64, dtype=np.float32)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("o[i] = simd_shuffle(x[i], ushort(40));", "lane 40 of a SIMD-group of 32"),
        ("o[i] = simd_shuffle(x[i], ushort(i));", "lane 32 of a SIMD-group of 32"),
        ("o[i] = simd_broadcast(x[i], ushort(33));", "lane 33 of a SIMD-group of 32"),
        ("o[i] = quad_broadcast(x[i], ushort(9));", "lane 9 of a quad-group of 4"),
        ("device float* p = nullptr; o[i] = p[i];", "an address that belongs to no array"),
    ],
)
def test_what_is_not_there_is_found(body: str, said: str) -> None:
    function, arrays = floats(body)
    assert any(said in found.sentence for found in function.sanitize(arrays, **SIZES).findings)


@pytest.mark.parametrize(
    "body", ["o[i] = simd_shuffle(x[i], ushort(i & 31));", "o[i] = quad_shuffle_xor(x[i], 3);"]
)
def test_lanes_that_are_there_are_no_finding(body: str) -> None:
    function, arrays = floats(body)
    assert not function.sanitize(arrays, **SIZES).findings


def test_a_pointer_to_nothing_ends_the_launch() -> None:
    function, arrays = floats("device float* p = nullptr; o[i] = p[i];")
    with pytest.raises(LaunchFailed, match="no array"):
        function(arrays, **SIZES)


def test_a_kernel_that_gives_something_back_is_refused_on_its_line() -> None:
    with pytest.raises(DoesNotBuild, match=r":3: error: kernel function 'f' must have void return"):
        Library(f"{HEAD}kernel int f(device int* o) {{ return 1; }}\n")


@pytest.mark.parametrize(
    ("text", "said"), [("", "empty"), ("kernel void f() {}\n;\0", "line 2 .* NUL")]
)
def test_texts_that_are_none(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Library(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"kernel void f(device int* o [[buffer(0)], {AT}) {{ o[i] = 1; }}", r":1:41: .*'\]'"),
        ("constant int A [[function_constant(0)];\nkernel void f() {}", r":1:39: .*'\]'"),
        (
            f"template <typename T> [[kernel]] void f(device T* o, {AT}) {{\n  o[i] = T(2;\n}}\n"
            'template [[host_name("g")]] [[kernel]] void f<float>(device float*, uint);',
            r":2: error: '\(' has no bracket that matches it",
        ),
        ("inline float g(float v) { return v *\n", ":1:25: error: expected '}'"),
    ],
)
def test_a_bracket_that_stays_open_is_told_by_its_place(text: str, said: str) -> None:
    with pytest.raises(DoesNotBuild, match=said):
        Library(text)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "marked.metal"
    path.write_text(f"\ufeff{HEAD}kernel void f(device int* o) {{ o[0] = 1; }}\n")
    assert Library(path).names == ["f"]
