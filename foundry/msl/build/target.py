"""What kernels are built for: a system and a processor, and how objects are linked there.

Another target than this machine can be built for as well, which is how builds for a Mac are proven
where there is none.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MACHINES = {"aarch64": "arm64", "AMD64": "x86_64"}
_MACOS = "14.0"
"""The oldest that MLX has wheels for."""
_PLAIN_MAC = {"arm64": "-mcpu=apple-m1", "x86_64": "-march=x86-64-v3"}


@dataclass(frozen=True)
class BuildTarget:
    """A system (`linux`, `darwin`) with a processor (`arm64`, `x86_64`)."""

    system: str
    machine: str
    is_native: bool = True
    """Whether code may use all that the processor of this machine has."""

    @property
    def is_mac(self) -> bool:
        """Whether objects are Mach-O."""
        return self.system == "darwin"

    @property
    def machine_flags(self) -> tuple[str, ...]:
        """Compiler flags that say what instructions there are."""
        native = "-mcpu=native" if self.machine == "arm64" else "-march=native"
        if not self.is_mac:
            return (native,)
        triple = f"{self.machine}-apple-macos{_MACOS}"
        return ("-target", triple, native if self.is_native else _PLAIN_MAC[self.machine])

    @property
    def flags(self) -> tuple[str, ...]:
        """The same, and what keeps a large frame from stepping over its guard page.

        The driver passes that on for some systems only; the compiler itself knows it for all.
        """
        probes = ("-fstack-clash-protection",)
        return (*self.machine_flags, *(("-Xclang", *probes) if self.is_mac else probes))

    def link(
        self, made: Path, target: Path, arguments: Sequence[str], scratch: Path, *, undefined: bool
    ) -> list[str]:
        """The command that links an object into the shared object `target`.

        Args:
            made: The object.
            target: Where the result goes.
            arguments: Further linker arguments, such as the runtime.
            scratch: An empty folder for what the linker of a Mac leaves behind.
            undefined: Whether symbols may stay undefined.
        """
        if not self.is_mac:
            check = [] if undefined else ["--no-undefined"]
            return ["ld.lld", "-shared", *check, str(made), *arguments, "-o", str(target)]
        processor = "aarch64" if self.machine == "arm64" else self.machine
        # Linked with nothing of its own, zig compiles nothing first: a link takes a moment.
        return [
            "build-lib", "-dynamic", "-fno-compiler-rt", "-fno-ubsan-rt", "-OReleaseFast",
            "-target", f"{processor}-macos.{_MACOS}", "--name", "kernel", str(made), *arguments,
            "-lc", "--cache-dir", str(scratch), "--global-cache-dir", str(scratch),
            f"-femit-bin={target}",
        ]  # fmt: skip

    def runtime_name(self, name: str, path: Path) -> list[str]:
        """Linker arguments that name a runtime so that kernels find the one that is loaded.

        Args:
            name: Of the runtime.
            path: Where it is kept.
        """
        if self.is_mac:
            return ["-install_name", str(path)]
        return ["-Bsymbolic", "--soname", f"metal-foundry-{name}.so"]


def this_machine() -> BuildTarget:
    """The target that runs here."""
    machine = platform.machine()
    return BuildTarget(sys.platform, _MACHINES.get(machine, machine))
