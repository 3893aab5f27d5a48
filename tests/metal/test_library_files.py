"""Whole files that Metal's compiler refuses or takes, and calls that fit them or do not."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundry.errors import DoesNotBuild, UsageError
from foundry.metal import Library
from foundry.metal.library import spliced_file
from foundry.metal.reading import slots
from foundry.metal.reading.declarations import declarations
from foundry.metal.reading.parameters import parameters_of
from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import tokenize

BEGINNING = "#include <metal_stdlib>\nusing namespace metal;\n"
_HEAD = re.compile(r"(?m)^== (.+)\n")
_SAMPLE = 9
"""Of so many files `make test` reads one; `make test-slow` reads all."""


def files(name: str) -> dict[str, str]:
    _, *found = _HEAD.split((Path(__file__).parent / name).read_text())
    return dict(zip(found[::2], found[1::2], strict=True))


def dealt(texts: dict[str, str]) -> list[Any]:
    return [
        pytest.param(text, id=name, marks=[pytest.mark.slow] * bool(n % _SAMPLE))
        for n, (name, text) in enumerate(texts.items())
    ]


@pytest.mark.parametrize("text", dealt(files("files_refused.txt")))
def test_what_metal_refuses_does_not_build(text: str) -> None:
    with pytest.raises(DoesNotBuild):
        Library(BEGINNING + text)["f"]


@pytest.mark.parametrize("text", dealt(files("files_accepted.txt")))
def test_what_metal_takes_builds(text: str) -> None:
    library = Library(BEGINNING + text)
    assert library[library.names[-1]].buffers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("01", 1), ("017", 15), ("0x1F", 31), ("00", 0), ("0", 0), ("( 400 + 1 )", 401),
        ("- 1", -1), ("7u", 7), ("1 + 2 - 3", 0), ("N", None), ("08", None), ("2 * 3", None),
        ("", None), ("1 +", None), ("(1) + (2)", None),
    ],
)  # fmt: skip
def test_a_slot_is_a_sum_of_numbers(text: str, value: int | None) -> None:
    assert slots.number(text) == value


SLOTS = """\
#define FC 400
constant int a [[function_constant(FC + 1)]];
constant int b [[function_constant(401)]];
kernel void f(device float* o [[buffer(0x1 + 1)]], constant float* x) { o[0] = a + b + x[0]; } //"""


def test_indices_are_sums_and_a_file_may_end_in_a_comment() -> None:
    library = Library(BEGINNING + SLOTS, function_constants={401: 3})
    out = np.zeros(1, np.float32)
    library["f"]({2: out, "x": np.ones(1, np.float32)}, grid=1, threadgroup=1)
    assert out[0] == 7


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("[[function_constant(65536)]]", "65536 is not in 0 to 65535"),
        ("[[function_constant(-1)]]", "-1 is not in 0 to 65535"),
        ("[[function_constant(0)]] = 3", "no initialiser"),
    ],
)
def test_function_constants_that_metal_refuses(attribute: str, words: str) -> None:
    text = f"constant int a {attribute};\nkernel void f(device float* o) {{ o[0] = a; }}\n"
    with pytest.raises(DoesNotBuild, match=words):
        Library(BEGINNING + text)


ALIASES = """\
typedef device float* P, *Q; using S = threadgroup float*; using C = const device float*;
namespace n { typedef constant int& R; template <typename T> using V = device T*; }
struct A { using B = device float*; using P = threadgroup float*; };
kernel void f(P a, const Q b, S s, C c, n::R d, n::V<int> e, A::B g, A::P t, device const P* h,
    uint i [[thread_position_in_grid]]) {}
"""
"""With `P` at the very beginning, and another one in a class."""


def test_parameters_are_what_their_aliases_stand_for() -> None:
    code = Code(list(tokenize(ALIASES)))
    found = parameters_of(next(d for d in declarations(code) if "kernel" in d.head))
    told = {p.name: (p.kind, p.slot, p.sign, p.is_const) for p in found}
    assert told == {
        "a": ("buffer", "0", "*", False), "b": ("buffer", "1", "*", False),
        "s": ("threadgroup", "0", "*", False), "c": ("buffer", "2", "*", True),
        "d": ("buffer", "3", "&", True), "e": ("buffer", "4", "*", False),
        "g": ("buffer", "5", "*", False), "t": ("threadgroup", "1", "*", False),
        "h": ("buffer", "6", "*", False), "i": ("attribute", "thread_position_in_grid", "", False),
    }  # fmt: skip


@pytest.mark.parametrize("grid", [0, -1, 1.5, "4", (1, 2, 3, 4), (), None, (4, "1")])
def test_a_grid_that_is_none(grid: Any) -> None:
    library = Library(BEGINNING + "kernel void f(device float* o) { o[0] = 1; }")
    with pytest.raises(UsageError, match="grid"):
        library["f"]([np.zeros(1, np.float32)], grid=grid, threadgroup=1)


def test_sizes_may_be_of_numpy() -> None:
    library = Library(BEGINNING + "kernel void f(device float* o) { o[0] = 1; }")
    out = np.zeros(1, np.float32)
    library["f"]([out], grid=np.int64(4), threadgroup=(np.int32(2), 1))
    assert out[0] == 1


def test_a_kernel_without_parameters_runs() -> None:
    noop = Library(BEGINNING + "kernel void noop() {}")["noop"]
    noop([], grid=4, threadgroup=4)
    assert noop.sanitize([], grid=4, threadgroup=4).findings == ()


def test_a_logger_builds() -> None:
    text = (
        'constant metal::os_log logger("a", "b");\nkernel void f(device float* o) { o[0] = 1; }\n'
    )
    assert Library("#include <metal_logging>\n" + BEGINNING + text)["f"].buffers


def test_a_file_of_two_names_is_one(tmp_path: Path) -> None:
    """As `A.h` and `a.h` are on a Mac, whose compiler counts files and not names."""
    header = tmp_path / "a.h"
    header.write_text("#pragma once\ninline float half_of(float x) { return 0.5f * x; }\n")
    os.link(header, tmp_path / "A.h")
    file = tmp_path / "f.metal"
    file.write_text('#include "a.h"\n#include "A.h"\nkernel void f(device float* o) { *o = 1; }\n')
    assert spliced_file(file).text.count("half_of") == 1


@pytest.mark.parametrize("name", ["x" * 300, "loop.h"])
def test_a_name_that_no_file_can_have_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop.h").symlink_to("loop.h")
    file = tmp_path / "f.metal"
    file.write_text(f'#include "{name}"\nkernel void f(device float* o) {{ *o = 1; }}\n')
    with pytest.raises(DoesNotBuild, match="f.metal:1: error: .*no such file"):
        spliced_file(file)
