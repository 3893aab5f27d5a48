"""A kernel that needs more stack than a thread has cannot reach the stacks of others."""

from __future__ import annotations

import signal
import subprocess
import sys

_PROGRAM = """
import numpy as np
from foundry.program import Launch, Program, TensorSpec
from foundry.engines.cpu import CpuEngine

x, out = TensorSpec("x", (64,), "float32"), TensorSpec("out", (64,), "float32")
source = '''
  uint i = thread_position_in_grid.x;
  float s[{size}];
  s[uint(x[i])] = i;
  threadgroup_barrier(mem_flags::mem_none);
  out[i] = s[uint(x[63 - i])] == i ? 1 : 0;
'''
launch = Launch("k", ("x",), (out,), source, (64, 1, 1), (64, 1, 1))
call = CpuEngine().build(Program((x,), ("out",), (launch,))).bind({{"x": np.zeros(64, np.float32)}})
call()
print(int(call.outputs()["out"].sum()))
"""


def run(size: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PROGRAM.format(size=size)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_an_array_that_fits_is_a_threads_own() -> None:
    assert run(10_000).stdout.strip() == "64"


def test_an_array_that_does_not_fit_ends_the_process() -> None:
    done = run(100_000)
    assert done.returncode in (-signal.SIGSEGV, -signal.SIGBUS), done.stdout + done.stderr
