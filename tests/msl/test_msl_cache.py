"""Builds are found again by content, shared between processes, bounded, and survive damage."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foundry.engines.cpu import CpuEngine
from foundry.errors import EnvironmentUnusable
from foundry.msl.build import compiler
from foundry.msl.build import toolchain as toolchains
from foundry.msl.build.cache import BuildCache, default_directory
from foundry.msl.build.compiler import CompilerFailed
from foundry.msl.build.toolchain import Toolchain, find_toolchain, one_text
from foundry.msl.run.builder import Builder
from foundry.msl.run.runtime import LoadedKernel
from foundry.msl.sanitizer.arena import Arena
from foundry.program import BuildFailure, Launch, Program, TensorSpec


def program(source: str, header: str = "", math_mode: str = "safe") -> Program:
    launch = Launch(
        "k", ("x",), (TensorSpec("out", (8,), "float32"),), source, (8, 1, 1), (8, 1, 1),
        header=header, math_mode=math_mode,
    )  # fmt: skip
    return Program((TensorSpec("x", (8,), "float32"),), ("out",), (launch,))


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of these tests' own, as other processes fill the usual one."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("cache")
        patch.setenv("FOUNDRY_CACHE_DIR", str(path))
        yield default_directory()


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Units that reach the compiler, in order."""
    seen: list[str] = []
    original = Toolchain.compile

    def compile(self: Toolchain, unit: str, math_mode: str, target: Path) -> None:
        seen.append(unit)
        original(self, unit, math_mode, target)

    monkeypatch.setattr(Toolchain, "compile", compile)
    return seen


def fresh() -> str:
    return f"out[0] = x[0]; // {time.time_ns()}"


def test_a_kernel_is_compiled_once_for_all_engines(compiles: list[str]) -> None:
    source = fresh()
    for _ in range(3):
        assert not isinstance(CpuEngine().build(program(source)), BuildFailure)
    assert len(compiles) == 1
    assert not isinstance(CpuEngine().build(program(source, math_mode="fast")), BuildFailure)
    assert len(compiles) == 2


def test_a_failure_is_remembered_too(compiles: list[str]) -> None:
    source = "nope;" + fresh()
    logs = [CpuEngine().build(program(source)).log for _ in range(3)]  # type: ignore[union-attr]
    assert len(compiles) == 1
    assert logs[0] == logs[1] == logs[2]
    assert "source:1:1" in logs[0]


def test_a_busy_machine_says_nothing_of_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = program("out[thread_position_in_grid.x] = x[0] * 41;")
    with monkeypatch.context() as hurried:
        hurried.setattr(compiler, "_COMPILE_WALL_S", 0.001)
        with pytest.raises(EnvironmentUnusable, match="less busy"):
            CpuEngine().build(busy)
    assert not isinstance(CpuEngine().build(busy), BuildFailure)


COMPILING = """
import sys
from foundry.msl.build import compiler
compiler._COMPILE_WALL_S, compiler._LOOK_S = 1.0, 0.1
print("begun", flush=True)
print(compiler._ended_program(["sh", "-c", "read word; sleep 0.5; echo $word"], "done", {}).stdout)
"""


def test_a_compiler_is_not_late_where_who_waits_for_it_was_stopped() -> None:
    """Its judge stops a worker while it times, and may be stopped itself, by Ctrl-Z."""
    command = [sys.executable, "-c", COMPILING]
    with subprocess.Popen(command, stdout=-1, text=True) as stopped:
        assert stopped.stdout is not None
        stopped.stdout.readline()
        time.sleep(0.2)
        stopped.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        stopped.send_signal(signal.SIGCONT)
        assert stopped.communicate(timeout=20)[0].strip() == "done"


def test_where_the_header_ends_decides_whose_line_an_error_stands_on() -> None:
    one = CpuEngine().build(program("out[0] = q;", header="enum { a };\n"))
    two = CpuEngine().build(program("out[0] = q;", header="\n"))
    assert isinstance(one, BuildFailure)
    assert isinstance(two, BuildFailure)
    assert one.log == two.log


def test_a_damaged_build_is_made_again(compiles: list[str], cache: Path) -> None:
    source = "out[thread_position_in_grid.x] = x[0] + 0;"
    subprocess.run([sys.executable, "-c", SCRIPT, "1"], check=True, timeout=120)
    newest = max(cache.glob("*/*.so"), key=lambda p: p.stat().st_mtime_ns)
    newest.write_bytes(b"\x7fELF cut short")
    built = CpuEngine().build(program(source))
    assert not isinstance(built, BuildFailure)
    call = built.bind({"x": np.ones(8, np.float32)})
    call()
    assert call.outputs()["out"][0] == 1
    assert len(compiles) == 1


