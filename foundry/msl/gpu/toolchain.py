"""Builds of kernels as a GPU's compiler sees them: clang's text for AMD's gfx11, 32 lanes.

One text, two ends. `machine` takes it through the GPU's register allocator and reads instructions
by basic block, registers and spills; `native` makes of the same text what runs here and counts how
often each block is executed. Blocks are the same in both, by name.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foundry.msl.build.cache import default_directory
from foundry.msl.build.flavour import Flavour, identity
from foundry.msl.build.toolchain import FLAGS, MLX, PRELUDE, Toolchain, find_toolchain, one_text
from foundry.msl.counters import instrument
from foundry.msl.frontend.entry import GPU
from foundry.msl.frontend.signature import parse
from foundry.msl.frontend.unit import Unit, translate
from foundry.msl.gpu import machine, native
from foundry.msl.run.builder import Builder, Text
from foundry.msl.run.runtime import LoadedKernel, load_runtime

_FOLDERS = (Path(__file__).parent, Path(instrument.__file__).parent)
_TARGET = ("-target", "amdgcn-amd-amdhsa", "-mcpu=gfx1100", "-nogpulib")
_NOT_HERE = frozenset({"-fPIC", "-fno-plt", "-ftrivial-auto-var-init=pattern"})
_GPU = (
    "-DMF_GPU=1",
    "-O3",
    "-fno-discard-value-names",
    # A GPU's compiler inlines every call, and leaves vectors and loops of one lane alone.
    "-mllvm",
    "-amdgpu-early-inline-all=1",
    "-fno-vectorize",
    "-fno-slp-vectorize",
    "-mllvm",
    "-disable-loop-idiom-all",
    "-fno-finite-loops",
)
_FOR_MAC = ("-DMF_FOR_MAC=1",)
_NO_PASSES = ("-O2", "-Xclang", "-disable-llvm-passes", "-Wno-everything")


@dataclass(frozen=True, eq=False)
class GpuToolchain(Flavour):
    """Builds that count blocks, and hold what a GPU's compiler made of each."""

    @property
    def _unit_flags(self) -> Sequence[str]:
        return (*_TARGET, *(flag for flag in FLAGS if flag not in _NOT_HERE))

    def compile(self, unit: str, math_mode: str, target: Path) -> None:
        """Compile a unit into the shared object `target`.

        Raises:
            BuildFailed: when the unit does not compile or link.
            EnvironmentUnusable: when the compiler does not work here.
        """
        self.finish(self.llvm_text(unit, math_mode, target), target)

    def finish(self, text: str, target: Path) -> None:
        """Make the shared object `target` of a unit's LLVM text."""
        flags = [*_TARGET, "-x", "ir", *_NO_PASSES]
        code = self.plain.run(["clang", *flags, "-S", "-", "-o", "-"], machine.kernel_text(text))
        made = target.with_suffix(".o")
        counting = instrument.counted(native.native_text(text, self._data_layout))
        counting = native.with_blocks(counting, machine.read(code))
        flags = [*self.plain.target.machine_flags, "-x", "ir", "-fPIC", *_NO_PASSES]
        self.plain.run(["clang", *flags, "-c", "-", "-o", str(made)], counting)
        self.plain.link(made, target, [str(self.runtime)])

    @functools.cached_property
    def _data_layout(self) -> str:
        """The lines of LLVM text that name this machine."""
        flags = self.plain.target.machine_flags
        empty = self.plain.run(["clang", *flags, "-x", "c", "-S", "-emit-llvm", "-", "-o", "-"])
        return "\n".join(line for line in empty.splitlines() if line.startswith("target "))


@dataclass
class GpuBuilder(Builder):
    """Builds kernels for the chip model."""

    toolchain: GpuToolchain  # type: ignore[assignment]
    _latest: tuple[Text, Unit] | None = field(default=None, init=False)

    def translate(self, text: Text) -> Unit:
        """The unit of a kernel, taken as a GPU's; who runs it asks again for what was built."""
        latest = self._latest
        if latest is not None and latest[0] == text:
            return latest[1]
        parsed = parse(text.captured, text.header, text.source)
        unit = translate(parsed, self.language, self.toolchain.preprocess, self.resolve, mode=GPU)
        self._latest = text, unit
        return unit

    def load(self, path: Path) -> LoadedKernel:
        """The kernel's library."""
        return LoadedKernel(path, load_runtime(self.toolchain.runtime))


@functools.cache
def gpu_builder(dialect: str = MLX) -> GpuBuilder:
    """A builder in this installation's cache.

    Raises:
        EnvironmentUnusable: as `find_toolchain`.
    """
    return builder_on(find_toolchain(default_directory()).in_dialect(dialect))


def builder_on(plain: Toolchain) -> GpuBuilder:
    """A builder that shares a toolchain."""
    flags = (*_GPU, *(_FOR_MAC if plain.target.is_mac else ()))
    unit = one_text(PRELUDE / "counters" / "runtime.cpp")
    digest = identity(plain, _FOLDERS, unit, repr((flags, _TARGET)))
    return GpuBuilder(GpuToolchain(plain, digest, digest, "gpu", flags, unit))
