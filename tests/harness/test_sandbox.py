from __future__ import annotations

import os
import re
import site
import struct
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import foundry
from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Describe
from foundry.harness.processes import pool as pools
from foundry.harness.processes import start
from foundry.harness.processes.environment import cache_folder, jit_folder
from foundry.harness.processes.pool import WorkerPool
from foundry.harness.processes.start import Spawner
from foundry.harness.sandbox import (
    Level,
    available,
    landlock,
    level,
    profiles,
    refusal,
    seatbelt,
    seccomp,
)
from foundry.harness.sandbox.syscalls import LIMITED, NEWEST_KNOWN, REFUSED
from foundry.program import Device
from ops import plugins, registry

needs_filter = pytest.mark.skipif(
    available() < Level.FILTERED, reason="this machine has no Landlock or no seccomp"
)

ATTEMPT = """
import fcntl, os, socket, signal, subprocess, sys, threading, ctypes
from pathlib import Path
from foundry.harness.sandbox import Level, Profile, confine
import ml_dtypes, numpy
cache, secret, judge = Path(sys.argv[1]), sys.argv[2], int(os.environ["JUDGE_PID"])
confine(Profile(builds=sys.argv[3] == "builder", cache=cache, memory_bytes=1 << 30), Level.FILTERED)
def attempt(what):
    {code}
try:
    print("allowed", attempt(sys.argv[2]))
except (OSError, MemoryError, RuntimeError, subprocess.SubprocessError) as error:
    print("refused", type(error).__name__)
"""


