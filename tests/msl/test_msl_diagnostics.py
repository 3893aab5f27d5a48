"""Compiler messages stand on the user's own lines and columns, with nothing of the machine."""

from __future__ import annotations

import re
import time

import pytest

from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure, Launch, Program, TensorSpec


def log_of(source: str, header: str = "") -> str:
    launch = Launch(
        "k", ("x",), (TensorSpec("out", (8,), "float32"),), source, (8, 1, 1), (8, 1, 1),
        header=header,
    )  # fmt: skip
    built = CpuEngine().build(Program((TensorSpec("x", (8,), "float32"),), ("out",), (launch,)))
    assert isinstance(built, BuildFailure)
    return built.log


@pytest.mark.parametrize(
    ("source", "header", "expected"),
    [
        ("\n\n  out[0] = nope;", "", "source:3:12: error: use of undeclared identifier 'nope'"),
        ("out[0] = f();", "\nfloat f() { return g(); }\n", "header:2:20: error: use of undecl"),
        ("float y = 1.0\nout[0] = y;", "", "source:1:14: error: expected ';'"),
        ("float r = simd_sum(x[0]) + simd_max(q);\nout[0]=r;", "", "source:1:37: error: use of"),
        ("threadgroup float s[32]; s[0] = nope;\nout[0] = s[0];", "", "source:1:33: error: use"),
        ("out[0] = 1; {", "", "source:1: error: "),
        ("out[0] = 1; } }", "", "source:1:15: error: extraneous closing brace"),
        ("for (int i = 0; i < 4; i++) {\n  out[i] = simd_sum(x[i], 1, 2);\n}", "",
         "source:2:12: error: no matching function for call to 'simd_sum'"),
        ("/* a\n b */ int a \\\n = 1;\n out[0] = nope;", "", "source:4:11: error: use of"),
        ("#define S(a) threadgroup float a\nS(t)[4];\nout[0] = nope;", "", "source:3:10: error"),
        ("threadgroup float t = 3;\nout[0] = t;", "",
         "source:1: error: a threadgroup variable cannot have an initializer"),
    ],
)  # fmt: skip
def test_messages_stand_on_the_users_lines(source: str, header: str, expected: str) -> None:
    log = log_of(source, header)
    assert expected in log.split("\n")[0], log


@pytest.mark.parametrize(
    "source",
    [
        "out[0] = nope;",
        "out[0] = metal::fast::exp(1, 2, 3);",
        "out[0] = float4(1, 2, 3);",
        "out[0] = 1; {",
        "float4 v = 1; out[0] = v.w.q;",
        "matrix<float, 2, 2> m; out[0] = m;",
        "undefined_function(out[0]);",
        'static_assert(sizeof(int) == 8, "no");',
    ],
)
def test_nothing_of_the_machine_or_the_wrapper_shows(source: str) -> None:
    log = log_of(source)
    assert not re.search(r"/|launch:|signature:|stdin|mf_|In file included|generated", log), log
    assert re.search(r"^source:1", log)


def test_the_line_shown_is_the_users_line() -> None:
    log = log_of("uint i = 0;\nout[i] = simd_sum(x[i]) + oops;")
    assert log == (
        "source:2:27: error: use of undeclared identifier 'oops'\n"
        "    2 | out[i] = simd_sum(x[i]) + oops;\n"
        "      |                           ^"
    )


def test_texts_beyond_all_measure_are_refused() -> None:
    assert "characters" in log_of("out[0] = 1;" + " " * 1_000_000)
    assert "error: " in log_of("for (;;) " * 3000 + "out[0] = simd_sum(1.0f);")


@pytest.mark.parametrize("last", ["// helpers", "#define A 1", "#include <metal_stdlib>"])
def test_a_header_that_swallows_the_signature_is_told(last: str) -> None:
    log = log_of("out[0] = 1;", f"int f();\n{last}")
    assert log.startswith("header:2: error: the header must end with a newline")


@pytest.mark.parametrize(
    ("kernel", "array", "words"),
    [
        ("a b", "x", "the kernel's name holds ' ': it becomes part of the name of a Metal"),
        ("k!", "x", "the kernel's name holds '!'"),
        ("k", "float", "error: in the kernel's signature: "),
    ],
)
def test_a_name_that_is_none_is_told_without_a_line(kernel: str, array: str, words: str) -> None:
    out, x = TensorSpec("out", (8,), "float32"), TensorSpec(array, (8,), "float32")
    launch = Launch(kernel, (array,), (out,), "out[0] = 1;", (8, 1, 1), (8, 1, 1))
    built = CpuEngine().build(Program((x,), ("out",), (launch,)))
    assert isinstance(built, BuildFailure)
    assert built.log.startswith(words)


@pytest.mark.parametrize(
    ("source", "header"),
    [
        ("out[0] = f<0>::v;", "template <int N> struct f { enum { v = f<N + 1>::v }; };\n"),
        ("constexpr int v = f(1); out[0] = v;",
         "constexpr int f(int n) { for (;;) ++n; return n; }\n"),
        pytest.param("constexpr int v = f(40); out[0] = v;",
                     "constexpr int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); }\n",
                     marks=pytest.mark.slow),
        ("out[0] = B9;", "#define A(x) x##x\n#define B0 x[0] + x[0] + x[0] + x[0] + x[0]\n"
         + "".join(f"#define B{n + 1} " + " + ".join([f"B{n}"] * 9) + "\n" for n in range(9))),
        ("out[0] = t[uint(x[0])];", "constant int t[1 << 28] = {1};\n"),
    ],
)  # fmt: skip
def test_compiler_bombs_end(source: str, header: str) -> None:
    started = time.monotonic()
    assert "error" in log_of(source, header)
    assert time.monotonic() - started < 60  # the limit itself, not a measurement


WHOLE_HEADER = """\
template <typename T> struct Pair { T a, b; };
inline float f(float v, thread const float* p) { return v + p[0] * (p[1] - 2.0f); }
"""
WHOLE_SOURCE = """\
uint i = thread_position_in_grid.x;
threadgroup float part[8];
thread float two[2] = {x[i], 1.0f};
part[i] = f(x[i], two);
threadgroup_barrier(mem_flags::mem_threadgroup);
if (i == 0) { out[0] = simd_sum(part[0]); }
"""


@pytest.mark.parametrize("part", ["header", "source"])
def test_a_text_without_one_of_its_brackets_is_refused_on_a_line(part: str) -> None:
    """A pass of the translation may go beyond the end of what is never closed."""
    whole = {"header": WHOLE_HEADER, "source": WHOLE_SOURCE}
    for found in re.finditer(r"[(){}\[\]]", whole[part]):
        lost = whole[part][: found.start()] + whole[part][found.end() :]
        log = log_of(**{**whole, part: lost})
        told = re.search(r"^(header|source):\d+(:\d+)?: error: ", log, re.MULTILINE)
        assert told, (found.start(), log)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("out[0] = 1.0f; static }", "source:1: error: static variable must reside in constant"),
        ("out[0] = 1.0f; float (* }", "source:1:25: error: expected"),
        ("out[0] = 1.0f; return v; static", "source:1:23: error: use of undeclared"),
    ],
)
def test_a_text_that_ends_in_a_declaration_is_refused_on_its_line(
    source: str, expected: str
) -> None:
    assert log_of(source).startswith(expected)
