"""A kernel function is called by the host alone (MSL 5.1)."""

from __future__ import annotations

import pytest

from foundry.msl.frontend.refusals import kernels
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import tokenize

ONE = "kernel void one(device float* x) { x[0] = 1; }\n"
TEMPLATE = "template <typename T> [[kernel]] void one(device T* x) { x[0] = 1; }\n"


@pytest.mark.parametrize(
    "text",
    [
        ONE + "kernel void two(device float* x) { one(x); }",
        ONE + "[[kernel]] void two(device float* x [[buffer(0)]]) {\n if (x[0] > 1)\n ::one(x); }",
        TEMPLATE + "kernel void two(device float* x) { one<float>(x); }",
        TEMPLATE + "kernel void two(device float* x) { one(x); }",
        ONE + "fragment float4 two(device float* x) { one(x); return 0; }",
        "kernel void one(device float* x) { if (x[0] > 0) one(x); }",
        "[[kernel, max_total_threads_per_threadgroup(64)]] void one(device float* x) { one(x); }",
        ONE + "kernel void two(device float* x) { return one(x); }",
        ONE + "kernel void two(device float* x) { if (x[0]) x[1] = 2; else ::one(x); }",
        ONE + "inline void helper(device float* x) {\n one(x); }",
        ONE + "template <typename T> void helper(device T* x) { x[0] = 0; one(x); }",
        ONE + "struct S { void run(device float* x) const { one(x); } };",
        TEMPLATE + "inline void helper(device float* x) { one<float>(x); }",
        ONE + "namespace a { static void helper(device float* x) { ::one(x); } }",
        ONE + "auto helper(device float* x) -> float { one(x); return 1; }",
        ONE + "auto helper(device float* x) -> metal::vec<float, 2> { one(x); return 1; }",
        ONE + "struct S { void run(device float* x) const device { one(x); } };",
        ONE + "struct S { float a, b; S(device float* x) : a(0), b{1} { one(x); } };",
        ONE + "struct S { float a; S(device float* x); }; S::S(device float* x) : a(0) { one(x); }",
        ONE + "struct S { Add two; float run(device float* x) { two(x); one(x); } };",
        ONE + "struct T { Add one; }; struct S { void run(device float* x) { one(x); } };",
    ],
)  # fmt: skip
def test_a_function_that_calls_a_kernel_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="the kernel function 'one' cannot be called") as caught:
        kernels.check(list(tokenize(text)), "header")
    assert caught.value.line == text[: text.rindex("one")].count("\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        ONE + "kernel void two(device float* x) { x[1] = 2; }",
        "float one(float a) { return a; }\nkernel void two(device float* x) { x[0] = one(1); }",
        ONE + "void one(thread float& v) { v = 1; }\nkernel void two() { float v; one(v); }",
        ONE + "kernel void two(device S* s) { s->one(s); s[0].one(s); }",
        ONE + "kernel void two(device float* x) { auto one = [](int v) { return v; }; one(2); }",
        TEMPLATE + "template [[host_name(\"one_f\")]] [[kernel]] decltype(one<float>) one<float>;",
        TEMPLATE + "template kernel void one<float>(device float*);\nkernel void two() { }",
        "kernel void one(device float* x);\n" + ONE,
        "kernel void exp(device float* x) { x[0] = metal::exp(x[0]); }",
        "kernel void exp(device float* x) { x[0] = exp(precise::exp(x[0])); }",
        "kernel void sum(device float* x) { float sum(0); sum += x[0]; x[0] = sum; }",
        "kernel void sum(device float* x) { vec<float, 2> sum(0); x[0] = sum.x; }",
        ONE + "kernel void two(device float* x) { thread float* one(0); x[0] = one == 0; }",
        ONE + "kernel void two(device float* x) { Add one; x[0] = one(1, 2); }",
        ONE + "template <typename T> float helper(T one) { return one(1); }",
        ONE + "struct S { float one; S() : one(0) {} float get() const { return one; } };",
        ONE + "struct S { Add one; float run(float a) { return one(a); } };",
        ONE + "struct S { Add one; float run(float a); }; float S::run(float a) { return one(a); }",
        "template <typename A> struct S { A one; float run(float a); };\n" + ONE
        + "template <typename A> float S<A>::run(float a) { return one(a); }",
        ONE + "struct S { struct R { float run(float a) { return one(a); } }; Add one; };",
        ONE + "kernel void two(device float* x) { x[0] = x[1] > 0 ? f(x) : one[0]; }",
        ONE + "kernel void two(device float* x) { thread const T& one = x[0]; x[1] = one(2); }",
    ],
)  # fmt: skip
def test_other_calls_are_not(text: str) -> None:
    kernels.check(list(tokenize(text)), "header")


def test_the_body_of_a_kernel_is_one() -> None:
    body = list(tokenize("uint i = 0;\none(x);"))
    kernels.check_body(body, "source", frozenset())
    with pytest.raises(Refused, match="^source:2: error: the kernel function"):
        kernels.check_body(body, "source", kernels.check(list(tokenize(ONE)), "header"))
