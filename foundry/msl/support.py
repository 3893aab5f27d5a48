"""What of the Metal language is supported here, as a reference page.

`AREAS` names it all. A name counts as supported when a conformance test
(tests/msl/language/test_lang_*.py) uses it; `render` says in which. The page is
docs/metal-support.md: `python -m foundry.msl.support` writes it from a checkout, and a test holds
it to the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_SCALARS = "bool char uchar short ushort int uint long ulong half bfloat float size_t ptrdiff_t"
_ROUNDING = "ceil floor fract rint round trunc"
_EXPONENTIAL = "exp exp2 exp10 log log2 log10 pow powr sqrt rsqrt"
_CIRCULAR = "sin cos tan sincos sinpi cospi tanpi asin acos atan atan2"
_HYPERBOLIC = "sinh cosh tanh asinh acosh atanh"
_PARTS = "copysign divide fabs fdim fma fmax fmax3 fmedian3 fmin fmin3 fmod frexp ilogb ldexp modf"
_SIMD = (
    "sum product min max and or xor prefix_inclusive_sum prefix_exclusive_sum"
    " prefix_inclusive_product prefix_exclusive_product shuffle shuffle_xor shuffle_up"
    " shuffle_down shuffle_rotate_up shuffle_rotate_down shuffle_and_fill_up"
    " shuffle_and_fill_down broadcast broadcast_first ballot all any"
)
_QUAD = (
    "sum shuffle shuffle_xor shuffle_up shuffle_down shuffle_rotate_up shuffle_rotate_down"
    " shuffle_and_fill_up shuffle_and_fill_down broadcast broadcast_first ballot all any"
)


def _prefixed(prefix: str, names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


AREAS: Mapping[str, tuple[str, ...]] = {
    "Scalar types": tuple(_SCALARS.split()),
    "Vectors of 2, 3, 4 of every scalar; swizzles xyzw and rgba": (
        *("float4", "half3", "bfloat2", "uchar4", "int3", "bool4", "vec", "as_type"),
        *("packed_float3", "packed_half4", "packed_uchar3"),
    ),
    "Matrices": ("float2x2", "float4x4", "half3x3", "transpose", "determinant"),
    "Rounding": tuple(_ROUNDING.split()),
    "Exponentials, logarithms, powers, roots": tuple(_EXPONENTIAL.split()),
    "Circular functions": tuple(_CIRCULAR.split()),
    "Hyperbolic functions": tuple(_HYPERBOLIC.split()),
    "Other mathematics": (*_PARTS.split(), "nextafter", "fast", "precise"),
    "Common functions": (
        "abs",
        "clamp",
        "degrees",
        "max",
        "max3",
        "median3",
        "min",
        "min3",
        "mix",
        "saturate",
        "sign",
        "smoothstep",
        "step",
    ),
    "Integer functions": (
        "absdiff",
        "addsat",
        "clz",
        "ctz",
        "extract_bits",
        "hadd",
        "insert_bits",
        "mad24",
        "madhi",
        "madsat",
        "mul24",
        "mulhi",
        "popcount",
        "reverse_bits",
        "rhadd",
        "rotate",
        "subsat",
    ),
    "Relational functions": (
        "all",
        "any",
        "isequal",
        "isfinite",
        "isgreater",
        "isinf",
        "isless",
        "islessgreater",
        "isnan",
        "isnormal",
        "isordered",
        "isunordered",
        "select",
        "signbit",
    ),
    "Geometric functions": (
        "cross",
        "distance",
        "distance_squared",
        "dot",
        "faceforward",
        "fast_distance",
        "length",
        "length_squared",
        "normalize",
        "reflect",
        "refract",
    ),
    "Packing": (
        "pack_float_to_snorm2x16",
        "pack_float_to_snorm4x8",
        "pack_float_to_unorm10a2",
        "pack_float_to_unorm2x16",
        "pack_float_to_unorm4x8",
        "pack_float_to_unorm565",
        "pack_float_to_srgb_unorm4x8",
        "pack_half_to_unorm4x8",
        "unpack_snorm2x16_to_float",
        "unpack_snorm4x8_to_float",
        "unpack_unorm10a2_to_float",
        "unpack_unorm2x16_to_half",
        "unpack_unorm4x8_srgb_to_float",
        "unpack_unorm4x8_to_float",
        "unpack_unorm565_to_float",
    ),
    "SIMD-group functions": (
        *_prefixed("simd_", _SIMD),
        *("simd_active_threads_mask", "simd_is_first"),
    ),
    "Quad-group functions": _prefixed("quad_", _QUAD),
    "SIMD-group matrices (8 by 8)": (
        *("simdgroup_matrix", "simdgroup_float8x8", "make_filled_simdgroup_matrix"),
        *("simdgroup_load", "simdgroup_store", "simdgroup_multiply"),
        *("simdgroup_multiply_accumulate", "thread_elements"),
    ),
    "Barriers and fences": ("threadgroup_barrier", "simdgroup_barrier", "atomic_thread_fence"),
    "Atomics (device and threadgroup)": (
        *("atomic", "atomic_uint", "atomic_float", "atomic_bool", "atomic_ulong"),
        *("atomic_load_explicit", "atomic_store_explicit", "atomic_exchange_explicit"),
        *("atomic_compare_exchange_weak_explicit", "atomic_max_explicit"),
        *(f"atomic_fetch_{n}_explicit" for n in ["add", "sub", "min", "max", "and", "or", "xor"]),
    ),
    "Library": ("array", "numeric_limits", "enable_if_t", "conditional_t", "is_same_v"),
    "Names of <simd/simd.h>": ("simd_uint2", "vector_float3", "matrix_float4x4", "simd_float3x3"),
    "Names of MLX's preamble": (
        "Limits",
        "LoopedElemToLoc",
        "WorkPerThread",
        "ConditionalType",
        "bfloat16_t",
        "float16_t",
        "cast_to",
        "ceildiv",
        "complex32_t",
        "complex64_t",
        "elem_to_loc",
        "elem_to_loc_1",
        "elem_to_loc_2",
        "elem_to_loc_2_nd",
        "elem_to_loc_3",
        "elem_to_loc_3_nd",
        "hypot",
        "log1p",
        "schedule_row_tile",
    ),
}

LEFT_OUT = (
    "Textures, samplers, ray tracing, mesh and tile functions: no kernel of MLX can bind them.",
    "`double`: Metal has none.",
    "Metal 4 tensors and cooperative matrix operations (`<metal_tensor>`,"
    " `<MetalPerformancePrimitives/...>`).",
    "Function constants in kernel files: `mx.fast.metal_kernel` cannot set them; `foundry.metal` "
    "does.",
)


def render(tests: Mapping[str, str], table: Mapping[str, Mapping[str, int]]) -> str:
    """The page, from the conformance tests and the table of snippets.

    Args:
        tests: The text of each conformance test file.
        table: Per chapter of the specification, how many snippets are accepted and refused.

    Raises:
        ValueError: for a name of `AREAS` that no test uses.
    """
    lines = ["# What of Metal is supported", "", _INTRODUCTION, ""]
    for area, names in AREAS.items():
        lines += [f"## {area}", "", "| name | tested in |", "|---|---|"]
        lines += [f"| `{name}` | {_where(name, tests)} |" for name in names]
        lines.append("")
    lines += ["## What is accepted and refused, by chapter of the specification", "", _TABLE, ""]
    lines += ["| chapter | accepted | refused |", "|---|---|---|"]
    lines += [
        f"| {chapter} | {n.get('accepted', 0)} | {n.get('refused', 0)} |"
        for chapter, n in sorted(table.items(), key=_chapter_number)
    ]
    lines += ["", "## Left out", "", *(f"- {sentence}" for sentence in LEFT_OUT), ""]
    return "\n".join(lines)


_INTRODUCTION = (
    "The cpu engine compiles the Metal Shading Language with clang against its own headers"
    " (`foundry/msl/prelude`). This page is generated by `python -m foundry.msl.support` from the"
    " conformance tests: every name below is used by at least one of them."
)


_TESTS = "tests/msl/language"
_TABLE = (
    "A text that Metal's compiler refuses is refused here too, on its line."
    " `tests/msl/language/metal` holds snippets of both kinds; the numbers say how many of each a"
    " chapter has."
)


def _chapter_number(row: tuple[str, Mapping[str, int]]) -> list[int]:
    number = re.match(r"[\d.]+", row[0])
    return [int(part) for part in number[0].strip(".").split(".")] if number else []


def _where(name: str, tests: Mapping[str, str]) -> str:
    word = re.compile(rf"(?<![\w])(?:metal::)?{re.escape(name)}(?!\w)")
    files = [file for file, text in tests.items() if word.search(text)]
    if not files:
        raise ValueError(f"no conformance test uses '{name}'")
    return ", ".join(f"`{file}`" for file in files[:3])


def conformance_tests(root: Path) -> dict[str, str]:
    """File name and text of the language's tests in a checkout."""
    return {p.name: p.read_text() for p in sorted((root / _TESTS).glob("test_lang_*.py"))}


def snippet_table(root: Path) -> dict[str, dict[str, int]]:
    """Chapters, and how many snippets of a checkout's table are accepted and refused in each."""
    table: dict[str, dict[str, int]] = {}
    for kind in ("accepted", "refused"):
        chapter = ""
        for line in (root / _TESTS / "metal" / f"{kind}.txt").read_text().splitlines():
            if line.startswith("## "):
                chapter = line[3:]
            else:
                counts = table.setdefault(chapter, {})
                counts[kind] = counts.get(kind, 0) + 1
    return table


if __name__ == "__main__":
    checkout = Path(__file__).parents[2]
    page = checkout / "docs" / "metal-support.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(render(conformance_tests(checkout), snippet_table(checkout)))