def test_a_lost_prelude_is_made_again() -> None:
    chain = find_toolchain(default_directory())
    for path in default_directory().glob(f"*/{chain.id}*.pch"):
        path.unlink()
    assert not isinstance(CpuEngine().build(program(fresh())), BuildFailure)


SCRIPT = """
import sys, numpy as np
from foundry.program import *
from foundry.engines.cpu import CpuEngine
for n in range(int(sys.argv[1])):
    launch = Launch("k", ("x",), (TensorSpec("out", (8,), "float32"),),
                    f"out[thread_position_in_grid.x] = x[0] + {n};", (8, 1, 1), (8, 1, 1))
    built = CpuEngine().build(Program((TensorSpec("x", (8,), "float32"),), ("out",), (launch,)))
    call = built.bind({"x": np.ones(8, np.float32)})
    call()
    assert call.outputs()["out"].tolist() == [1 + n] * 8
"""


def test_processes_share_an_empty_cache(tmp_path: Path) -> None:
    environment = {**os.environ, "FOUNDRY_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, "4"]
    started = [subprocess.Popen(command, env=environment, stderr=-1) for _ in range(4)]
    for process in started:
        _, words = process.communicate(timeout=120)
        assert process.returncode == 0, words
    names = sorted(p.name for p in tmp_path.glob("builds/*/*"))
    assert sum(name.endswith(".pch") for name in names) == 2
    assert sum(name.endswith("-runtime.so") for name in names) == 1
    assert sum(name.endswith(".so") for name in names) == 5
    assert not list(tmp_path.glob("builds/tmp-*"))


def test_the_cache_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path, limit_bytes=3500)
    for n in range(5):
        path = cache.put(f"{n}-file", _thousand)
        os.utime(path, (1000 + n, 1000 + n))
    assert cache.find("0-file") is not None  # old, so finding it marks it as used
    cache.sweep()
    assert {p.name for p in tmp_path.glob("*/*")} == {"0-file", "3-file", "4-file"}


def test_a_full_cache_is_swept_now_and_then_whoever_fills_it(tmp_path: Path) -> None:
    def put(name: str) -> set[str]:
        # A cache of its own, as every process has one.
        BuildCache(tmp_path, limit_bytes=1500).put(name, _thousand)
        return {p.name for p in tmp_path.glob("*/*")}

    assert put("0-file") == {"0-file"}
    assert put("1-file") == {"0-file", "1-file"}
    swept = tmp_path / "swept"
    for when in (time.time() - 3600, time.time() + 3600):
        os.utime(swept, (when, when))
        os.utime(next(tmp_path.glob("*/*")), (1000, 1000))
        assert len(put(f"{when}-file")) == 1


def _thousand(target: Path) -> None:
    target.write_bytes(b"x" * 1000)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)

    def write(target: Path) -> None:
        target.write_bytes(b"half")
        raise CompilerFailed("no")

    with pytest.raises(CompilerFailed):
        cache.put("ab", write)
    assert cache.find("ab") is None
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_build_that_a_sleeping_machine_interrupts_keeps_its_folder(tmp_path: Path) -> None:
    """The clock of the wall goes on in the meantime, and others sweep when it wakes."""
    cache = BuildCache(tmp_path)
    left = tmp_path / "tmp-left"
    left.mkdir()
    os.utime(left, (1000, 1000))
    with cache.scratch() as scratch:
        os.utime(scratch, (1000, 1000))
        cache.sweep()
        assert scratch.exists()
    assert not left.exists()
    assert not scratch.exists()


def test_files_of_another_user_are_read_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path = BuildCache(tmp_path).put("ab", _thousand)
    cache = BuildCache(tmp_path, limit_bytes=500)
    os.utime(path, (1000, 1000))
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    assert cache.find("ab") == path
    cache.sweep()
    assert path.exists()


def test_a_machine_without_a_process_left_is_not_told_of_its_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", run)
    with pytest.raises(EnvironmentUnusable, match="no process can be started for the compiler"):
        CpuEngine().build(program(fresh()))