def attempt(code: str, tmp_path: Path, role: str = "runner") -> str:
    """What a confined process says when it does something with the path of a secret file."""
    cache = tmp_path / "cache"
    cache.mkdir(exist_ok=True)
    (cache / "kernel.so").write_text("built")
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    script = ATTEMPT.format(code=code)
    done = subprocess.run(
        [sys.executable, "-c", script, str(cache), str(secret), role],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "JUDGE_PID": str(os.getpid()), "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )
    return done.stdout.strip() or f"died: {done.returncode} {done.stderr[-300:]}"


FORBIDDEN = {
    "read a file": "return open(what).read()",
    "list a folder": "return os.listdir(os.path.dirname(what))",
    "write a file": "return open(what + '2', 'w')",
    "write to shared memory": "return open('/dev/shm/foundry-litter', 'w')",
    "remove a file": "return os.unlink(what)",
    "empty a file": "return os.truncate(what, 0)",
    "let a pipe send signals": "return fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, judge)",
    "change rights": "return os.chmod(what, 0o777)",
    "read the judge's environment": "return open(f'/proc/{judge}/environ').read()",
    "read the judge's memory": "return open(f'/proc/{judge}/mem', 'rb').read(1)",
    "attach to the judge": """
    if ctypes.CDLL(None, use_errno=True).ptrace(16, judge, 0, 0):
        raise OSError(ctypes.get_errno(), 'ptrace')""",
    "kill the judge": "return os.kill(judge, 0)",
    "kill everything": "return os.kill(-1, 0)",
    "make a TCP socket": "return socket.socket()",
    "make a UDP socket": "return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "make a local socket": "return socket.socket(socket.AF_UNIX)",
    "make anonymous files": "return os.memfd_create('x')",
    "use io_uring": """
    if ctypes.CDLL(None, use_errno=True).syscall(425, 4, None) < 0:
        raise OSError(ctypes.get_errno(), 'io_uring')""",
    "leave its session": "return os.setsid()",
    "take 3 GB of memory": "return len(bytearray(3 << 30))",
}
FOR_RUNNERS = {
    "fork": "return os.fork()",
    "start a program": "return subprocess.run(['/bin/true']).returncode",
    "fill the cache": "return open(Path(sys.argv[1]) / 'other.so', 'w')",
    "change the cache": "return open(Path(sys.argv[1]) / 'kernel.so', 'w')",
}
ALLOWED = {
    "start threads": "t = threading.Thread(target=print); t.start(); return t.join()",
    "signal itself": "return os.kill(os.getpid(), 0)",
    "read the cache": "return (Path(sys.argv[1]) / 'kernel.so').read_text()",
    "import what is installed": "import sqlite3, mlx.core; return mlx.core.__name__",
    "count processors": "return os.cpu_count() and open('/proc/cpuinfo').read(1)",
    "draw random numbers": "return len(os.urandom(8))",
}


@needs_filter
@pytest.mark.parametrize("deed", [*FORBIDDEN, *FOR_RUNNERS])
def test_a_runner_cannot(deed: str, tmp_path: Path) -> None:
    assert attempt({**FORBIDDEN, **FOR_RUNNERS}[deed], tmp_path).startswith("refused")
    assert (tmp_path / "secret").read_text() == "the secret"
    assert not Path("/dev/shm/foundry-litter").exists()


@needs_filter
@pytest.mark.parametrize("deed", ["leave its session", "read a file", "make a TCP socket"])
def test_a_builder_cannot_either(deed: str, tmp_path: Path) -> None:
    said = attempt(FORBIDDEN[deed], tmp_path, "builder")
    # A compiler's wrapper may lead a session; it ends with the group of the builder all the same.
    assert said.startswith("allowed" if deed == "leave its session" else "refused")


@needs_filter
@pytest.mark.parametrize("deed", list(ALLOWED))
def test_a_runner_can(deed: str, tmp_path: Path) -> None:
    assert attempt(ALLOWED[deed], tmp_path).splitlines()[-1].startswith("allowed")


@needs_filter
def test_a_process_that_has_threads_is_not_half_confined(tmp_path: Path) -> None:
    script = """
import sys, threading
from pathlib import Path
from foundry.harness.sandbox import Level, Profile, confine
threading.Thread(target=sys.stdin.read, daemon=True).start()
try:
    confine(Profile(), Level.FILTERED)
except OSError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert "threads" in done.stdout


@needs_filter
def test_a_builder_starts_programs_and_fills_the_cache(tmp_path: Path) -> None:
    run = "return subprocess.run(['/bin/true']).returncode"
    assert attempt(run, tmp_path, "builder") == "allowed 0"
    fill = "return open(Path(sys.argv[1]) / 'other.so', 'w').write('x')"
    assert attempt(fill, tmp_path, "builder") == "allowed 1"


def test_too_little_sandbox_is_refused_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(level, "available", lambda: Level.LIMITS)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    found = refusal(Level.FILTERED)
    assert isinstance(found, EnvironmentUnusable)
    assert "FOUNDRY_SANDBOX=off" in found.fix
    assert refusal(Level.LIMITS) is None
    monkeypatch.setenv("FOUNDRY_SANDBOX", "off")
    assert refusal(Level.FILTERED) is None
    assert level.in_force() is Level.LIMITS


def test_the_profile_for_macos_names_what_it_allows_and_denies_the_rest() -> None:
    read, written, listed = Path('/opt/py "x"'), Path("/Users/me/Caches/mf"), Path("/work/house")
    text = seatbelt.profile([read], [written], [listed])
    lines = text.splitlines()
    assert lines[:4] == [
        "(version 1)", "(deny default)", '(import "system.sb")', "(deny network*)",
    ]  # fmt: skip
    assert text.count("(") == text.count(")")
    rules = {line.split()[1]: line for line in lines if line.startswith("(allow")}
    assert '(subpath "/opt/py \\"x\\"")' in rules["file-read*"]
    assert '(literal "/work/house")' in rules["file-read*"]
    assert rules["file-write*"] == '(allow file-write* (subpath "/Users/me/Caches/mf"))'
    assert "/Users/me" not in rules["process-exec"]
    assert "/bin/sh" in rules["process-exec"]
    assert rules["iokit-open"].count("iokit-registry-entry-class") == 2
    assert not any("mach-lookup" in line for line in lines)


def test_a_profile_names_places_as_they_resolve(tmp_path: Path) -> None:
    true, link = tmp_path / "private", tmp_path / "tmp"
    true.mkdir()
    link.symlink_to(true)
    text = seatbelt.profile([], [link])
    assert f'(allow file-write* (subpath "{link}") (subpath "{true}"))' in text


@pytest.fixture
def kept_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a stand-in for `sandbox-exec` keeps the profile of each worker that it starts."""
    command, kept = tmp_path / "sandbox-exec", tmp_path / "profile"
    command.write_text(f'#!/bin/sh\nprintf "%s" "$2" > {kept}\nshift 2\nexec "$@"\n')
    command.chmod(0o755)
    monkeypatch.setattr(seatbelt, "COMMAND", command)
    monkeypatch.setattr(seatbelt, "available", lambda: True)
    monkeypatch.setattr(pools, "starter", Spawner)
    return kept


def test_workers_of_a_mac_start_within_their_profile(
    monkeypatch: pytest.MonkeyPatch, kept_profile: Path, tmp_path: Path
) -> None:
    with WorkerPool("cpu", 1, tmp_path / "locks", level=Level.FILTERED) as pool:
        monkeypatch.setattr(pool, "_level", Level.LIMITS)  # Linux has rules of its own
        with pool.trusted() as worker:
            assert isinstance(worker.ask(Describe(), 60), Device)
        assert not kept_profile.exists()
        with pool.lease() as lease:
            assert isinstance(lease.ask(Describe(), 60), Device)
    text = kept_profile.read_text()
    assert str(Path(foundry.__file__).parent) in text
    assert f'(literal "{Path(foundry.__file__).parents[1]}")' in text
    assert "foundry-worker-" in text
    assert str(cache_folder()) in text


def test_a_worker_of_a_mac_reads_the_file_of_an_op_that_it_is_to_load(
    monkeypatch: pytest.MonkeyPatch, kept_profile: Path, tmp_path: Path
) -> None:
    """It is confined before anybody says which op it will meet."""
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from ops import elementwise\n"
        "mine = elementwise('mine', np=lambda x: x + 1, mlx='x + 1', metal='x + 1', flops=1)\n"
    )
    with WorkerPool("cpu", 1, tmp_path / "locks", level=Level.FILTERED) as pool:
        monkeypatch.setattr(pool, "_level", Level.LIMITS)
        with pool.lease() as lease:
            first = lease.pid
            lease.prepare("mine", str(mine))
            assert str(mine) in kept_profile.read_text()
            assert lease.pid != first
            assert isinstance(lease.ask(Describe(), 60), Device)
        with pool.lease() as lease:
            first = lease.pid
            lease.prepare("mine", str(mine))
            assert lease.pid == first  # it was started with the file


