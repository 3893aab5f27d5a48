from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ops
from foundry.kernel import parse
from foundry.kernel.normal_form import normalise, tokens
from templates.registry import all_templates, one_of_each_text
from templates.render import render
from templates.space import default

FRONT = '/*kernel\nop = "demo"\ngrid = ["rows * 32", 1, 1]\nthreadgroup = [32]\n{keys}*/\n'
PLAIN = """
uint row = threadgroup_position_in_grid.x;
float sum = 0, scale = 2;
for (uint i = thread_position_in_threadgroup.x; i < cols; i += 32) {
  sum += float(x[row * cols + i]);
}
sum = simd_sum(sum);
out[row] = T(sum * scale);
"""


def kernel(body: str, header: str = "", keys: str = "") -> str:
    return FRONT.format(keys=keys) + header + "\n// --- body ---\n" + body


def rename(text: str, **names: str) -> str:
    for old, new in names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return text


SAME = {
    "locals": (PLAIN, rename(PLAIN, row="r", sum="total", scale="factor", i="column")),
    "swapped locals": (PLAIN, rename(PLAIN, sum="tmp", scale="sum", tmp="scale")),
    "space": (PLAIN, PLAIN.replace(" ", "  ").replace("\n", "\n\n")),
    "comments": (PLAIN, PLAIN.replace(";", "; // note: sum\n/* x */", 3)),
    "spliced lines": (PLAIN, PLAIN.replace("sum = simd", "sum = \\\n  simd")),
    "one name in two scopes": (
        "for (int i = 0; i < 2; ++i) out[i] = x[i]; for (int i = 0; i < 2; ++i) out[i] = x[i];",
        "for (int a = 0; a < 2; ++a) out[a] = x[a]; for (int b = 0; b < 2; ++b) out[b] = x[b];",
    ),
    "pointers and arrays": (
        "device T* p = out + 1; threadgroup float shared[32]; shared[0] = 1; p[0] = shared[0];",
        "device T * q = out + 1; threadgroup float tile[32]; tile[0] = 1; q[0] = tile[0];",
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_names_comments_and_space_do_not_matter(name: str) -> None:
    one, other = SAME[name]
    assert normalise(kernel(one)) == normalise(kernel(other))


def test_helpers_constants_and_temporaries_are_local_too() -> None:
    header = "template <typename U> inline U twice(U value) { return value + value; }"
    body = "out[0] = twice(x[0]) + T(N);"
    keys = (
        '[temporaries.partial]\nshape = ["rows", "cols * 2"]\n'
        '[constants]\nN = "cols * 2"\nM = "N + 1"\n'
    )
    renamed = (
        rename(body, twice="dbl", N="COUNT"),
        rename(header, twice="dbl", value="v", U="Type"),
        rename(keys, partial="sums", N="COUNT", M="NEXT"),
    )
    assert normalise(kernel(body, header, keys)) == normalise(kernel(*renamed))


DIFFERENT = {
    "another tensor": ("out[0] = x[0];", "out[0] = w[0];"),
    "another function": ("out[0] = exp(x[0]);", "out[0] = log(x[0]);"),
    "a local named as the function it calls": (
        "float exp = metal::exp(x[0]); out[0] = exp;",
        "float log = metal::log(x[0]); out[0] = log;",
    ),
    "another local": (
        "float a = x[0]; float b = x[1]; out[0] = a;",
        "float a = x[0]; float b = x[1]; out[0] = b;",
    ),
    "another member": (
        "struct P { float a; float b; }; P p; p.a = x[0]; p.b = 0; out[0] = p.a;",
        "struct P { float b; float a; }; P p; p.a = x[0]; p.b = 0; out[0] = p.a;",
    ),
    "a shadow that ends": (
        "{ float w = 1; out[1] = w; } out[0] = w[0];",
        "{ float x = 1; out[1] = x; } out[0] = x[0];",
    ),
    "a loop variable that ends": (
        "for (int x = 0; x < 3; ++x) out[x] = 1; out[0] = x[0];",
        "for (int w = 0; w < 3; ++w) out[w] = 1; out[0] = w[0];",
    ),
    "another literal": ("out[0] = 1.0f;", "out[0] = 1.5f;"),
    "another macro": (
        "#define N 2\nfloat v = N; out[0] = v;",
        "#define N 3\nfloat v = N; out[0] = v;",
    ),
    "a product is no declaration": ("out[0] = y * x;", "out[0] = x * y;"),
    "another order": ("out[0] = 1; out[1] = 2;", "out[1] = 2; out[0] = 1;"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_computes_something_else_stays_apart(name: str) -> None:
    one, other = DIFFERENT[name]
    assert normalise(kernel(one)) != normalise(kernel(other))


def test_a_helper_parameter_named_as_a_tensor_stays_apart() -> None:
    one = kernel("out[0] = f(x[0]);", "inline float f(float x) { return x * 2; }")
    other = kernel("out[0] = f(w[0]);", "inline float f(float w) { return w * 2; }")
    assert normalise(one) != normalise(other)
    same = kernel("out[0] = g(x[0]);", "inline float g(float v) { return v * 2; }")
    assert normalise(one) == normalise(same)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rows * 32", "rows * 64"),
        ("threadgroup = [32]", "threadgroup = [64]"),
        ("threadgroup = [32]", 'threadgroup = [32]\nmath_mode = "fast"'),
        ("threadgroup = [32]", "threadgroup = [32]\ninit_value = 0"),
        ('"demo"', '"other"'),
    ],
)
def test_the_launch_is_part_of_it(old: str, new: str) -> None:
    text = kernel(PLAIN)
    assert normalise(text) != normalise(text.replace(old, new))
    assert normalise(text) == normalise(text.replace("rows * 32", "rows*32"))


@pytest.mark.parametrize("name", sorted(t.name for t in one_of_each_text()))
def test_templates_with_other_names_are_the_same(name: str) -> None:
    template = all_templates()[name]
    text = render(template, default(template))
    local = set(re.findall(r"\b(?:uint|float|size_t|int|T)\s+(\w+)\s*(?:=|;|,|\()", text))
    local -= set(re.findall(r"\w+", " ".join(re.findall(r"(?s)/\*kernel.*?\*/", text))))
    op = ops.get(template.op)
    local -= {tensor.name for tensor in (*op.inputs, *op.outputs)} | set(op.params)
    assert local, "the template declares nothing; the test looks for the wrong thing"
    other = rename(text, **{old: f"{old}_renamed" for old in local})
    assert parse(other).hash != parse(text).hash
    assert normalise(other) == normalise(text)


def test_templates_of_one_op_stay_apart() -> None:
    forms = [normalise(render(t, default(t))) for t in all_templates().values()]
    assert len(set(forms)) == len(forms)


def test_a_text_that_is_no_kernel_only_loses_space() -> None:
    assert normalise("  I am sorry,\n I cannot.") == "I am sorry, I cannot."


_PIECES = [
    "float",
    "a",
    "b",
    "x",
    "(",
    ")",
    "{",
    "}",
    ";",
    ",",
    "=",
    "*",
    "<",
    ">",
    ".",
    "for",
    "::",
]


@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=40))
def test_any_source_has_a_normal_form(pieces: list[str]) -> None:
    text = kernel(" ".join(pieces))
    assert normalise(text) == normalise(text)
    assert normalise(kernel("\n ".join(pieces))) == normalise(text)
    assert len(tokens(text)) >= len(pieces)


@given(st.text(max_size=60))
def test_any_text_has_a_normal_form(text: str) -> None:
    normalise(text)
    normalise(kernel(text + "\nx"))


@pytest.mark.parametrize("unit", ["int a,", "int a=", "a b,", "(a", "{int a;", "f(int a, b", 'R"('])
def test_no_text_takes_the_square_of_its_length(unit: str) -> None:
    text = kernel(unit * (40_000 // len(unit)))
    start = time.thread_time()
    tokens.__wrapped__(text)
    assert time.thread_time() - start < 2.0