def test_a_file_that_lost_its_contents_is_not_there(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    cache.put("ab", _thousand).write_bytes(b"")
    assert cache.find("ab") is None
    assert cache.put("ab", _thousand) == cache.find("ab")


def test_a_cache_whose_files_lost_their_contents_is_filled_again() -> None:
    """As after a power cut: names reach the disk before what they name."""
    refused = "float a = 1; device float* p = &a; out[0] = x[0];" + fresh()
    first = CpuEngine().build(program(refused))
    assert isinstance(first, BuildFailure)
    for path in [path for path in default_directory().glob("*/*") if path.is_file()]:
        path.unlink()  # what is loaded stays as it is
        path.touch()
    assert CpuEngine().build(program(refused)) == first
    subprocess.run([sys.executable, "-c", SCRIPT, "1"], check=True, timeout=120)


def test_a_compiler_that_the_system_killed_says_nothing_of_a_kernel(tmp_path: Path) -> None:
    good = find_toolchain(default_directory())
    zig = tmp_path / "zig"
    zig.write_text(f'#!/bin/sh\n[ -e {tmp_path}/full ] && kill -9 $$\nexec {good.zig} "$@"\n')
    zig.chmod(0o755)
    chain = Toolchain(zig, good.version, good.cache, good.id, good.kernel_unit, good.runtime_unit)
    engine, source = CpuEngineWith(Builder(chain)), fresh()
    (tmp_path / "full").touch()
    with pytest.raises(EnvironmentUnusable, match="out of memory"):
        engine.build(program(source))
    (tmp_path / "full").unlink()
    assert not isinstance(engine.build(program(source)), BuildFailure)


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentUnusable, match="Set FOUNDRY_CACHE_DIR to a folder that can"):
        BuildCache(tmp_path / "file" / "cache")


def test_a_broken_compiler_is_not_the_kernels_fault(tmp_path: Path) -> None:
    good = find_toolchain(tmp_path / "good")
    zig = tmp_path / "zig"
    zig.write_text("#!/bin/sh\necho 'zig: bus error' >&2\nexit 1\n")
    zig.chmod(0o755)
    broken = Toolchain(
        zig, good.version, BuildCache(tmp_path / "broken"), "broken", good.kernel_unit,
        good.runtime_unit,
    )  # fmt: skip
    with pytest.raises(EnvironmentUnusable, match="bus error"):
        CpuEngineWith(Builder(broken)).build(program(fresh()))
    missing = Toolchain(
        tmp_path / "none", good.version, BuildCache(tmp_path / "none-cache"), "none",
        good.kernel_unit, good.runtime_unit,
    )  # fmt: skip
    with pytest.raises(EnvironmentUnusable, match="cannot be started.*--force-reinstall ziglang"):
        CpuEngineWith(Builder(missing)).build(program(fresh()))


def test_a_compiler_that_breaks_later_is_not_the_kernels_fault(tmp_path: Path) -> None:
    good = find_toolchain(tmp_path / "cache")
    zig = tmp_path / "zig"
    zig.write_text(f'#!/bin/sh\n[ -e {tmp_path}/broken ] && exit 1\nexec {good.zig} "$@"\n')
    zig.chmod(0o755)
    chain = Toolchain(zig, good.version, good.cache, good.id, good.kernel_unit, good.runtime_unit)
    engine = CpuEngineWith(Builder(chain))
    assert not isinstance(engine.build(program(fresh())), BuildFailure)
    (tmp_path / "broken").touch()
    with pytest.raises(EnvironmentUnusable, match="does not work"):
        engine.build(program(fresh()))


def test_a_disk_that_programs_cannot_run_from_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: LoadedKernel, path: Path, *_: object) -> None:
        raise OSError(f"{path.name}: failed to map segment from shared object")

    monkeypatch.setattr(LoadedKernel, "__init__", load)
    with pytest.raises(EnvironmentUnusable, match="on a disk that programs may run from"):
        CpuEngine().build(program(fresh()))


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    def write(target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(EnvironmentUnusable, match="No space left on device. Free some space"):
        BuildCache(tmp_path).put("ab", write)


@pytest.mark.parametrize(
    ("log", "full"),
    [
        ("error: unable to open output file '/c/x.pch': 'No space left on device'\n", True),
        ("ld.lld: error: failed to write: No space left on device\n", True),
        ("header:1:2: error: No space left on device\n", False),
    ],
)
def test_only_the_compiler_itself_can_say_that_the_disk_is_full(log: str, full: bool) -> None:
    assert bool(compiler._DISK_FULL.search(log)) is full


class CpuEngineWith(CpuEngine):
    """The cpu engine with a toolchain of the test."""

    def __init__(self, builder: Builder) -> None:
        self.__dict__["_builder"] = builder


def test_the_prelude_is_one_text_that_names_no_file_of_this_machine() -> None:
    text = one_text(toolchains.PRELUDE / "runtime" / "kernel_unit.h")
    assert str(toolchains.PRELUDE) not in text
    assert "mf_run" not in text
    assert text.count("struct alignas(64) Fibre {") == 1


def test_an_arena_may_be_closed_while_a_failure_still_holds_its_arrays() -> None:
    arena = Arena(1, 64)
    _, array = arena.take(64)
    arena.close()
    array[:] = 7
    assert array.sum() == 7 * 64