def test_the_profile_for_macos_holds_what_others_add(
    monkeypatch: pytest.MonkeyPatch, kept_profile: Path, tmp_path: Path
) -> None:
    theirs, user = tmp_path / "theirs", tmp_path / "user"
    theirs.mkdir()
    (theirs / "__init__.py").touch()
    point = EntryPoint("x", "theirs.ops", registry.ENTRY_POINT_GROUP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(user))
    monkeypatch.setenv("FOUNDRY_OPS", f"{tmp_path / 'a.py'}{os.pathsep}{tmp_path / 'b.py'}")
    places = start._code()
    assert {theirs, user, tmp_path / "a.py", tmp_path / "b.py"} <= set(places)


def headers(architecture: str) -> dict[str, int]:
    import ziglang

    folder = Path(next(iter(ziglang.__path__))) / "lib" / "libc" / "include"
    text = (folder / f"{architecture}-linux-any" / "asm" / "unistd_64.h").read_text()
    return {name: int(n) for name, n in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)}


def test_system_call_numbers_are_those_of_the_kernels_headers() -> None:
    for column, architecture in enumerate(("x86", "aarch64")):
        known = headers(architecture)
        for name, numbers in {**REFUSED, **LIMITED}.items():
            assert numbers[column] == known.get(name), name
    assert max(headers("x86").values()) >= NEWEST_KNOWN


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("may_start_processes", [False, True])
def test_every_jump_of_the_filter_ends_at_an_instruction(
    machine: str, may_start_processes: bool
) -> None:
    code = seccomp.assemble(machine, 7, may_start_processes=may_start_processes)
    program = list(struct.iter_unpack("=HBBI", code))
    assert len(program) <= 4096
    for place, (operation, if_true, if_false, _) in enumerate(program):
        if operation & 0x07 == 0x05:
            assert place + 1 + max(if_true, if_false) < len(program)
    assert program[-1] == (0x06, 0, 0, 0x7FFF0000)


def verdict(
    code: bytes, number: int, arguments: tuple[int, ...] = (), architecture: int = 0
) -> int:
    """Run the filter as the kernel does, for the few instructions that it uses."""
    program = list(struct.iter_unpack("=HBBI", code))
    arguments = (*arguments, 0, 0)
    data = {0: number, 4: architecture, 16: arguments[0], 24: arguments[1]}
    accumulator = place = 0
    while True:
        operation, if_true, if_false, value = program[place]
        if operation == 0x06:
            return value
        if operation == 0x20:
            accumulator = data[value]
            place += 1
            continue
        tests = {0x15: accumulator == value, 0x25: accumulator > value, 0x45: accumulator & value}
        place += 1 + (if_true if tests[operation] else if_false)


@pytest.mark.parametrize(
    ("machine", "column", "architecture"),
    [
        ("x86_64", 0, 0xC000003E),
        ("aarch64", 1, 0xC00000B7),
    ],
)
def test_the_filter_decides_by_call_and_argument(
    machine: str, column: int, architecture: int
) -> None:
    code = seccomp.assemble(machine, 77, may_start_processes=False)
    allow, denied, unknown = 0x7FFF0000, 0x00050001, 0x00050026
    kill, clone, clone3, limit = (
        LIMITED[n][column] for n in ("kill", "clone", "clone3", "prlimit64")
    )
    connect = REFUSED["connect"][column]
    assert None not in (kill, clone, clone3, limit, connect)

    def says(number: int | None, *arguments: int) -> int:
        return verdict(code, int(number or 0), arguments, architecture)

    assert says(connect) == denied
    assert says(kill, 77) == allow
    assert says(kill, 78) == says(kill, 0xFFFFFFFF) == denied
    assert says(clone, 0x003D0F00) == allow
    assert says(clone, 17) == denied
    assert says(clone3) == unknown
    assert says(limit, 0) == allow
    assert says(limit, 1) == denied
    fcntl, truncate = LIMITED["fcntl"][column], REFUSED["truncate"][column]
    assert [says(fcntl, 3, command) for command in (1, 3, 4, 1030)] == [allow] * 4
    assert [says(fcntl, 3, command) for command in (8, 10, 15)] == [denied] * 3
    assert says(truncate) == denied
    assert says(NEWEST_KNOWN + 1) == unknown
    assert says(0x40000000 + 41) == unknown
    assert verdict(code, 0, (), 0x40000003) == 0x80000000


def test_what_trusted_workers_load_lies_where_no_builder_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FOUNDRY_CACHE_DIR", str(tmp_path))
    allowed = profiles.rules(profiles.Profile(builds=True, cache=cache_folder()))
    writable = [p for p, access in allowed.items() if access & landlock.Access.MAKE_REG]
    assert writable == [cache_folder()]
    assert not jit_folder().is_relative_to(cache_folder())
