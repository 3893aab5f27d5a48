"""Seatbelt, the sandbox of macOS: a profile for workers. UNTESTED: written from public profiles.

Used only when asked for (`FOUNDRY_SANDBOX=seatbelt`). Metal needs its compiler service, the GPU's
user clients, and its cache; everything else is denied: the network, other programs, other files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

COMMAND = Path("/usr/bin/sandbox-exec")
_READABLE = ("/System", "/usr/lib", "/usr/share", "/Library/Apple", "/private/var/db/dyld")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_SERVICES = (
    "com.apple.MTLCompilerService",
    "com.apple.system.logger",
    "com.apple.system.opendirectoryd.libinfo",
)
_CLIENTS = (
    "AGXDeviceUserClient",
    "AGXSharedUserClient",
    "IOSurfaceRootUserClient",
    "IOAccelDevice2",
    "IOAccelContext2",
    "IOAccelSharedUserClient2",
)


def available() -> bool:
    """Whether this is macOS with its sandbox command."""
    return sys.platform == "darwin" and COMMAND.exists()


def prefix(readable: Iterable[Path], writable: Iterable[Path]) -> list[str]:
    """What to put in front of a command, so that it runs confined."""
    return [str(COMMAND), "-p", profile(readable, writable)]


def profile(readable: Iterable[Path], writable: Iterable[Path]) -> str:
    """The profile, in the sandbox's own language."""
    read = [*_READABLE, *map(str, readable), *map(str, writable)]
    write = [*map(str, writable), str(_metal_cache())]
    lines = [
        "(version 1)",
        "(deny default)",
        "(deny network*)",
        "(allow process-exec)",
        "(deny process-fork)",
        "(allow signal (target self))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
    ]
    lines += [f"(allow file-read* (subpath {_quoted(path)}))" for path in read]
    lines += [f"(allow file-read* file-write-data (literal {_quoted(p)}))" for p in _DEVICES]
    lines += [f"(allow file-read* file-write* (subpath {_quoted(path)}))" for path in write]
    lines += [f"(allow mach-lookup (global-name {_quoted(name)}))" for name in _SERVICES]
    lines += [f"(allow iokit-open (iokit-user-client-class {_quoted(c)}))" for c in _CLIENTS]
    return "\n".join(lines)


def _metal_cache() -> Path:
    name = "CS_DARWIN_USER_CACHE_DIR"
    folder = os.confstr(name) if name in os.confstr_names else None
    return Path(folder or "/private/var/folders") / "com.apple.metal"


def _quoted(text: str | Path) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
