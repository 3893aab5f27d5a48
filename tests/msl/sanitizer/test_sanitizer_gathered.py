"""Reads that one hook looks at are told of as if each had come alone."""

from __future__ import annotations

import pytest
from adversarial_kernels import Case, examine

from foundry.msl.sanitizer.checks.gathered import gathered
from foundry.msl.sanitizer.checks.places import Places

HOOK = "  call preserve_allcc void @mf_load_4_4(ptr {}), !dbg !{}"
NODES = """
!1 = !DILocation(line: 3, column: 1, scope: !9)
!2 = !DILocation(line: 3, column: 7, scope: !9)
!3 = !DILocation(line: 4, column: 1, scope: !9)"""


def read(name: str, index: str, debug: int = 1) -> list[str]:
    return [
        f"  %p{name} = getelementptr float, ptr %0, i64 {index}",
        HOOK.format(f"%p{name}", debug),
        f"  %v{name} = load float, ptr %p{name}, align 1",
    ]


def hooks(*lines: str) -> list[str]:
    text = ["define void @f(ptr %0) {", *lines, "}"]
    return [line.split("@")[1] for line in gathered(text, Places(NODES)) if "@mf_" in line]


def test_reads_of_one_line_and_array_have_one_hook() -> None:
    four = [line for n in "abcd" for line in read(n, f"{ord(n)}", 1 + (n > "b"))]
    assert hooks(*four[:6]) == ["mf_loads2_4_4(ptr %pa, ptr %pb), !dbg !1"]
    assert hooks(*four) == ["mf_loads4_4_4(ptr %pa, ptr %pb, ptr %pc, ptr %pd), !dbg !1"]
    assert hooks(*four, *read("e", "9")) == [
        "mf_loads4_4_4(ptr %pa, ptr %pb, ptr %pc, ptr %pd), !dbg !1",
        "mf_load_4_4(ptr %pe), !dbg !1",
    ]


def test_what_an_address_is_made_of_comes_first() -> None:
    lines = ["define void @f(ptr %0) {", *read("a", "1"), "  %i = add i64 %1, 2", *read("b", "%i")]
    done = gathered([*lines, "}"], Places(NODES))
    address, load = "  %i = add i64 %mf.r1, 2", "  %va = load float, ptr %pa, align 1"
    assert done.index(address) < done.index(load)
    assert "mf_loads2_4_4" in "".join(done)


@pytest.mark.parametrize("label", ["", "entry:", '"f.exit":', "7:"])
def test_the_first_block_has_one_label(label: str) -> None:
    lines = ["define void @f(ptr %0, i64 %1) {", label, *read("a", "1"), *read("b", "2"), "}"]
    done = gathered([line for line in lines if line], Places(NODES))
    assert done[0] == "define void @f(ptr %mf.r0, i64 %mf.r1) {"
    assert done[1] == {"": "mf.r2:", "7:": "mf.r7:"}.get(label, label)
    assert not done[2].endswith(":")


@pytest.mark.parametrize(
    "between",
    [
        ["  store float 0.0, ptr %0, align 4"],
        ["  call void @wait()"],
        ["4:", "  %q = phi i64 [ 0, %1 ], [ 1, %2 ]"],
    ],
)
def test_nothing_is_brought_past_a_store_or_a_call(between: list[str]) -> None:
    assert len(hooks(*read("a", "1"), *between, *read("b", "2"))) == 2


def test_other_lines_other_arrays_and_reads_that_hang_on_each_other_stay_apart() -> None:
    assert len(hooks(*read("a", "1"), *read("b", "2", 3))) == 2
    assert len(hooks(*read("a", "1"), *(x.replace("%0", "%9") for x in read("b", "2")))) == 2
    assert len(hooks(*read("a", "1"), "  %i = fptosi float %va to i64", *read("b", "%i"))) == 2


@pytest.mark.parametrize(
    ("body", "kind", "index"),
    [
        ("float s = x[i] + x[i + 1];", "out_of_bounds", 128),
        ("float s = x[i + 1] + x[i] + x[i + 2] + x[i + 3];", "out_of_bounds", 128),
        ("float s = x[i - 1] + x[i];", "out_of_bounds", -1),
    ],
)
def test_the_first_bad_one_is_told(body: str, kind: str, index: int) -> None:
    body = body.replace("i - 1", "int(i) - 1")
    report = examine(Case(f"{body}\nthreadgroup_barrier(mem_flags::mem_none);\nout[i] = s;\n"))
    assert report.build_log is None
    first = report.findings[0]
    assert (str(first.kind), first.index, first.part_line) == (kind, index, 4)
