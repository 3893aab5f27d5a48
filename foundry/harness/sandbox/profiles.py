"""What each kind of worker process may reach.

A *runner* executes kernels: it reads what Python, MLX and the build cache consist of, writes
nothing, starts no process. A *builder* runs the compiler: it may start it and fill the cache.
"""

from __future__ import annotations

import errno
import functools
import os
import platform
import site
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foundry.harness.sandbox import landlock, limits, seccomp
from foundry.harness.sandbox.landlock import READ, RUN, WRITE, Access
from foundry.harness.sandbox.level import Level

_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_PROGRAMS = ("/usr/bin", "/bin", "/usr/local/bin")
_FACTS = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/etc/localtime",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_COMPILER_FILE_BYTES = 256 << 20


@dataclass(frozen=True)
class Profile:
    """What one process needs."""

    builds: bool = False
    """Starts the compiler and writes the build cache."""
    cache: Path | None = None
    readable: tuple[Path, ...] = ()
    memory_bytes: int | None = None


def confine(profile: Profile, level: Level) -> None:
    """Confine this process for good. Call it before it has other threads.

    Raises:
        OSError: It has other threads, or the kernel refuses what it said it could do.
    """
    if profile.builds:  # it serves many candidates, each of its jobs within a time of its own
        limits.apply(profile.memory_bytes, _COMPILER_FILE_BYTES, cpu_s=None)
    else:
        limits.apply(profile.memory_bytes)
    if level < Level.FILTERED or sys.platform == "darwin":
        return  # on macOS the process was started confined
    if len(os.listdir("/proc/self/task")) > 1:
        # Filters and rules bind the thread that asks for them and what it starts, no other.
        raise OSError(errno.EBUSY, "a process with threads cannot be confined as a whole")
    limits.drop_capabilities(platform.machine())
    seccomp.forbid_new_privileges()
    landlock.restrict(rules(profile))
    seccomp.restrict(may_start_processes=profile.builds)


def rules(profile: Profile) -> Mapping[Path, Access]:
    """The files and folders a process may open, and how."""
    allowed = dict(_for_everybody())
    for folder in profile.readable:
        allowed[folder] = READ
    if profile.cache is not None:
        allowed[profile.cache] = WRITE if profile.builds else READ
    if profile.builds:
        for path in (*_SYSTEM, *_PROGRAMS):
            allowed[Path(path)] = RUN
        allowed[compiler_folder()] = RUN
    return allowed


@functools.cache
def _for_everybody() -> Mapping[Path, Access]:
    """Rules that hold for any profile; worked out once, in the fork server."""
    allowed = {Path(path): READ for path in (*_SYSTEM, *_FACTS)}
    allowed |= dict.fromkeys((*python_folders(), *own_packages()), READ)
    allowed |= {Path(path): Access.READ_FILE for path in _DEVICES}
    allowed[Path("/dev/null")] = Access.READ_FILE | Access.WRITE_FILE
    return allowed


def python_folders() -> set[Path]:
    """Where Python and what is installed for it lie."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {Path(sysconfig.get_path(name)).resolve() for name in names}
    found |= {Path(folder).resolve() for folder in site.getsitepackages()}
    if site.ENABLE_USER_SITE:  # where pip installs who may not write the others
        found.add(Path(site.getusersitepackages()).resolve())
    # A virtual environment takes its standard library from where it was made.
    found.add(Path(sys.base_prefix).resolve() / "lib")
    return found


def own_packages() -> set[Path]:
    """The packages of this project, and not the folder they may be checked out in."""
    import foundry
    import ops

    return {Path(str(module.__file__)).resolve().parent for module in (foundry, ops)}


@functools.cache
def compiler_folder() -> Path:
    """Where the compiler lies."""
    return next(iter(folders_of("ziglang")), Path("/nonexistent"))


def folders_of(package: str) -> list[Path]:
    """Where a package lies, or a module; nowhere where it is not installed."""
    import importlib.util

    found = importlib.util.find_spec(package)
    if found is None:
        return []
    module = [found.origin] if found.origin else []
    return [Path(place).resolve() for place in found.submodule_search_locations or module]
