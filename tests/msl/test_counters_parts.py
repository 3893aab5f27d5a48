"""Parts of the counters: loops in the compiler's text, samples of threadgroups, other machines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry.msl.counters.flow import flow
from foundry.msl.counters.sample import sample
from foundry.msl.counters.toolchain import counting_builder
from foundry.msl.toolchain import FLAGS, NATIVE

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
    flags = [flag for flag in FLAGS if flag != NATIVE]
    command = ["clang", "-target", target, "-x", "c++", *flags, "-fgnu-inline-asm", "-c", "-"]
    toolchain.plain.run([*command, "-o", str(tmp_path / "counters.o")], toolchain.runtime_unit)
