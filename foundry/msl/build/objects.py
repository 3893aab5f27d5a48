"""Reads a compiled kernel as a file, to see what it would keep or do beside computing.

Metal has no variable that outlives a launch. C++ has: globals, statics, thread-local ones. They,
code that runs when an object is loaded, and calls of the C library show in the compiled file,
whatever the source did to hide them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from foundry.msl.build import elf, macho
from foundry.msl.build.traits import Traits

_NAME = re.compile(r"\d+")


@dataclass(frozen=True)
class Fault:
    """Why a compiled kernel is none: a sentence, and the variable it is about."""

    reason: str
    variable: str | None = None


def fault_of(path: Path) -> Fault | None:
    """What is wrong with a compiled kernel; None where nothing is."""
    traits = _traits(path.read_bytes())
    if traits.runs_when_loaded:
        return Fault("code that runs before the kernel is launched is not Metal")
    if traits.keeps:
        return _state(list(dict.fromkeys(map(_plain, traits.kept))))
    if traits.foreign:
        name = _plain(traits.foreign[0])
        return Fault(f"'{name}' is no function of Metal, nor of this kernel", name)
    return None


def _traits(data: bytes) -> Traits:
    if data.startswith(elf.MAGIC):
        return elf.traits_of(data)
    if data.startswith(macho.MAGIC):
        return macho.traits_of(data)
    return Traits()


def _state(names: list[str]) -> Fault:
    shown = ", ".join(f"'{name}'" for name in names[:3]) or "a variable"
    reason = (
        f"{shown} would keep a value from one launch to the next: outside of functions Metal has "
        "only constants, and static variables must be constant; use a temporary of the kernel"
    )
    return Fault(reason, names[0] if names else None)


def _plain(mangled: str) -> str:
    """The last name in a mangled one: `_ZL5calls` is `calls`."""
    if not mangled.startswith("_Z"):
        return mangled
    found, at = mangled, 2
    while match := _NAME.search(mangled, at):
        end = match.end() + int(match[0])
        if end > len(mangled):
            break
        found, at = mangled[match.end() : end], end
    return found
