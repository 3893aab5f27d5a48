"""Sanitised builds: the same units, with a check before every access and a line for every address.

1. The kernel is compiled to LLVM text with bounds checks of arrays, and optimised lightly, with the
   variables that may be read before they are set in sight (`locals`), and the stores that change
   nothing (`kept`).
2. `instrument.checked` puts a call of a hook before each access.
3. `lines.annotate` makes the library tell where its instructions came from.
4. It is linked against the sanitizer's runtime, which answers the hooks.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from foundry.msl.build.cache import default_directory
from foundry.msl.build.flavour import Flavour, identity
from foundry.msl.build.toolchain import (
    FLAGS,
    MATH_FLAGS,
    MLX,
    PRELUDE,
    Toolchain,
    find_toolchain,
    one_text,
)
from foundry.msl.frontend.entry import FLAT, GROUPS
from foundry.msl.frontend.signature import parse
from foundry.msl.frontend.unit import Unit, translate
from foundry.msl.run.builder import Builder, Text
from foundry.msl.run.runtime import LoadedKernel, load_runtime
from foundry.msl.sanitizer.checks import kept, locals
from foundry.msl.sanitizer.checks.instrument import checked
from foundry.msl.sanitizer.checks.library_loops import unrolled
from foundry.msl.sanitizer.checks.lines import annotate
from foundry.msl.sanitizer.checks.local_names import LocalNames
from foundry.msl.sanitizer.checks.quick import quick

RED_ZONE_BYTES = 1024
"""Unused memory between threadgroup storages, so that running out of one is seen."""

_SANITIZE = ("-DMF_SANITIZE=1",)
_CHECKS = (
    "-O1",
    "-gline-tables-only",
    "-fno-omit-frame-pointer",
    "-fsanitize=array-bounds",
    # The last member of a struct has the size that it says, as every other.
    "-fstrict-flex-arrays=3",
    # A vector demands its own alignment, and an access stays one access.
    "-fmax-type-align=64",
    "-mllvm",
    "-disable-loop-idiom-all",
    "-fno-finite-loops",
)
# The optimiser must not take a loop's end for granted, or two barriers for one.
_ONE_PLACE = tuple(flag for flag in FLAGS if flag == "-mllvm" or "tail" in flag)
_AS_WRITTEN = ("-Xclang", "-disable-llvm-passes")
_LIGHT_PASSES = (
    "-O1",
    "-fPIC",
    "-Wno-everything",
    "-fno-omit-frame-pointer",
    "-fno-finite-loops",
    "-mllvm",
    "-disable-loop-idiom-all",
    # Short loops over a thread's own arrays, whose elements are then variables like any other.
    "-funroll-loops",
    "-mllvm",
    "-unroll-runtime=false",
    "-mllvm",
    "-unroll-allow-partial=false",
    *_ONE_PLACE,
)
_UNMOVED = ("-mllvm", "-disable-licm-promotion")
"""A variable that is kept in memory is not read before the loop that may set it first."""
_ALL_PASSES = ("-O3", "-fPIC", "-Wno-everything")
_NO_PASSES = (
    "-O1",
    "-fPIC",
    "-Xclang",
    "-disable-llvm-passes",
    "-Wno-everything",
    *_ONE_PLACE,
    "-mllvm",
    "-enable-tail-merge=false",
)


@dataclass(frozen=True, eq=False)
class SanitizerToolchain(Flavour):
    """Builds with checks."""

    is_quick: bool = False
    """Whether simple kernels get the quick checks."""

    def compile(self, unit: str, math_mode: str, target: Path) -> None:
        """Compile a unit with checks into the shared object `target`.

        Raises:
            BuildFailed: when the unit does not compile or link.
            EnvironmentUnusable: when the compiler does not work here.
        """
        made = target.with_suffix(".o")
        written = unrolled(self.llvm_text(unit, math_mode, target))
        names = LocalNames(unit, written)
        text = kept.freed(self._optimised(kept.kept(written), names, math_mode), written)
        clang = ["clang", *self.plain.target.machine_flags]
        if self.is_quick and (simple := quick(text)) is not None:
            self.plain.run([*clang, "-x", "ir", *_ALL_PASSES, "-c", "-", "-o", str(made)], simple)
            return self.plain.link(made, target, [str(self.runtime)])
        command = [*clang, "-x", "ir", *_NO_PASSES, "-S", "-", "-o", "-"]
        assembly = annotate(
            self.plain.run(command, checked(text)), underscore=self.plain.target.is_mac
        )
        self.plain.run([*clang, "-x", "assembler", "-c", "-", "-o", str(made)], assembly)
        return self.plain.link(made, target, [str(self.runtime)])

    def _optimised(self, text: str, names: LocalNames, math_mode: str) -> str:
        """The text after light optimisation, variables that may be read unset in sight."""
        command = ["clang", *self.plain.target.machine_flags, "-x", "ir", *_LIGHT_PASSES]
        command += [*MATH_FLAGS[math_mode], "-emit-llvm", "-S", "-", "-o", "-"]
        guessing = locals.probed(text)
        if guessing is None:
            return self.plain.run(command, text)
        optimised = self.plain.run(command, guessing)
        kept = locals.survivors(optimised, text)
        if not kept:
            return optimised
        return self.plain.run([*command, *_UNMOVED], locals.watched(text, kept, names))


@dataclass
class SanitizedBuilder(Builder):
    """Builds kernels with checks."""

    toolchain: SanitizerToolchain  # type: ignore[assignment]

    def translate(self, text: Text) -> Unit:
        """The unit of a kernel; a loop over its threads goes threadgroup by threadgroup."""
        parsed = parse(text.captured, text.header, text.source)
        unit = translate(parsed, self.language, self.toolchain.preprocess, self.resolve)
        if unit.mode != FLAT:
            return unit
        return translate(
            parsed, self.language, self.toolchain.preprocess, self.resolve, mode=GROUPS
        )

    def load(self, path: Path) -> LoadedKernel:
        """The kernel's library, its threadgroup storages set apart."""
        return LoadedKernel(
            path, load_runtime(self.toolchain.runtime), red_zone_bytes=RED_ZONE_BYTES
        )


