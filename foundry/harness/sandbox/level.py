"""How well this machine can confine a kernel."""

from __future__ import annotations

import functools
import os
import sys
from enum import IntEnum

from foundry.errors import EnvironmentUnusable
from foundry.harness.sandbox import landlock, seatbelt, seccomp

VARIABLE = "FOUNDRY_SANDBOX"
"""`off` runs kernels under resource limits alone, and accepts untrusted ones all the same."""


class Level(IntEnum):
    """Levels of confinement, each holding everything below it."""

    LIMITS = 1
    FILTERED = 2
    ISOLATED = 3

    def __str__(self) -> str:
        return self.name.lower()


@functools.cache
def available() -> Level:
    """The strongest level on this machine."""
    if seatbelt.available():
        return Level.FILTERED
    if sys.platform != "linux" or not landlock.version() or not seccomp.available():
        return Level.LIMITS
    return Level.ISOLATED if os.geteuid() == 0 and _namespaces() else Level.FILTERED


def in_force() -> Level:
    """The level that workers get: the strongest, unless it is switched off."""
    return Level.LIMITS if is_off() else available()


def is_off() -> bool:
    """Whether the user switched the sandbox off."""
    return os.environ.get(VARIABLE, "").lower() == "off"


def refusal(least: Level) -> EnvironmentUnusable | None:
    """Why kernels that need a level must not run here; None where they may."""
    return shortage(least, available())


def shortage(least: Level, level: Level) -> EnvironmentUnusable | None:
    """Why kernels that need a level must not run at another; None where they may."""
    if is_off() or level >= least:
        return None
    return EnvironmentUnusable(
        f"kernels from outside need the sandbox level '{least}', here is '{level}' ({missing()}).",
        "Use macOS, or the cpu engine on Linux with Landlock and seccomp, or accept the risk: "
        f"--unconfined, or {VARIABLE}=off.",
    )


def absence(level: Level) -> EnvironmentUnusable | None:
    """Why a level that was asked for is not to be had here; None where it is."""
    if available() >= level:
        return None
    return EnvironmentUnusable(
        f"the sandbox level '{level}' is not available here, only '{available()}' ({missing()}).",
        "Leave the level out to use the strongest there is.",
    )


def missing() -> str:
    """What keeps this machine from a higher level, in words."""
    if sys.platform == "darwin":
        return "" if seatbelt.available() else f"no {seatbelt.COMMAND}"
    if sys.platform != "linux":
        return f"no sandbox for {sys.platform}"
    lacks = [] if landlock.version() else ["no Landlock"]
    lacks += [] if seccomp.available() else ["no seccomp filter"]
    if not lacks and available() < Level.ISOLATED:
        lacks.append("no right to make network namespaces")
    return ", ".join(lacks) or "nothing is missing"


def _namespaces() -> bool:
    """Whether a process of this user may have namespaces; tried in a process of its own."""
    child = os.fork()
    if child == 0:
        os._exit(0 if enter_namespaces() else 1)
    return os.waitpid(child, 0)[1] == 0


def enter_namespaces() -> bool:
    """Leave the network and IPC namespaces of the machine; whether that worked."""
    import ctypes

    new_ipc, new_net = 0x08000000, 0x40000000
    return bool(ctypes.CDLL(None).unshare(new_ipc | new_net) == 0)
