"""zig's clang as a process: what it reads, under limits, and what becomes of its failures."""

from __future__ import annotations

import functools
import os
import re
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from foundry.errors import EnvironmentUnusable
from foundry.msl.build.cache import BuildCache
from foundry.msl.build.driver import Driver
from foundry.msl.build.processor import processor

COMPILE_CPU_S = 30
_COMPILE_WALL_S = 20.0 * COMPILE_CPU_S
"""Only a machine that gives it no processor time lets it come to that: nothing is said of the
kernel then, and nothing kept."""
_COMPILE_MEMORY_KIB = 3 * 1024 * 1024
_COMPILE_FILE_BLOCKS = 128 * 1024
_LIMITED = (
    'ulimit -t "$1"; shift;'
    f" ulimit -v {_COMPILE_MEMORY_KIB} 2>/dev/null;"
    f' ulimit -f {_COMPILE_FILE_BLOCKS}; exec "$@"'
)
_LOOK_S = 5.0
_LEAST_SHARE = 0.8
"""Of the limit: who is killed having used less was not killed for it."""
_NOT_STARTED = (126, 127)  # what a shell's exec ends with
_DISK_FULL = re.compile(r"^(?:[\w.]+: )?(?:fatal )?error: .*No space left on device", re.MULTILINE)
"""Said of no line of a unit, so no kernel can say it (`#error`)."""


class CompilerFailed(Exception):
    """The compiler or linker refuses a unit; `log` is what it said, not yet scrubbed."""

    def __init__(self, log: str) -> None:
        super().__init__(log)
        self.log = log


@dataclass(frozen=True, eq=False)
class Compiler:
    """A compiler, which may use up so much time, memory and disk."""

    zig: Path
    version: str
    cache: BuildCache
    """Where its driver's answers are kept, and what it builds."""

    def run(
        self, arguments: Sequence[str], text: str | None = None, limit_s: int = COMPILE_CPU_S
    ) -> str:
        """Run the compiler under its limits on text from standard input; what it prints.

        Args:
            arguments: Of zig.
            text: For its standard input.
            limit_s: Processor time, in seconds.

        Raises:
            CompilerFailed: when it refuses its input, crashes or needs too long.
            EnvironmentUnusable: when it cannot be started, or the machine leaves it no time or no
                memory.
        """
        if arguments[0] == "clang":
            arguments = self._driver.direct(arguments)
        return self._run(arguments, text, limit_s).stdout

    @functools.cached_property
    def _driver(self) -> Driver:
        identity = f"{self.zig}\0{self.version}\0{processor()}"
        return Driver(identity, lambda arguments: self._run(arguments).stderr, self.cache)

    def _run(
        self, arguments: Sequence[str], text: str | None = None, limit_s: int = COMPILE_CPU_S
    ) -> subprocess.CompletedProcess[str]:
        command = ["/bin/sh", "-c", _LIMITED, "sh", str(limit_s), str(self.zig), *arguments]
        before_s = _used_s()
        try:
            done = _ended_program(
                command,
                text or "",
                {"PATH": os.defpath, "HOME": str(self.cache.directory), "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as timeout:
            raise EnvironmentUnusable(
                f"the compiler did not have {limit_s} s of processor time in "
                f"{timeout.timeout:.0f} s.",
                "Run it again when this machine is less busy.",
            ) from timeout
        except OSError as error:  # not of the cache, in whose writing this may happen
            raise EnvironmentUnusable(
                f"no process can be started for the compiler: {error.strerror}.",
                "End other programs, or use fewer --workers.",
            ) from error
        if done.returncode in _NOT_STARTED:
            raise EnvironmentUnusable(
                f"the compiler cannot be started: {done.stderr.strip()}.",
                "Reinstall it with: pip install --force-reinstall ziglang",
            )
        if done.returncode == -signal.SIGKILL and _used_s() - before_s < _LEAST_SHARE * limit_s:
            raise EnvironmentUnusable(
                "the compiler was killed from outside: this machine may be out of memory.",
                "Close what else takes memory, or use fewer --workers.",
            )
        if done.returncode < 0:
            raise CompilerFailed(f"{_ended(-done.returncode, limit_s)}\n{done.stderr}")
        if done.returncode and _DISK_FULL.search(done.stderr):
            raise EnvironmentUnusable(
                f"the disk of the build cache '{self.cache.directory}' is full.",
                "Free some space, or set FOUNDRY_CACHE_DIR to another folder.",
            )
        if done.returncode:
            raise CompilerFailed(done.stderr or f"error: the compiler ended with {done.returncode}")
        return done


def _ended_program(
    command: Sequence[str], text: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """A program that read a text, once it has ended.

    Each wait counts as what it may take at most: beyond that this process was stopped, and perhaps
    the program too.

    Raises:
        subprocess.TimeoutExpired: It was left no time; it is killed.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace", env=environment
    ) as process:
        given: str | None = text
        left_s = _COMPILE_WALL_S
        try:
            while True:
                try:
                    said = process.communicate(given, min(left_s, _LOOK_S))
                    return subprocess.CompletedProcess(command, process.returncode, *said)
                except subprocess.TimeoutExpired as late:
                    given, left_s = None, left_s - late.timeout
                    if left_s <= 0:
                        raise subprocess.TimeoutExpired(command, _COMPILE_WALL_S) from None
        finally:
            process.kill()


def _used_s() -> float:
    """Processor time of the programs that this process started and that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ended(number: int, limit_s: int) -> str:
    if number in {signal.SIGXCPU, signal.SIGKILL}:
        return f"error: the compiler needs more than {limit_s} s for this kernel"
    if number == signal.SIGXFSZ:
        return "error: the compiled kernel is too large"
    return f"error: the compiler crashed on this kernel ({signal.Signals(number).name})"