@functools.cache
def sanitized_builder(dialect: str = MLX) -> SanitizedBuilder:
    """A builder with checks in this installation's cache.

    Raises:
        EnvironmentUnusable: as `find_toolchain`.
    """
    return builder_on(find_toolchain(default_directory()).in_dialect(dialect))


def builder_on(plain: Toolchain) -> SanitizedBuilder:
    """A builder with checks that shares a toolchain."""
    unit = one_text(PRELUDE / "sanitizer" / "runtime.cpp")
    flags = (*_SANITIZE, *_CHECKS, *_AS_WRITTEN)
    digest = identity(plain, [Path(__file__).parents[1]], unit, repr(flags))
    return SanitizedBuilder(
        SanitizerToolchain(plain, digest, digest, "sanitizer", flags, unit, _SANITIZE)
    )


@functools.cache
def quick_builder(dialect: str = MLX) -> SanitizedBuilder:
    """A builder that gives simple kernels the quick checks, and others those of the first.

    Raises:
        EnvironmentUnusable: as `find_toolchain`.
    """
    return quick_on(sanitized_builder(dialect))


def quick_on(builder: SanitizedBuilder) -> SanitizedBuilder:
    """The quick builder that shares the toolchain of another."""
    full = builder.toolchain
    digest = hashlib.sha256(f"quick\0{full.id}".encode()).hexdigest()[:32]
    return SanitizedBuilder(replace(full, id=digest, is_quick=True))


__all__ = ["SanitizedBuilder", "quick_builder", "sanitized_builder"]
