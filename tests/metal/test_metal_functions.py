"""Every form of a kernel function: attributes, includes, what is refused and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foundry.errors import DoesNotBuild, UsageError
from foundry.metal import Library
from foundry.metal.reading.includes import splice

ATTRIBUTES = """\
#include <metal_stdlib>
kernel void where(device metal::uint* out [[buffer(0)]],
                  uint3 p [[thread_position_in_grid]],
                  ushort3 l [[thread_position_in_threadgroup]],
                  metal::uint3 g [[threadgroup_position_in_grid]],
                  uint3 size [[threads_per_threadgroup]],
                  ushort3 full [[dispatch_threads_per_threadgroup]],
                  uint3 all [[threads_per_grid]],
                  uint3 groups [[threadgroups_per_grid]],
                  ushort index [[thread_index_in_threadgroup]],
                  uint lane [[thread_index_in_simdgroup]],
                  ushort simd [[simdgroup_index_in_threadgroup]],
                  uint simds [[simdgroups_per_threadgroup]],
                  uint width [[threads_per_simdgroup]],
                  ushort quad [[thread_index_in_quadgroup]]) {
  device uint* o = out + 24 * (p.x + all.x * p.y);
  o[0] = p.x, o[1] = p.y, o[2] = l.x, o[3] = l.y, o[4] = g.x, o[5] = g.y;
  o[6] = size.x, o[7] = size.y, o[8] = full.x, o[9] = full.y, o[10] = all.x, o[11] = all.y;
  o[12] = groups.x, o[13] = groups.y, o[14] = index, o[15] = lane, o[16] = simd, o[17] = simds;
  o[18] = width, o[19] = quad, o[20] = p.z + l.z + g.z, o[21] = size.z, o[22] = all.z, o[23] = 1;
}
"""


def expected(grid: tuple[int, int], group: tuple[int, int]) -> np.ndarray:
    """What MSL 5.2 says of every thread, from the sizes alone."""
    rows = []
    for y in range(grid[1]):
        for x in range(grid[0]):
            g, local = (x // group[0], y // group[1]), (x % group[0], y % group[1])
            size = [min(n, whole - n * at) for n, whole, at in zip(group, grid, g, strict=True)]
            groups = [-(-whole // n) for n, whole in zip(group, grid, strict=True)]
            index = local[0] + size[0] * local[1]
            rows.append(
                [x, y, *local, *g, *size, *group, *grid, *groups, index, index % 32, index // 32,
                 -(-size[0] * size[1] // 32), 32, index % 4, 0, 1, 1, 1]
            )  # fmt: skip
    return np.array(rows, np.uint32)


@pytest.mark.parametrize(
    ("grid", "group"), [((40, 3), (16, 2)), ((32, 4), (16, 2)), ((5, 1), (5, 1))]
)
def test_threads_know_where_they_are(grid: tuple[int, int], group: tuple[int, int]) -> None:
    out = np.zeros((grid[0] * grid[1], 24), np.uint32)
    where = Library(ATTRIBUTES)["where"]
    where([out], grid=grid, threadgroup=group)
    np.testing.assert_array_equal(out, expected(grid, group))
    if all(whole % n == 0 for whole, n in zip(grid, group, strict=True)):
        again = np.zeros_like(out)
        counts = [whole // n for whole, n in zip(grid, group, strict=True)]
        where([again], threadgroups=counts, threadgroup=group)
        np.testing.assert_array_equal(out, again)


OTHERS = """\
#include <metal_stdlib>
using namespace metal;
struct Vertex { float4 at [[position]]; };
vertex Vertex vs(uint i [[vertex_id]]) { return {}; }
fragment float4 fs(Vertex v [[stage_in]]) { return v.at; }
struct Textured { texture2d<float> image; };
static float4 sampled(Textured t) { return float4(0); }
kernel void image(texture2d<float, access::read> in [[texture(0)]],
                  device float* out [[buffer(0)]]) { out[0] = in.read(uint2(0)).x; }
