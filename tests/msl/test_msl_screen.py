"""What reaches outside a kernel is refused before a compiler sees it, however it is spelt."""

from __future__ import annotations

import pytest

from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure, Launch, Program, TensorSpec

FINE = "out[0] = x[0];"


def build(source: str = FINE, header: str = "") -> str | None:
    """The log of a kernel that does not build, None of one that does."""
    launch = Launch(
        "k", ("x",), (TensorSpec("out", (8,), "float32"),), source, (8, 1, 1), (8, 1, 1),
        header=header,
    )  # fmt: skip
    built = CpuEngine().build(Program((TensorSpec("x", (8,), "float32"),), ("out",), (launch,)))
    return built.log if isinstance(built, BuildFailure) else None


INCLUDES = [
    "#include <stdio.h>\n",
    '#include "/etc/passwd"\n',
    "  #  include <vector>\n",
    "/* a */ # /* b */ include /* c */ <stdio.h>\n",
    "#inclu\\\nde <stdio.h>\n",
    "#inclu\\ \nde <stdio.h>\n",
    "%:include <stdio.h>\n",
    "#define FILE <stdio.h>\n#include FILE\n",
    "#define Q(x) <x>\n#include Q(stdio.h)\n",
    "#import <stdio.h>\n",
    "#include_next <stdio.h>\n",
    "// a comment\r#include <stdio.h>\n",
    "constant char a = '\"'; /*\n*/ #include <stdio.h>\n",
    '#define X " /* \n#include <stdio.h>\n// */\n',
    "#if 0\ndon't /*\n#endif\n#include <stdio.h>\n/* */\n",
    "#if 1\n#include <stdio.h>\n#endif\n",
    '#embed "/etc/passwd"\n',
    'constant char a[] = {\n#embed "/etc/passwd"\n};\n',
    "import <stdio.h>;\n",
    "#include <metal_stdlib/../../x>\n",
]
ASSEMBLY = [
    'asm("nop");',
    '__asm__ volatile("nop");',
    "__asm { nop }",
    'as\\\nm("nop");',
    '#define A asm\nA("nop");',
    '#define P(a, b) a##b\nP(as, m)("nop");',
    '#define P(a, b) a%:%:b\nP(__as, m__)("nop");',
    '// hidden \\\r\n? \n asm("nop");',
    '/* */ asm(".incbin \\"/etc/passwd\\"");',
]
FOREIGN = [
    "__attribute__((constructor)) void f() {}\n",
    "__attribute__((__constructor__(101))) void f() {}\n",
    "__attribute__ ((aligned(4), destructor)) void f() {}\n",
    "[[gnu::constructor]] void f() {}\n",
    "[[using gnu: unused, constructor]] void f() {}\n",
    "[[clang::annotate(\"x\"), gnu::section(\".init_array\")]] int f = 1;\n",
    "#define P (\n__attribute__ P P constructor)) void f() {}\n",
    "#define G(a, b) a##b\n__attribute__((G(con, structor))) void f() {}\n",
    "#define unused constructor\n__attribute__((unused)) void f() {}\n",
    "#define G(a, b) a##b\nG(__attri, bute__)((constructor)) void f() {}\n",
    '__attribute__((section("x"))) int f;\n',
    '__attribute__((alias("system"))) void f();\n',
    "__declspec(dllexport) void f();\n",
    'extern "C" int system(const char*);\n',
    "#pragma clang attribute push(__attribute__((constructor)), apply_to = function)\n",
    "#pragma GCC optimize(\"O0\")\n",
    "#pragma comment(lib, \"x\")\n",
    "#pragma redefine_extname f system\n",
    "#pragma weak f = system\n",
    '_Pragma("clang section text=\\"x\\"")\n',
    "#define S(x) #x\n#define T(x) _Pragma(S(x))\nT(clang section text=\"x\")\n",
    "#if __has_embed(\"/etc/passwd\")\n#endif\n",
    "inline void f() { __builtin_printf(\"x\"); }\n",
    "inline void* f() { return __builtin_malloc(8); }\n",
    "inline void f() { __builtin_abort(); }\n",
    "inline void* f() { return __builtin_return_address(0); }\n",
    "inline unsigned f() { return mf::lane(); }\n",
]  # fmt: skip


