"""A kernel that needs more stack than a thread has cannot reach the stacks of others."""

from __future__ import annotations

import re

import numpy as np
import pytest

from foundry.engines.cpu import CpuEngine
from foundry.errors import LaunchFailed
from foundry.msl.run.program import BuiltProgram
from foundry.program import BuildFailure, Launch, Program, TensorSpec

_SOURCE = """
  uint i = thread_position_in_grid.x;
  float s[{size}];
  s[uint(x[i])] = i;
  threadgroup_barrier(mem_flags::mem_none);
  out[i] = s[uint(x[63 - i])] == i ? 1 : 0;
"""
_DEEPER = """
  uint i = thread_position_in_grid.x;
  float s[24000];
  s[uint(x[i])] = i;
  threadgroup_barrier(mem_flags::mem_none);
  out[i] = below(x, i) + s[uint(x[63 - i])];
"""
_BELOW = """
__attribute__((noinline)) float below(const device float* x, uint i) {
  float s[24000];
  s[uint(x[i])] = i;
  threadgroup_barrier(mem_flags::mem_none);
  return s[uint(x[63 - i])];
}
"""

_OF_VECTORS = """
  uint i = thread_position_in_grid.x;
  float s[100000];
  s[uint(x[i])] = i;
  float4 v = ((device const float4*)x)[i / 4] * float4(1, 2, 3, 4);
  out[i] = dot(v, v) + s[uint(x[63 - i])];
"""


def build(source: str, header: str = "") -> BuiltProgram | BuildFailure:
    x, out = TensorSpec("x", (64,), "float32"), TensorSpec("out", (64,), "float32")
    launch = Launch("k", ("x",), (out,), source, (64, 1, 1), (64, 1, 1), header)
    return CpuEngine().build(Program((x,), ("out",), (launch,)))


def run(source: str, header: str = "") -> int:
    built = build(source, header)
    assert not isinstance(built, BuildFailure)
    call = built.bind({"x": np.zeros(64, np.float32)})
    call()
    return int(call.outputs()["out"].sum())


def test_an_array_that_fits_is_a_threads_own() -> None:
    assert run(_SOURCE.format(size=10_000)) == 64


@pytest.mark.parametrize("barrier", [True, False])
def test_an_array_that_does_not_fit_does_not_build(barrier: bool) -> None:
    source = _SOURCE.format(size=100_000)
    built = build(source if barrier else source.replace("threadgroup_barrier", "//"))
    assert isinstance(built, BuildFailure)
    assert "the variables of a thread take 400," in built.log


def test_neither_does_one_in_a_loop_whose_vectors_are_taken_apart() -> None:
    """The compiler reads such a loop as LLVM text, which knows no line of the kernel."""
    built = build(_OF_VECTORS)
    assert isinstance(built, BuildFailure)
    assert re.match(r"source:7: error: the variables of a thread take 4", built.log)


def test_a_stack_that_ends_below_ends_the_launch() -> None:
    with pytest.raises(LaunchFailed, match="uses more stack than there is"):
        run(_DEEPER, _BELOW)
    assert run(_SOURCE.format(size=10_000)) == 64