kernel void indirect(device float* out [[buffer(0)]], constant Textured& t [[buffer(1)]]) {
  out[0] = sampled(t).x;
}
kernel void plain(device float* out [[buffer(0)]]) { out[0] = 1; }
"""


def test_what_cannot_run_is_told_and_the_rest_runs() -> None:
    library = Library(OTHERS)
    out = np.zeros(1, np.float32)
    library["plain"]([out], grid=1, threadgroup=1)
    assert out[0] == 1
    said = "textures are not supported by the cpu engine"
    with pytest.raises(DoesNotBuild, match=rf"^library\.metal:8: error: {said}"):
        library["image"]
    with pytest.raises(DoesNotBuild, match=rf"^library\.metal:6: error: {said}"):
        library["indirect"]
    with pytest.raises(UsageError, match="'fs' is no kernel of this file: it is a fragment"):
        library["fs"]


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("float4 v [[stage_in]]", r"\[\[stage_in\]\] is not supported"),
        ("int i [[thread_position_in_grid]]", "type 'int' is not valid for attribute"),
        ("uint4 i [[thread_position_in_grid]]", "type 'uint4' is not valid for attribute"),
        ("uint2 i [[thread_index_in_threadgroup]]", "it is ushort or uint"),
        ("uint i", "parameter 'i' has no attribute that says where its value comes from"),
        ("uint i [[thread_position]]", "the attribute 'thread_position' of parameter 'i' means"),
        (
            "uint2 a [[thread_position_in_grid]], uint3 b [[threads_per_grid]]",
            "'b' has 3 components and 'a' 2",
        ),
        ("sampler s [[sampler(0)]]", "are not supported by the cpu engine"),
    ],
)
def test_parameters_that_are_refused_on_their_line(parameter: str, said: str) -> None:
    text = f"#include <metal_stdlib>\nusing namespace metal;\nkernel void f(\n{parameter}) {{}}\n"
    with pytest.raises(DoesNotBuild, match=rf"^library\.metal:[34]: error: .*{said}"):
        Library(text)["f"]


def test_buffers_without_an_index_take_the_first_that_is_free() -> None:
    text = """
enum Index { kLast = 4 };
kernel void f(device float* a, constant int& b [[buffer(0)]], device int* c,
              device float* d [[buffer(kLast)]]) {}
