"""A bad kernel ends with an error that names it; the process and the next kernels go on."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import foundry
from foundry.errors import UsageError
from foundry.msl.run.runtime import launch_limit_s

pytestmark = pytest.mark.skipif(mx.metal.is_available(), reason="on a Mac Metal does it")
X = mx.arange(32).astype(mx.float32)
SYNC = "threadgroup_barrier(mem_flags::mem_none);\n"
AT = "uint i = thread_position_in_grid.x;\n"
RECURSION = """
float f(uint n, device float* o) {
  float a[64];
  for (uint i = 0; i < 64; i++) a[i] = n + o[i % 2];
  float s = f(n + 1, o);
  o[1] = s;
  return s + a[n % 64] + a[(n + 3) % 64];
}
"""
SPIN = """
while (atomic_load_explicit((device atomic_uint*)&out[0], memory_order_relaxed) == 0u) {}
out[0] = 1;
"""


def run(source: str, header: str = "", threads: int = 32, **settings: Any) -> list[float]:
    kernel = foundry.metal_kernel("culprit", ["x"], ["out"], source, header)
    got = kernel(
        inputs=[X], output_shapes=[(32,)], output_dtypes=[mx.float32], grid=(threads, 1, 1),
        threadgroup=(32, 1, 1), **settings,
    )  # fmt: skip
    return np.array(got[0]).tolist()


def doubled() -> list[float]:
    return run(AT + SYNC + "out[i] = 2 * x[i];")


@pytest.mark.parametrize("before", ["", SYNC], ids=["loop", "fibres"])
@pytest.mark.parametrize(
    ("source", "header", "words"),
    [
        ("out[i] = x[uint(x[1]) * 4000000000u + i];", "", r"reads x\[40000000\d\d\].*\[source:"),
        ("out[i * 400000000u] = 1;", "", r"writes out\[\d{9,}\].*\[source:"),
        ("out[i] = *(const device float*)(ulong(x[1]));", "", "belongs to no array"),
        ("out[i] = f(uint(x[1]), out);", RECURSION, r"stack overflow.*\[header:"),
    ],
    ids=["far read", "far write", "wild", "recursion"],
)
def test_a_fault_is_an_error_with_its_line(
    before: str, source: str, header: str, words: str
) -> None:
    with pytest.raises(RuntimeError, match=words) as caught:
        run(AT + before + source, header)
    assert "'culprit', launched with grid (32, 1, 1)" in str(caught.value)
    assert doubled() == [2.0 * i for i in range(32)]


@pytest.mark.parametrize("before", ["", SYNC], ids=["loop", "fibres"])
def test_an_endless_kernel_ends_at_the_limit(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_LAUNCH_LIMIT_S", "0.2")
    with pytest.raises(RuntimeError, match=r"0\.2 s without.*runaway loop.*\[source:\d+: `while"):
        run(AT + before + SPIN, threads=4096, init_value=0)
    assert doubled() == [2.0 * i for i in range(32)]


def test_writes_on_the_rest_of_the_page_are_lost_as_on_a_mac() -> None:
    assert run(AT + "out[i] = x[i]; out[i + 64] = -1;") == X.tolist()
    assert doubled() == [2.0 * i for i in range(32)]


def test_launches_of_several_threads_end_each_for_itself() -> None:
    def one(number: int) -> str:
        if number % 2:
            return str(doubled()[1])
        try:
            return str(run(AT + "out[i * 400000000u] = 1;"))
        except RuntimeError as error:
            return "ended" if "'culprit'" in str(error) else str(error)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(8))) == ["ended", "2.0"] * 4


def test_a_fault_that_is_no_kernels_has_its_usual_effect() -> None:
    program = (
        "import ctypes, faulthandler, mlx.core as mx, foundry\n"
        "kernel = foundry.metal_kernel('k', ['x'], ['out'], 'out[0] = x[0];')\n"
        "kernel(inputs=[mx.ones(1)], output_shapes=[(1,)], output_dtypes=[mx.float32],"
        " grid=(1, 1, 1), threadgroup=(1, 1, 1))\n"
        "faulthandler.enable()\n"
        "kernel(inputs=[mx.ones(1)], output_shapes=[(1,)], output_dtypes=[mx.float32],"
        " grid=(1, 1, 1), threadgroup=(1, 1, 1))\n"
        "ctypes.string_at(8)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr


def test_the_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_LAUNCH_LIMIT_S", "2.5")
    assert launch_limit_s() == 2.5
    for wrong in ("soon", "0", "-1", "inf", "nan"):
        monkeypatch.setenv("FOUNDRY_LAUNCH_LIMIT_S", wrong)
        with pytest.raises(UsageError, match="number of seconds"):
            launch_limit_s()
