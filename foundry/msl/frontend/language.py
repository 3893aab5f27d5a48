"""The version of the Metal Shading Language: which C++ it is, and the macros that tell it.

MLX asks the macOS it runs on for a version (`device.cpp`): 3.1 on macOS 14, 3.2 on 15, 4.0 on 26,
4.1 on 27. Here `FOUNDRY_LANGUAGE_VERSION` names one; without it the version of macOS 26 counts.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass

from foundry.errors import UsageError

VERSIONS = ("3.0", "3.1", "3.2", "4.0", "4.1")
DEFAULT = "4.0"
_SETTING = "FOUNDRY_LANGUAGE_VERSION"
_OF_THIS_MACHINE = (
    "__x86_64__", "__x86_64", "__amd64__", "__amd64", "__aarch64__", "__linux__", "__linux",
    "linux", "__gnu_linux__", "unix", "__unix__", "__unix", "__ELF__", "__GNUC__", "__GNUG__",
    "_GNU_SOURCE", "__OPTIMIZE__", "__NVPTX__", "__PTX__", "__AVX2__", "__AVX__", "__FMA__",
    "__SSE2__", "__AVX512F__", "__PIC__", "__NO_MATH_ERRNO__",
)  # fmt: skip
"""Macros of clang for this machine that a Mac's Metal compiler does not have."""


@dataclass(frozen=True)
class Language:
    """A version: `3.2` is C++14, `4.0` C++17."""

    version: str

    @property
    def number(self) -> int:
        """As `__METAL_VERSION__` has it: 320 for 3.2."""
        major, minor = self.version.split(".")
        return 100 * int(major) + 10 * int(minor)

    @property
    def standard(self) -> str:
        """The C++ standard it is built on, as clang's flag names it."""
        return "c++14" if self.number < 400 else "c++17"

    def macros(self) -> str:
        """Directives that make the preprocessor answer as Metal's."""
        defined = {"__METAL_VERSION__": f"{self.number}", "__METAL_MACOS__": "1", "__AIR64__": "1"}
        defined["__cplusplus"] = "201402L" if self.number < 400 else "201703L"
        lines = [f"#undef {name}" for name in (*_OF_THIS_MACHINE, *defined)]
        lines += [f"#define {name} {value}" for name, value in defined.items()]
        return "\n".join(lines) + "\n"


def chosen() -> Language:
    """The version that is set, or the default.

    Raises:
        UsageError: when the setting names none, with the nearest that there is.
    """
    return of(os.environ.get(_SETTING) or DEFAULT)


def of(version: str) -> Language:
    """The language of a version.

    Raises:
        UsageError: when there is none of this name.
    """
    if version not in VERSIONS:
        nearest = difflib.get_close_matches(version, VERSIONS, 1, 0)[0]
        raise UsageError(
            f"there is no version '{version}' of the Metal Shading Language here: the nearest is"
            f" {nearest} ({_SETTING} takes {', '.join(VERSIONS)})"
        )
    return Language(version)
