"""Parts of the counters: loops in the compiler's text, samples of threadgroups, other machines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry.msl.build.toolchain import FLAGS, PRELUDE_STANDARD
from foundry.msl.counters.flow import flow
from foundry.msl.counters.sample import sample
from foundry.msl.counters.toolchain import counting_builder

TEXT = """\
  br label %1

1:                                                ; preds = %5, %0
  br i1 %c, label %2, label %6

2:                                                ; preds = %4, %1
  switch i32 %x, label %4 [
    i32 0, label %3
  ]

3:                                                ; preds = %2
  br label %4

4:                                                ; preds = %3, %2
  br i1 %d, label %2, label %5

5:                                                ; preds = %4
  br label %1

6:                                                ; preds = %1
  ret void"""


def test_loops_are_found_in_the_compilers_text() -> None:
    text = list(TEXT.splitlines())
    found = flow(text, 0, len(text))
    assert dict(found.level) == {"%0": 0, "%1": 1, "%2": 2, "%3": 2, "%4": 2, "%5": 1, "%6": 0}
    assert set(found.again["%1"]) == {("%0", False), ("%5", True)}
    assert set(found.again["%2"]) == {("%1", False), ("%4", True)}
    assert [text[block.last].split()[0] for block in found.blocks].count("switch") == 1


def text_of(targets: list[list[int]]) -> list[str]:
    """A function whose block `i` goes to `targets[i]`, as the compiler writes it."""
    lines = []
    for block, after in enumerate(targets):
        before = [f"%{i}" for i, found in enumerate(targets) if block in found]
        if block:
            comment = f"preds = {', '.join(before)}" if before else "No predecessors!"
            lines += ["", f"{block}:                ; {comment}"]
        goes = ", ".join(f"label %{i}" for i in after)
        lines.append(f"  br {'i1 %c, ' * (len(after) > 1)}{goes}" if after else "  ret void")
    return lines


def reached(targets: list[list[int]], start: int, without: int) -> set[int]:
    """Blocks on the way from `start` around `without`."""
    found, rest = set(), [start]
    while rest:
        block = rest.pop()
        if block != without and block not in found:
            found.add(block)
            rest += targets[block]
    return found


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(st.integers(1, 7), max_size=2, unique=True), min_size=8, max_size=8))
def test_loops_are_those_of_their_definition(targets: list[list[int]]) -> None:
    """A back edge leads to a block that lies on every way to it; its loop is what leads there."""
    live = reached(targets, 0, -1)
    targets = [t if i in live else [] for i, t in enumerate(targets)]
    loops: dict[int, set[int]] = {}
    for latch in live:
        for header in targets[latch]:
            if latch not in reached(targets, 0, header):
                backwards = [[b for b in live if i in targets[b]] for i in range(8)]
                loops.setdefault(header, {header}).update(reached(backwards, latch, header))
    lines = text_of([t if i in live else [] for i, t in enumerate(targets)])
    found = flow(lines, 0, len(lines))
    # The compiler's text names the first block only where another mentions it.
    first = "%0" if targets[0] else found.blocks[0].name
    level = {b: sum(b in body for body in loops.values()) for b in live}
    assert found.level == {f"%{b}" if b else first: depth for b, depth in level.items()}
    assert set(found.again) == {f"%{header}" for header in loops}
    for name, edges in found.again.items():
        header, inside = int(name[1:]), {int(block[1:]) for block, again in edges if again}
        assert inside == {b for b in live if header in targets[b]} & loops[header]


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(2, 100))
def test_samples_are_spread_and_distinct(threadgroups: int, most: int) -> None:
    chosen = sample(threadgroups, most)
    assert len(chosen) == min(threadgroups, most) == len(set(chosen))
    assert {0, threadgroups - 1} <= set(chosen)
    gaps = np.diff(sorted(chosen))
    assert all(gap <= 2 * -(-threadgroups // most) for gap in gaps) or threadgroups <= most


@pytest.mark.parametrize("target", ["aarch64-macos", "aarch64-linux-gnu", "x86_64-macos"])
def test_the_runtime_compiles_for_other_machines(target: str, tmp_path: Path) -> None:
    toolchain = counting_builder().toolchain
    command = [
        "clang",
        "-target",
        target,
        "-x",
        "c++",
        *FLAGS,
        *PRELUDE_STANDARD,
        "-fgnu-inline-asm",
        "-c",
        "-",
    ]
    toolchain.plain.run([*command, "-o", str(tmp_path / "counters.o")], toolchain.runtime_unit)
