"""Tokens are the text again, on its own lines; threadgroup declarations are told from pointers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry.msl.frontend.rewriting.elements import with_indexed
from foundry.msl.frontend.rewriting.spelling import respell, without_object_space
from foundry.msl.frontend.rewriting.threadgroup import BadDeclaration, rewrite
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SPACE, join_lines, tokenize

SNIPPETS = st.lists(
    st.sampled_from(
        ["a", "1.5e-3f", "1'000", '"s\\"t"', "'c'", "'", '"', "//", "/*", "*/", "\n", "#",
         "%:",
         "#define X", " ", "<:", ":>", "<%", "<<", "::", "{", "}", "\\\n", "R\"(", ")\"", "\t",
         "\r", "é", "threadgroup", "float", "[4]", ";", "##", "0x1p-3"]
    ),
    max_size=30,
).map("".join)  # fmt: skip
DIGRAPHS = {"<:": "[", ":>": "]", "<%": "{", "%>": "}", "%:": "#"}


@given(SNIPPETS | st.text(max_size=40))
def test_tokens_are_the_text_on_its_lines(text: str) -> None:
    joined = join_lines(text)
    position, line, line_at = 0, 1, 0
    for token in tokenize(joined):
        assert token.line == line
        assert token.column == position - line_at + 1
        raw = joined[position : position + len(token.text)]
        length = len(token.text)
        if raw != token.text:
            raw = next(d for d, sign in DIGRAPHS.items() if joined.startswith(d, position))
            assert DIGRAPHS[raw] == token.text or token.text == "##"
            length = 4 if token.text == "##" else 2
        newlines = joined.count("\n", position, position + length)
        if newlines:
            line_at = joined.rindex("\n", position, position + length) + 1
        line += newlines
        position += length
    assert position == len(joined)


@given(SNIPPETS)
def test_joining_lines_keeps_the_number_of_lines(text: str) -> None:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert join_lines(text).count("\n") == plain.count("\n")
    assert "\\\n" not in join_lines(text)


def kinds(text: str) -> list[tuple[str, str]]:
    return [(t.kind, t.text) for t in tokenize(join_lines(text)) if t.kind != SPACE]


def test_what_a_compiler_sees_is_what_tokens_say() -> None:
    assert kinds("// a\rb") == [(COMMENT, "// a"), (NAME, "b")]
    assert kinds("thr\\\nead") == [(NAME, "thread")]
    assert kinds("/* x */ # define Y // z")[1] == (DIRECTIVE, "# define Y ")
    assert kinds("a # b")[1][0] != DIRECTIVE
    assert kinds("don't /*\nb")[-1] == (NAME, "b")
    assert kinds('R"(\n")" "b"') == [("string", 'R"(\n")"'), ("string", '"b"')]
    assert kinds("<::a")[:2] == [("sign", "<"), ("sign", "::")]


def declared(text: str) -> list[tuple[str, ...]]:
    return [s.names for s in rewrite(list(tokenize(text)), 0, "source")[1]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("threadgroup float a[4];", [("a",)]),
        ("threadgroup float a[N * 2][M], b, c[4];", [("a",), ("b",), ("c",)]),
        ("{ threadgroup T a; threadgroup U b[2]; }", [("a",), ("b",)]),
        ("float threadgroup a[4];", [("a",)]),
        ("alignas(16) threadgroup half a[4];", [("a",)]),
        ("threadgroup alignas(16) half a[4];", [("a",)]),
        ("threadgroup __attribute__((aligned(16))) half a[4];", [("a",)]),
        ("static threadgroup float a[4];", [("a",)]),
        ("volatile threadgroup int a;", [("a",)]),
        ("threadgroup vec<float, (4 > 2) ? 4 : 2> a[4];", [("a",)]),
        ("threadgroup metal::array<vec<float, 4>, 8> a, b[2];", [("a",), ("b",)]),
        ("threadgroup atomic_uint n;", [("n",)]),
        ("threadgroup atomic<int> n[4];", [("n",)]),
        ("if (x) { y(); } threadgroup float a[4];", [("a",)]),
        ("#define X\nthreadgroup float a[4];", [("a",)]),
        ("case 1: threadgroup float a[4];", [("a",)]),
        ("threadgroup float a[sizeof(float*)];", [("a",)]),
        ("threadgroup // why\n float /* b */ a[4];", [("a",)]),
        ("threadgroup float* p;", []),
        ("threadgroup float* p = a + 1;", []),
        ("threadgroup const T* p = (threadgroup const T*)a;", []),
        ("const threadgroup float4* p = a;", []),
        ("threadgroup float& r = a[0];", []),
        ("threadgroup float (&r)[4] = a;", []),
        ("threadgroup float (*p)[4] = a;", []),
        ("auto p = (threadgroup float*)a;", []),
        ("auto p = reinterpret_cast<threadgroup uint*>(a);", []),
        ("void f(threadgroup float* p, threadgroup int& q) { p[0] = 1; }", []),
        ("void f(threadgroup float (&t)[4][4]);", []),
        ("using P = threadgroup float*;", []),
        ("typedef threadgroup float* P;", []),
        ("template <typename T> struct S { threadgroup T* p; const threadgroup T& r; };", []),
        ("Loader<threadgroup float*> l;", []),
        ("threadgroup float* f(int n) { return 0; }", []),
        ("[](threadgroup float* p) { }(a);", []),
        ("threadgroup auto* p = &a;", []),
        ("threadgroup_barrier(mem_flags::mem_threadgroup);", []),
    ],
)
def test_declarations_are_told_from_pointers(text: str, names: list[tuple[str, ...]]) -> None:
    assert declared(text) == names


def test_a_rewritten_declaration_keeps_its_lines() -> None:
    text = "int a;\nthreadgroup float s[4],\n  t[2];\nint b;"
    tokens, storages = rewrite(list(tokenize(text)), 3, "source")
    out = "".join(token.text for token in tokens)
    assert out.count("\n") == text.count("\n")
    assert out.split("\n")[3] == "int b;"
    assert [(s.number, s.line, s.names) for s in storages] == [(3, 2, ("s",)), (4, 2, ("t",))]


def test_zeros_set_nothing() -> None:
    text = "threadgroup float s[4] = {0}, t[2] = {0, 0.f}, u = 1;"
    with pytest.raises(BadDeclaration):
        declared(text)
    tokens, storages = rewrite(list(tokenize(text.replace(", u = 1", ", u"))), 0, "source")
    assert "=  {" not in "".join(token.text for token in tokens)
    assert [s.names for s in storages] == [("s",), ("t",), ("u",)]


def test_an_initializer_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="source:2: error: a threadgroup variable cannot"):
        declared("\nthreadgroup float a[2] = {1, 2};")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5h + 2h - .5H", "half(1.5f) + half(2) - half(.5f)"),
        ("1e-3bf, 1.BF", "bfloat(1e-3f), bfloat(1.f)"),
        ("1.5f 0x1h 2u 1.5 12", "1.5f 0x1h 2u 1.5 12"),
        ("#define EPS 1e-5h // 1h\n", "#define EPS half(1e-5f) // 1h\n"),
        ("float f() constant { }", "float f()   { }"),
        ("float f() const thread { }", "float f() const thread { }"),
        ("S() constant : a(1) { }", "S()   : a(1) { }"),
        ("f(constant float* p) { constant int* q = (constant int*)p; }",) * 2,
        ("if (x) constant float* p = y;",) * 2,
    ],
)
def test_metals_own_spellings(text: str, expected: str) -> None:
    respelt = without_object_space(respell(list(tokenize(text))))
    assert "".join(token.text for token in respelt) == expected


def test_elements_are_marked_in_a_text_that_ends_anywhere() -> None:
    whole = list(tokenize("f(a[0], b.x[1][2]); float& r = v[0]; p = &(((v[0]))); q = &(((("))
    for length in range(len(whole) + 1):
        assert len(with_indexed(whole[:length])) == length