"""
    buffers = Library(text)["f"].buffers
    assert {n: f.index for n, f in buffers.items()} == {"b": 0, "a": 1, "c": 2, "d": 4}


def test_kernels_in_namespaces_and_names_given_twice() -> None:
    text = "namespace shapes {\nkernel void area(device float* x) { x[0] = 4; }\n}\n"
    x = np.zeros(1, np.float32)
    Library(text)["shapes::area"]([x], grid=1, threadgroup=1)
    assert x[0] == 4
    twice = '[[host_name("b")]] kernel void a(device int* x) {}\nkernel void b(device int* x) {}\n'
    with pytest.raises(DoesNotBuild, match="there are two kernel functions named 'b'"):
        Library(twice)


SCOPES = """\
namespace a {
struct Twice { float operator()(float v) const { return 2 * v; } };
namespace b {
struct Thrice { float operator()(float v) const { return 3 * v; } };
template <typename Op> kernel void f(device float* x) { x[0] = Op()(x[0]); }
template [[host_name("twice")]] kernel decltype(f<Twice>) f<Twice>;
}
template [[host_name("thrice")]] kernel decltype(b::f<b::Thrice>) b::f<b::Thrice>;
template [[host_name("twice_inside")]] kernel void b::f<a::Twice>(device float*);
}
namespace c { template <typename Op> kernel void f(device float* x) { x[0] = 7 * Op()(x[0]); } }
template [[host_name("seven")]] kernel decltype(c::f<a::Twice>) c::f<a::Twice>;
template [[host_name("outside")]] kernel void ::a::b::f<a::Twice>(device float*);
"""


def test_templates_are_instantiated_from_any_namespace() -> None:
    library = Library(SCOPES)
    made = {}
    for name in library.names:
        x = np.ones(1, np.float32)
        library[name]([x], grid=1, threadgroup=1)
        made[name] = x[0]
    assert made == {"twice": 2, "thrice": 3, "twice_inside": 2, "seven": 14, "outside": 2}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / next(iter(files))


def test_includes_are_read_once_and_from_the_root(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "shaders/f.metal": '#include "shared/a.h"\n#import "b.h"\n#import "b.h"\nA B\n',
            "shaders/b.h": '#include "shared/a.h"\nb\n',
            "shared/a.h": "#pragma once\na\n",
        },
    )
    spliced = splice(path.read_text(), "f.metal", path.parent, tmp_path)
    lines = spliced.text.split("\n")
    assert (lines.count("a"), lines.count("b")) == (1, 1)
    places = {line: str(spliced.places.of(n)) for n, line in enumerate(lines, 1)}
    assert (places["a"], places["b"], places["A B"]) == (
        "shared/a.h:2",
        "shaders/b.h:2",
        "f.metal:4",
    )


@pytest.mark.parametrize(
    ("include", "said"),
    [
        ('"../secret.h"', "only files inside '.*' can be included"),
        ('"/etc/passwd"', "only files inside '.*' can be included"),
        ('"link.h"', "only files inside '.*' can be included"),
        ('"none.h"', "there is no such file beside it or under"),
        ("<vector>", "there is no such file beside it or under"),
    ],
)
def test_nothing_outside_of_the_root_is_included(tmp_path: Path, include: str, said: str) -> None:
    path = write(tmp_path, {"in/f.metal": f"\n#include {include}\n", "secret.h": "int secret;"})
    (tmp_path / "in" / "link.h").symlink_to(tmp_path / "secret.h")
    with pytest.raises(DoesNotBuild, match=rf"^f\.metal:2: error: .*{said}"):
        Library(path)


def test_a_text_without_a_folder_includes_nothing() -> None:
    with pytest.raises(DoesNotBuild, match="from a text without a folder"):
        Library('#include "a.h"\nkernel void f() {}\n')


def test_an_include_under_a_condition_may_be_missing() -> None:
    text = '#ifndef __METAL_VERSION__\n#include "host.h"\n#endif\nkernel void f(device int* x) {}\n'
    assert Library(text).names == ["f"]


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    path = write(tmp_path, {"a.metal": '#include "b.h"\n', "b.h": '#include "b.h"\n'})
    with pytest.raises(DoesNotBuild, match="b.h:1: error: the files include each other"):
        Library(path)


def test_the_whole_file_is_judged_as_metal_would() -> None:
    text = "float g = 1;\nkernel void f(device float* x) { x[0] = g; }\n"
    with pytest.raises(DoesNotBuild, match=r"^library\.metal:1: error: program scope variable"):
        Library(text)
    with pytest.raises(UsageError, match="there is no version '9.9' of the Metal"):
        Library(text, language_version="9.9")
    with pytest.raises(UsageError, match="the file 'none.metal' cannot be read"):
        Library("none.metal")
    with pytest.raises(UsageError, match="unknown math mode 'slow'"):
        Library(text, math_mode="slow")


def test_casts_in_front_of_what_a_cast_pointer_points_to() -> None:
    text = """
kernel void f(device const char* bytes, device float* y, constant int& at) {
  y[0] = (float)*(device const int*)(bytes + at);
  y[1] = !*(device const int*)(bytes + at) ? 1 : 2;
}
"""
    y = np.zeros(2, np.float32)
    Library(text)["f"](
        {"bytes": np.array([3, 5], np.int32), "y": y, "at": 4}, grid=1, threadgroup=1
    )
    assert y.tolist() == [5, 2]
