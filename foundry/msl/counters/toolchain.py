"""Counted builds: the same units, with a hook before every access.

They are optimised as a GPU's compiler would (loads kept in registers, moved out of loops) but for
one thing: the lanes of a SIMD-group are threads of their own, so nothing is vectorised or unrolled.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from foundry.msl.build.cache import default_directory
from foundry.msl.build.flavour import Flavour, identity
from foundry.msl.build.toolchain import MLX, PRELUDE, Toolchain, find_toolchain, one_text
from foundry.msl.counters.instrument import counted
from foundry.msl.frontend.entry import FIBRES
from foundry.msl.frontend.signature import parse
from foundry.msl.frontend.unit import Unit, translate
from foundry.msl.run.builder import Builder, Text
from foundry.msl.run.runtime import LoadedKernel, load_runtime

_COUNT = (
    "-DMF_SANITIZE=1",
    "-O2",
    "-gline-tables-only",
    "-fno-vectorize",
    "-fno-slp-vectorize",
    "-fno-unroll-loops",
    # An access stays one access, and a loop one loop.
    "-fmax-type-align=64",
    "-mllvm",
    "-disable-loop-idiom-all",
    "-fno-finite-loops",
)
_NO_PASSES = ("-O1", "-fPIC", "-Xclang", "-disable-llvm-passes", "-Wno-everything")


@dataclass(frozen=True, eq=False)
class CountingToolchain(Flavour):
    """Builds with hooks for counting."""

    def compile(self, unit: str, math_mode: str, target: Path) -> None:
        """Compile a unit with hooks into the shared object `target`.

        Raises:
            BuildFailed: when the unit does not compile or link.
            EnvironmentUnusable: when the compiler does not work here.
        """
        text, made = self.llvm_text(unit, math_mode, target), target.with_suffix(".o")
        clang = ["clang", *self.plain.target.machine_flags, "-x", "ir", *_NO_PASSES]
        self.plain.run([*clang, "-c", "-", "-o", str(made)], counted(text))
        self.plain.link(made, target, [str(self.runtime)])


@dataclass
class CountingBuilder(Builder):
    """Builds kernels with hooks; every thread is a fibre."""

    toolchain: CountingToolchain  # type: ignore[assignment]

    def translate(self, text: Text) -> Unit:
        """The unit of a kernel, run one fibre per thread."""
        parsed = parse(text.captured, text.header, text.source)
        return translate(
            parsed, self.language, self.toolchain.preprocess, self.resolve, mode=FIBRES
        )

    def load(self, path: Path) -> LoadedKernel:
        """The kernel's library."""
        return LoadedKernel(path, load_runtime(self.toolchain.runtime))


@functools.cache
def counting_builder(dialect: str = MLX) -> CountingBuilder:
    """A builder with hooks in this installation's cache.

    Raises:
        EnvironmentUnusable: as `find_toolchain`.
    """
    return builder_on(find_toolchain(default_directory()).in_dialect(dialect))


def builder_on(plain: Toolchain) -> CountingBuilder:
    """A builder with hooks that shares a toolchain."""
    unit = one_text(PRELUDE / "counters" / "runtime.cpp")
    digest = identity(plain, [Path(__file__).parent], unit, repr(_COUNT))
    return CountingBuilder(CountingToolchain(plain, digest, digest, "counters", _COUNT, unit))


__all__ = ["CountingBuilder", "counting_builder"]
