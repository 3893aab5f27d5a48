"""Seatbelt, the sandbox of macOS: the profile that a worker is started with.

It follows a published measurement (M1 Ultra, macOS 26.5, MLX 0.32.2, nothing cached): beside what
every program needs (`system.sb`) a GPU takes two user clients and a readable working directory; no
service by name, no cache to write. The compiler runs as a process of its own, so a worker may start
one: the programs of the Python and the compiler it reads, and the shell that limits the compiler.
Never run on Apple hardware here; `foundry doctor` tries it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

COMMAND = Path("/usr/bin/sandbox-exec")
_CLIENTS = ("AGXDeviceUserClient", "IOSurfaceRootUserClient")
_PROGRAMS = ("/bin/sh", "/bin/bash", "/private/var/select/sh")
"""The shell of macOS asks the last which one it is."""


def available() -> bool:
    """Whether this is macOS with its sandbox command."""
    return sys.platform == "darwin" and COMMAND.exists()


def prefix(readable: Iterable[Path], writable: Iterable[Path], listed: Iterable[Path]) -> list[str]:
    """What to put in front of a command, so that it runs confined."""
    return [str(COMMAND), "-p", profile(readable, writable, listed)]


def profile(readable: Iterable[Path], writable: Iterable[Path], listed: Iterable[Path] = ()) -> str:
    """The profile, in the sandbox's own language.

    Args:
        readable: Folders a worker may read, and run programs from.
        writable: Folders it may read and write, and run no program from.
        listed: Folders whose names alone it may read: Python looks for packages in them.
    """
    read, written = _places(readable), _places(writable)
    code = " ".join(f"(subpath {place})" for place in dict.fromkeys(read))
    data = " ".join(f"(subpath {place})" for place in dict.fromkeys(written))
    names = " ".join(f"(literal {place})" for place in dict.fromkeys(_places(listed)))
    programs = " ".join(f"(literal {_quoted(path)})" for path in _PROGRAMS)
    clients = " ".join(f'(iokit-registry-entry-class "{name}")' for name in _CLIENTS)
    lines = [
        "(version 1)",
        "(deny default)",
        '(import "system.sb")',
        "(deny network*)",
        "(allow process-fork)",
        "(allow signal (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
        f"(allow file-read* {code} {data} {names} {programs})",
        f"(allow file-map-executable {code} {data} {programs})",
        f"(allow process-exec {code} {programs})",
        f"(allow iokit-open {clients})",
        f"(allow file-write* {data})",
    ]
    return "\n".join(lines)


def _places(folders: Iterable[Path]) -> list[str]:
    """Each as it is and as it resolves: Seatbelt compares real paths, `/tmp` is none."""
    return [_quoted(path) for folder in folders for path in _both(folder)]


def _both(folder: Path) -> Iterator[Path]:
    yield from dict.fromkeys((folder.absolute(), folder.resolve()))


def _quoted(text: str | Path) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
