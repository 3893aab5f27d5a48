"""The arm64 target, run under emulation: the context switch, SIMD-groups, barriers, failures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from foundry.msl.build.cache import default_directory
from foundry.msl.build.toolchain import FLAGS, PRELUDE_STANDARD, find_toolchain
from foundry.msl.frontend.signature import Captured, capture_launch
from foundry.msl.run.builder import Builder, Text
from foundry.program import Launch, TensorSpec

EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EMULATOR is None, reason="needs qemu-user to run arm64 code"),
    pytest.mark.skipif(shutil.which("qemu-x86_64") == EMULATOR, reason="no arm64 emulator"),
]
SOURCE = """
    threadgroup float part[8];
    uint row = threadgroup_position_in_grid.x, t = thread_position_in_threadgroup.x;
    float sum = 0, low = 0;
    for (uint i = t; i < N; i += threads_per_threadgroup.x) sum += half(x[row * N + i]);
    if (t % 32 < 7) low = simd_max(float(t)); else low = -simd_max(float(t));
    sum = simd_sum(sum);
    if (thread_index_in_simdgroup == 0) part[simdgroup_index_in_threadgroup] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t == BREAK) threadgroup_barrier(mem_flags::mem_threadgroup);
    float total = 0;
    for (uint g = 0; g < simdgroups_per_threadgroup; g++) total += part[g];
    out[row * threads_per_threadgroup.x + t] = total + low * 0.0001f;"""
MAIN = """
extern "C" { int printf(const char*, ...); unsigned mf_launch(mf::Launch*, unsigned); }
static float x[ROWS * N], out[ROWS * 80];
int main() {
  for (int i = 0; i < ROWS * N; ++i) x[i] = i % 13;
  void* buffers[] = {x, out};
  mf::u32 count, offsets[256] = {0};
  mf_storages(&count);
  mf::Launch launch = {};
  launch.buffers = buffers;
  launch.grid[0] = ROWS * 80; launch.grid[1] = launch.grid[2] = 1;
  launch.group[0] = 80; launch.group[1] = launch.group[2] = 1;
  launch.groups[0] = ROWS; launch.groups[1] = launch.groups[2] = 1;
  launch.strict = 1; launch.items = ROWS; launch.span = 1;
  launch.storage_offset = offsets; launch.run_thread = mf_run_thread;
  unsigned failed = mf_launch(&launch, 2);
  printf("%u %u %u\\n", failed, launch.failure.arrived, count);
  for (int i = 0; i < ROWS * 80; ++i) printf("%.4f\\n", out[i]);
}
"""
ROWS, COLS = 300, 50


def captured(breaking: int) -> Captured:
    """The kernel, as MLX generates it; thread `breaking` waits at a barrier of its own."""
    launch = Launch(
        "k", ("x",), (TensorSpec("out", (ROWS, 80), "float32"),), SOURCE, (ROWS * 80, 1, 1),
        (80, 1, 1), template=(("N", COLS), ("BREAK", breaking)),
    )  # fmt: skip
    return capture_launch(launch, [TensorSpec("x", (ROWS, COLS), "float32")])


def run(tmp_path: Path, breaking: int) -> list[str]:
    """Lines the kernel's program prints when its code is arm64's."""
    toolchain = find_toolchain(default_directory())
    unit = Builder(toolchain).translate(Text(captured(breaking), "", SOURCE))
    define = f"#define ROWS {ROWS}\n#define N {COLS}\n"
    texts = {
        "runtime": toolchain.runtime_unit,
        "kernel": toolchain.kernel_unit + unit.text + define + MAIN,
    }
    flags = [
        f for f in (*FLAGS, *PRELUDE_STANDARD) if f not in {"-fno-gnu-inline-asm", "-nostdinc"}
    ]
    for name, text in texts.items():
        file = tmp_path / f"{name}.cpp"
        file.write_text(text)
        target = ["--target=aarch64-linux-musl", "-march=armv8.2-a", "-fgnu-inline-asm"]
        command = [str(toolchain.zig), "clang", *flags, *target, "-c", str(file)]
        subprocess.run([*command, "-o", str(file.with_suffix(".o"))], check=True)
    objects = [str(tmp_path / f"{name}.o") for name in texts]
    program = str(tmp_path / "program")
    link = [str(toolchain.zig), "c++", "-target", "aarch64-linux-musl", "-static", "-O1"]
    subprocess.run([*link, *objects, "-o", program], check=True)
    done = subprocess.run(
        [str(EMULATOR), program], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.split("\n")


def test_threadgroups_run_on_arm64(tmp_path: Path) -> None:
    head, *lines = run(tmp_path, breaking=999)
    assert head == "0 0 1"
    x = (np.arange(ROWS * COLS) % 13).reshape(ROWS, COLS)
    t = np.arange(80)
    first, last = t - t % 32, np.minimum(t - t % 32 + 31, 79)
    low = np.where(t % 32 < 7, first + 6, -last)
    expected = x.sum(1)[:, None] + low[None, :] * 0.0001
    got = np.array([float(line) for line in lines if line]).reshape(ROWS, 80)
    np.testing.assert_allclose(got, expected, atol=2e-4)


def test_a_deadlock_is_found_on_arm64(tmp_path: Path) -> None:
    assert run(tmp_path, breaking=3)[0].startswith("1 1 ")


def test_the_code_for_a_mac_compiles(tmp_path: Path) -> None:
    toolchain = find_toolchain(default_directory())
    unit = Builder(toolchain).translate(Text(captured(999), "", SOURCE))
    flags = [f for f in (*FLAGS, *PRELUDE_STANDARD) if f != "-fno-gnu-inline-asm"]
    flags += ["--target=arm64-apple-macos14", "-mcpu=apple-m1", "-fgnu-inline-asm"]
    for text in (toolchain.runtime_unit, toolchain.kernel_unit + unit.text):
        made = tmp_path / "made.o"
        toolchain.run(["clang", "-x", "c++", *flags, "-c", "-", "-o", str(made)], text)
        assert made.read_bytes()[:4] == b"\xcf\xfa\xed\xfe"  # Mach-O, 64 bit
