"""What a compiled kernel holds beside code and constants, whatever the format of its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """Names are as in the file, without what the format puts before them."""

    runs_when_loaded: bool = False
    """Whether code of it runs before a kernel does."""
    keeps: bool = False
    """Whether it has variables that outlive a launch."""
    kept: tuple[str, ...] = ()
    """Their names, where they have any."""
    foreign: tuple[str, ...] = ()
    """Names of the system's library that it uses."""
