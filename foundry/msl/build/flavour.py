"""Flavours of a toolchain: the same units with hooks put in, linked to a runtime that answers them.

A flavour shares compiler and cache with the plain toolchain. It compiles a unit to LLVM text with
flags and a precompiled prelude of its own; what becomes of the text is the flavour's to say.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foundry.msl.build import llvm_text
from foundry.msl.build.cache import BuildCache
from foundry.msl.build.compiler import CompilerFailed
from foundry.msl.build.toolchain import (
    BOUNDS,
    MATH_FLAGS,
    PRELUDE_STANDARD,
    TEXT_STANDARD,
    Toolchain,
    blames_kernel,
)


@dataclass(frozen=True, eq=False)
class Flavour:
    """What builds of one kind have in common."""

    plain: Toolchain
    id: str
    """Of its builds."""
    shared_id: str
    """Of its prelude and its runtime."""
    name: str
    flags: tuple[str, ...]
    """Of units, beside those of the plain toolchain."""
    runtime_unit: str
    runtime_flags: tuple[str, ...] = ()

    @property
    def cache(self) -> BuildCache:
        """The cache of the plain toolchain."""
        return self.plain.cache

    @functools.cached_property
    def runtime(self) -> Path:
        """Its runtime, a shared object."""

        def build(target: Path) -> None:
            made = target.with_suffix(".o")
            flags = [*self.plain.flags, *PRELUDE_STANDARD, *self.runtime_flags, "-fgnu-inline-asm"]
            command = ["clang", "-x", "c++", *flags, "-c", "-", "-o", str(made)]
            self.plain.run(command, self.runtime_unit)
            name = self.plain.target.runtime_name(self.name, self.cache.path(file))
            self.plain.link(made, target, name, undefined=True)

        file = f"{self.shared_id}-{self.name}.so"
        return self.plain.once(file, build)

    @property
    def _unit_flags(self) -> Sequence[str]:
        """What units are compiled with whatever the flavour adds."""
        return self.plain.flags

    def preprocess(self, text: str) -> str:
        """As the plain toolchain."""
        return self.plain.preprocess(text)

    def llvm_text(self, unit: str, math_mode: str, target: Path) -> str:
        """The optimised LLVM text of a unit that starts after the prelude.

        Raises:
            CompilerFailed: when the unit does not compile.
            EnvironmentUnusable: when the compiler does not work here.
        """
        flags = [*self._unit_flags, *TEXT_STANDARD, *self.flags, *MATH_FLAGS[math_mode], *BOUNDS]
        command = ["clang", "-x", "c++", *flags, "-Werror=global-constructors"]
        prelude = ["-include-pch", str(self._prelude(math_mode))]
        try:
            return self.plain.run([*command, *prelude, "-emit-llvm", "-S", "-", "-o", "-"], unit)
        except CompilerFailed as failure:
            if not blames_kernel(failure):
                # The plain build tells a kernel's fault from a broken compiler.
                self.plain.compile(unit, math_mode, target)
            raise

    def _prelude(self, math_mode: str) -> Path:
        flags = [*self._unit_flags, *PRELUDE_STANDARD, *self.flags, *MATH_FLAGS[math_mode]]
        flags += [
            "-Xclang", "-fno-pch-timestamp", "-Xclang", "-fpch-instantiate-templates",
        ]  # fmt: skip

        def build(target: Path) -> None:
            command = ["clang", "-x", "c++-header", *flags, "-", "-o", str(target)]
            self.plain.run(command, self.plain.kernel_unit)

        return self.plain.once(f"{self.shared_id}{self.plain.dialect}-{math_mode}.pch", build)


def identity(plain: Toolchain, folders: Sequence[Path], *parts: str) -> str:
    """Identity of a flavour whose code is in these folders: equal only where builds are."""
    own = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    files = [Path(__file__), Path(llvm_text.__file__), *own]
    texts = (plain.id, *parts, *(file.read_text() for file in files))
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]
