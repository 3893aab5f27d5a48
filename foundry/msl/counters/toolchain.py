"""Counted builds: the same units, with a hook before every access.

They are optimised as a GPU's compiler would (loads kept in registers, moved out of loops) but for
one thing: the lanes of a SIMD-group are threads of their own, so nothing is vectorised or unrolled.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from foundry.msl.builder import Builder, Failure, Text
from foundry.msl.cache import BuildCache, default_directory
from foundry.msl.counters.instrument import counted
from foundry.msl.entry import FIBRES
from foundry.msl.frontend import Unit, translate
from foundry.msl.runtime import Library, load_runtime
from foundry.msl.signature import parse
from foundry.msl.toolchain import (
    BOUNDS,
    FLAGS,
    MATH_FLAGS,
    NATIVE,
    PRELUDE,
    BuildFailed,
    Toolchain,
    find_toolchain,
    one_text,
)

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
_NO_PASSES = ("-O1", NATIVE, "-fPIC", "-Xclang", "-disable-llvm-passes", "-Wno-everything")


@dataclass(frozen=True, eq=False)
class CountingToolchain:
    """A `Toolchain` that builds with hooks; shares its compiler and its cache."""

    plain: Toolchain
    id: str
    runtime_unit: str

    @property
    def cache(self) -> BuildCache:
        """The cache of the plain toolchain."""
        return self.plain.cache

    @functools.cached_property
    def runtime(self) -> Path:
        """The runtime of counted kernels, a shared object."""

        def build(target: Path) -> None:
            made = target.with_suffix(".o")
            command = ["clang", "-x", "c++", *FLAGS, "-fgnu-inline-asm", "-c", "-"]
            self.plain.run([*command, "-o", str(made)], self.runtime_unit)
            name = ["--soname", "metal-foundry-counters.so"]
            self.plain.link(made, target, name, undefined=True)

        return self.plain.once(f"{self.id}-counters.so", build)

    def preprocess(self, text: str) -> str:
        """As the plain toolchain."""
        return self.plain.preprocess(text)

    def compile(self, unit: str, math_mode: str, target: Path) -> None:
        """Compile a unit with hooks into the shared object `target`.

        Raises:
            BuildFailed: when the unit does not compile or link.
            EnvironmentUnusable: when the compiler does not work here.
        """
        flags = [*FLAGS, *_COUNT, *MATH_FLAGS[math_mode], *BOUNDS]
        made = target.with_suffix(".o")
        command = ["clang", "-x", "c++", *flags, "-include-pch", str(self._prelude(math_mode))]
        try:
            text = self.plain.run([*command, "-emit-llvm", "-S", "-", "-o", "-"], unit)
        except BuildFailed:
            # The plain build tells a kernel's fault from a broken compiler.
            self.plain.compile(unit, math_mode, target)
            raise
        self.plain.run(
            ["clang", "-x", "ir", *_NO_PASSES, "-c", "-", "-o", str(made)], counted(text)
        )
        self.plain.link(made, target, [str(self.runtime)])

    def _prelude(self, math_mode: str) -> Path:
        flags = [*FLAGS, *_COUNT, *MATH_FLAGS[math_mode], "-Xclang", "-fno-pch-timestamp"]

        def build(target: Path) -> None:
            command = ["clang", "-x", "c++-header", *flags, "-", "-o", str(target)]
            self.plain.run(command, self.plain.kernel_unit)

        return self.plain.once(f"{self.id}-{math_mode}.pch", build)


@dataclass
class CountingBuilder(Builder):
    """Builds kernels with hooks; every thread is a fibre."""

    toolchain: CountingToolchain  # type: ignore[assignment]

    def translate(self, text: Text) -> Unit:
        """The unit of a kernel, run one fibre per thread."""
        parsed = parse(text.captured, text.header, text.source)
        return translate(parsed, self.toolchain.preprocess, mode=FIBRES)

    def load(self, path: Path) -> Library:
        """The kernel's library."""
        return Library(path, load_runtime(self.toolchain.runtime))


@functools.cache
def counting_builder() -> CountingBuilder:
    """A builder with hooks in this installation's cache.

    Raises:
        EnvironmentUnusable: as `find_toolchain`.
    """
    plain = find_toolchain(default_directory())
    unit = one_text(PRELUDE / "counters" / "runtime.cpp")
    texts = [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    digest = hashlib.sha256("\0".join((plain.id, unit, repr(_COUNT), *texts)).encode())
    return CountingBuilder(CountingToolchain(plain, digest.hexdigest()[:32], unit))


__all__ = ["CountingBuilder", "Failure", "counting_builder"]
