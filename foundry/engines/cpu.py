"""The cpu engine: Metal kernels compiled to native code, on any machine."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

from foundry import mac
from foundry.errors import EnvironmentUnusable
from foundry.msl.build.processor import vector_bits
from foundry.msl.run.builder import Builder, default_builder
from foundry.msl.run.program import BuiltProgram, build
from foundry.msl.run.runtime import worker_threads
from foundry.program import BuildFailure, Device, Program


class CpuEngine:
    """Runs Metal kernels on the processor of this machine."""

    name = "cpu"

    @functools.cached_property
    def _builder(self) -> Builder:
        return default_builder()

    def unavailable(self) -> str | None:
        """None when the compiler is installed and the build cache can be written."""
        try:
            _ = self._builder
        except EnvironmentUnusable as error:
            return str(error)
        return None

    def device(self) -> Device:
        """This machine's processor, with all that may change a timing."""
        import importlib.metadata

        cores = worker_threads()
        model = _processor_name()
        versions = {f"{p}_version": importlib.metadata.version(p) for p in ("mlx", "ziglang")}
        return Device(
            "cpu",
            f"{model} ({cores} cores)",
            {
                "processor": model,
                "architecture": platform.machine(),
                "cores": cores,
                "vector_bits": vector_bits(),
                "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
                "system": f"{platform.system()} {platform.release()}",
                **versions,
            },
        )

    def build(self, program: Program) -> BuiltProgram | BuildFailure:
        """Compile every launch; the first that does not build is the failure."""
        return build(program, self._builder)


@functools.cache
def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return mac.processor() or platform.processor() or platform.machine()
