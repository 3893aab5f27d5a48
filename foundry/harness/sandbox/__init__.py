"""What a kernel's process can reach: as little as the system allows, and said honestly.

| level | what holds |
|---|---|
| `limits` | own session, no secrets in the environment, resource limits |
| `filtered` | and Landlock (files, TCP, signals, ptrace), seccomp (processes, sockets), no rights |
| `isolated` | and network and IPC namespaces of its own |

`profiles.py` says what each kind of process needs; `confine` applies it and cannot be undone. A
sandbox of this kind makes escapes hard, not impossible: run untrusted kernels where nothing
precious is.
"""

from __future__ import annotations

from foundry.harness.sandbox.level import (
    Level,
    absence,
    available,
    in_force,
    missing,
    refusal,
    shortage,
)
from foundry.harness.sandbox.profiles import Profile, confine

__all__ = [
    "Level",
    "Profile",
    "absence",
    "available",
    "confine",
    "in_force",
    "missing",
    "refusal",
    "shortage",
]
