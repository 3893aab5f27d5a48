"""What clang's driver makes of a command line, asked once and remembered.

The driver looks at the machine and then starts the compiler proper with a long line of options. It
takes a quarter of a small compilation and finds the same every time, so the line is kept by the
options that it came from, and the compiler proper is called directly.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foundry.msl.build.cache import BuildCache

_NAMED = ("-o", "-include-pch")
"""Options with a file that differs from call to call."""
_PROPER = ("-cc1", "-cc1as")


@dataclass
class Driver:
    """The driver of one compiler."""

    identity: str
    """Of the compiler and its machine: where it lies, its version, the processor that is native."""
    ask: Callable[[Sequence[str]], str]
    """Runs it with these arguments; what it prints."""
    cache: BuildCache
    _known: dict[str, list[str]] = field(default_factory=dict, init=False)

    def direct(self, arguments: Sequence[str]) -> list[str]:
        """The call of the compiler proper that the driver would make; the arguments if it is none.

        Args:
            arguments: `clang` and its options, for one input and one output.
        """
        masked, files = _masked(arguments)
        key = "\0".join((self.identity, *masked))
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.driver"
        if name not in self._known:
            self._known[name] = json.loads(self._kept(name, masked).read_text())
        words = self._known[name]
        return [masked[0], *(files.get(word, word) for word in words)] if words else [*arguments]

    def _kept(self, name: str, masked: Sequence[str]) -> Path:
        def write(target: Path) -> None:
            target.write_text(json.dumps(_proper(self.ask([masked[0], "-###", *masked[1:]]))))

        return self.cache.find(name) or self.cache.put(name, write)


def _masked(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments with names in place of files, and the files by these names."""
    masked = list(arguments)
    files: dict[str, str] = {}
    for at, word in enumerate(arguments):
        before = arguments[at - 1] if at else ""
        if word.startswith("/") and (before in _NAMED or not before.startswith("-")):
            masked[at] = f"mf-file-{at}{Path(word).suffix}"
            files[masked[at]] = word
    return masked, files


def _proper(said: str) -> list[str]:
    """The one call that the driver printed, without the program; empty if it is not one."""
    calls = [line for line in said.splitlines() if line.startswith(' "')]
    words = shlex.split(calls[0])[1:] if len(calls) == 1 else [""]
    return words if words[:1] and words[0] in _PROPER else []
