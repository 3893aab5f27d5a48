"""A kernel that needs more stack than a thread has cannot reach the stacks of others."""

from __future__ import annotations

import numpy as np
import pytest

from foundry.engines.cpu import CpuEngine
from foundry.errors import LaunchFailed
from foundry.program import BuildFailure, Launch, Program, TensorSpec

_SOURCE = """
  uint i = thread_position_in_grid.x;
  float s[{size}];
  s[uint(x[i])] = i;
  threadgroup_barrier(mem_flags::mem_none);
  out[i] = s[uint(x[63 - i])] == i ? 1 : 0;
"""


def run(size: int) -> int:
    x, out = TensorSpec("x", (64,), "float32"), TensorSpec("out", (64,), "float32")
    launch = Launch("k", ("x",), (out,), _SOURCE.format(size=size), (64, 1, 1), (64, 1, 1))
    built = CpuEngine().build(Program((x,), ("out",), (launch,)))
    assert not isinstance(built, BuildFailure)
    call = built.bind({"x": np.zeros(64, np.float32)})
    call()
    return int(call.outputs()["out"].sum())


def test_an_array_that_fits_is_a_threads_own() -> None:
    assert run(10_000) == 64


def test_an_array_that_does_not_fit_ends_the_launch() -> None:
    with pytest.raises(LaunchFailed, match="uses more stack than there is"):
        run(100_000)
    assert run(10_000) == 64