@pytest.mark.parametrize("text", INCLUDES)
def test_files_are_out_of_reach(text: str) -> None:
    log = build(header=text)
    assert log is not None
    assert "include" in log or "embed" in log or "import" in log
    assert "file not found" not in log


@pytest.mark.parametrize("text", ASSEMBLY)
def test_assembly_is_refused(text: str) -> None:
    log = build(source=f"{text}\n{FINE}")
    assert log is not None
    assert "assembly" in log


@pytest.mark.parametrize("text", FOREIGN)
def test_what_leaves_the_language_is_refused(text: str) -> None:
    log = build(header=text)
    assert log is not None
    assert ": error: " in log


def test_headers_of_tensor_operations_are_named() -> None:
    sentence = "error: Metal 4 tensor operations are not supported by the cpu engine"
    header = "#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>\n"
    assert build(header=header) == f"header:1: {sentence}"
    log = build(header=f"#if 1\n{header}#endif\n")
    assert log is not None
    assert log.startswith(f"header:2:7: {sentence}")


def test_double_is_refused_as_in_metal() -> None:
    assert build("double a = x[0]; out[0] = a;") == (
        "source:1: error: 'double' is not supported in Metal"
    )


def test_functions_outside_the_kernel_do_not_exist() -> None:
    log = build("system(0);" + FINE, "int system(int command);\n")
    assert log == (
        "error: 'system(int)' is not defined: a kernel can call only Metal's functions and its own"
    )


def test_code_cannot_run_when_a_kernel_is_loaded() -> None:
    log = build("out[0] = y;", "float g(float v) { return v; }\nfloat y = g(1);\n")
    assert log == "header:2: error: program scope variable must reside in constant address space"
    quiet = '#pragma clang diagnostic ignored "-Wglobal-constructors"\n'
    header = f"{quiet}float g(float v) {{ return v; }}\nconstant float y = g(1);\n"
    log = build("out[0] = y;", header)
    assert log is not None
    assert log.startswith("header:3:16: error: declaration requires a global constructor")


@pytest.mark.parametrize(
    "text",
    [
        "#include <metal_stdlib>\n#include <metal_simdgroup>\nusing namespace metal;\n",
        '#include "metal_atomic"\n#include <simd/simd.h>\n',
        "#if 0\n#include <stdio.h>\n#endif\n",
        "#pragma METAL internals : enable\n#pragma clang diagnostic_x\n#undef X\n"[:33] + "\n",
        "__attribute__((always_inline)) inline float f(float v) { return v; }\n",
        "[[maybe_unused]] constant float f = 1;\n",
        "#define UNROLL _Pragma(\"unroll\")\n#define LOOP _Pragma(\"clang loop unroll(full)\")\n",
        "#pragma clang diagnostic push\n#pragma clang diagnostic ignored \"-Wx\"\n",
        "#define PASTE(a, b) a##b\ninline float PASTE(g, 1)() { return 1; }\n",
        "// asm(\"nop\") #include <stdio.h>\n/* __attribute__((constructor)) */\n",
        "inline int f(uint v) { return __builtin_popcount(v) + __builtin_clz(v | 1); }\n",
        "struct alignas(16) Pair { float a, b; };\n",
        "#line 40 \"other\"\n#ident \"x\"\n",
    ],
)  # fmt: skip
def test_metal_itself_passes(text: str) -> None:
    assert build(header=text) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("texture2d<float> t;", "textures are not supported by the cpu engine"),
        ("int v [[function_constant(0)]]; v.x;", "function constants are not supported"),
        ("mpp::tensor_ops::matmul2d<1> m;", "Metal 4 tensor operations are not supported"),
    ],
)
def test_parts_of_metal_that_are_left_out_are_named(text: str, sentence: str) -> None:
    log = build(text + FINE)
    assert log is not None
    assert log.startswith(f"error: {sentence}")
    assert "\n" not in log
