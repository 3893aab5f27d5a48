"""clang, from the `ziglang` package: kernels to shared objects.

1. The prelude is precompiled once per machine, compiler, flags and math mode.
2. The runtime is one shared object, built once too; kernels are linked against it and may use
   nothing else, so a kernel that names a C library function does not link.
3. A unit is compiled under limits of time, memory and file size. What goes wrong is the kernel's
   fault (`CompilerFailed`) unless an empty kernel fails as well (`EnvironmentUnusable`).
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from foundry.errors import EnvironmentUnusable
from foundry.msl.build.cache import BuildCache
from foundry.msl.build.compiler import Compiler, CompilerFailed
from foundry.msl.build.loops import lanes, rerolling
from foundry.msl.build.processor import processor
from foundry.msl.build.target import BuildTarget, this_machine

ADDRESS_SPACES = ("device", "constant", "thread", "threadgroup", "kernel")
MSL = Path(__file__).parents[1]
PRELUDE = MSL / "prelude"
_WINGS = ("frontend", "build", "run")
"""Folders whose code decides what a build is."""
_INCLUDE = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)
MLX, WHOLE_FILES = "", "-whole"
_DIALECTS = {WHOLE_FILES: "#define MF_WHOLE_FILE 1\n"}
MATH_FLAGS = {
    "safe": ("-ffp-contract=fast-honor-pragmas",),
    "relaxed": (
        "-ffp-contract=fast-honor-pragmas",
        "-fassociative-math",
        "-freciprocal-math",
        "-fno-signed-zeros",
    ),
    "fast": ("-ffast-math", "-ffp-contract=fast-honor-pragmas"),
}
PRELUDE_STANDARD, TEXT_STANDARD = ("-std=c++20",), ("-std=c++17", "-Xclang", "-fno-validate-pch")
"""Of the prelude, whose own text needs C++20, and of a kernel's, which reads it precompiled."""
FLAGS = (
    "-O3",
    "-fPIC",
    "-fno-plt",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-math-errno",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fvisibility=hidden",
    "-fdeclspec",
    # The language's rules: 1.0 is a float, char is signed, integers wrap, half rounds after every
    # operation, a float out of an integer's range gives its nearest end, buffers may be cast.
    "-Xclang",
    "-cl-single-precision-constant",
    "-fsigned-char",
    "-fwrapv",
    "-Xclang",
    "-ffloat16-excess-precision=none",
    "-Xclang",
    "-fbfloat16-excess-precision=none",
    "-fno-strict-float-cast-overflow",
    "-fno-strict-aliasing",
    # A vector may lie at any address: 16 bytes are moved by the instructions that allow it.
    "-fmax-type-align=8",
    "-fno-trapping-math",
    # What a kernel does wrong is done and found, not taken for impossible and left out.
    "-fno-delete-null-pointer-checks",
    "-fno-finite-loops",
    # A variable that nobody set holds no number of an earlier thread or call.
    "-ftrivial-auto-var-init=pattern",
    # Code placement may copy a call into both arms of a branch; threads would then wait at
    # different return addresses of one barrier.
    "-mllvm",
    "-tail-dup-placement=0",
    "-mllvm",
    "-disable-tail-duplicate",
    "-mllvm",
    "-disable-early-taildup",
    "-nostdinc",
    "-Wno-everything",
)
BOUNDS = (
    "-ferror-limit=12",
    "-ftemplate-depth=256",
    "-fconstexpr-depth=256",
    "-fconstexpr-steps=2000000",
    "-fbracket-depth=256",
)
STACK_BYTES = 112 * 1024
"""Of one thread's own variables: a fibre's region (`target_cpu.h`) without its guard page and what
the runtime needs. No limit of Apple's is published."""
_FRAME = (f"-Wframe-larger-than={STACK_BYTES}", "-Werror=frame-larger-than")
_ALL_FLAGS = (PRELUDE_STANDARD, TEXT_STANDARD, FLAGS, MATH_FLAGS, BOUNDS, _FRAME)
_EXPANDED_BYTES = 4 * 1024 * 1024
_BLAMES_KERNEL = re.compile(r"^(source|header|signature|launch):\d+:\d+: ", re.MULTILINE)
_EMPTY_UNIT = 'extern "C" MF_EXPORT const mf::u32 mf_mode = 0;\n'


@dataclass(frozen=True, eq=False)
class Toolchain(Compiler):
    """A compiler with the prelude and runtime of this package, and the cache it builds into.

    `id` is a hash of everything that decides what comes out: compiler, flags, processor, prelude.
    """

    id: str
    kernel_unit: str
    """The text every kernel starts with: the prelude."""
    runtime_unit: str
    target: BuildTarget = field(default_factory=this_machine)
    dialect: str = MLX
    """Which names the prelude holds: all that MLX puts before a kernel, or Metal's own alone."""

    def in_dialect(self, dialect: str) -> Toolchain:
        """The same with the names of a dialect."""
        if dialect == self.dialect:
            return self
        return replace(self, kernel_unit=f"{_DIALECTS[dialect]}{self.kernel_unit}", dialect=dialect)

    @property
    def flags(self) -> tuple[str, ...]:
        """The language's rules, and the target's."""
        return (*FLAGS, *self.target.flags)

    @property
    def plain(self) -> Toolchain:
        """The toolchain without hooks: this one."""
        return self

    def runtime(self) -> Path:
        """The runtime's shared object, built when it is not in the cache."""
        return self.once(self._runtime_file, self._build_runtime)

    @property
    def _runtime_file(self) -> str:
        return f"{self.id}-runtime.so"

    def compile(self, unit: str, math_mode: str, target: Path) -> None:
        """Compile a unit that starts after the prelude into the shared object `target`.

        Raises:
            CompilerFailed: when the unit does not compile or link.
            EnvironmentUnusable: when the compiler does not work here.
        """
        try:
            self._compile(unit, math_mode, target)
        except CompilerFailed as failure:
            if not blames_kernel(failure):
                self._check(math_mode, target.with_suffix(".empty"))
            raise

    def preprocess(self, text: str) -> str:
        """The text after the preprocessor, with line markers; the prelude's macros are known.

        Raises:
            CompilerFailed: for what the preprocessor refuses.
        """
        words = "".join(f"#undef {word}\n" for word in ADDRESS_SPACES)
        with self.cache.scratch() as scratch:
            target = scratch / "expanded"
            command = [
                "clang",
                "-x",
                "c++",
                *self.flags,
                *PRELUDE_STANDARD,
                "-E",
                "-",
                "-o",
                str(target),
            ]
            self.run(command, f"{self.kernel_unit}\n{words}{text}")
            if target.stat().st_size > _EXPANDED_BYTES:
                raise CompilerFailed("error: the macros of this kernel expand to too much text")
            return target.read_text()

    def _compile(self, unit: str, math_mode: str, target: Path) -> None:
        flags = [*self.flags, *TEXT_STANDARD, *MATH_FLAGS[math_mode], *BOUNDS, *_FRAME]
        made = target.with_suffix(".o")
        command = ["clang", "-x", "c++", *flags, "-Werror=global-constructors"]
        command += ["-include-pch", str(self._prelude(math_mode))]
        apart = self._apart(command, unit) if lanes.are_in(unit) else None
        if apart is None or not self._takes(apart, math_mode, made):
            self.run([*command, "-c", "-", "-o", str(made)], unit)
        self.link(made, target, [str(self.runtime())])

    def _apart(self, command: Sequence[str], unit: str) -> str | None:
        """The LLVM text of a loop whose short vectors are scalars; None where it stays as it is."""
        text = self.run([*command, *lanes.FLAGS, "-S", "-", "-o", "-"], unit)
        return rerolling.rerolled(text) or lanes.apart(text)

    def _takes(self, text: str, math_mode: str, made: Path) -> bool:
        """Whether LLVM text becomes the object `made`.

        If not, the kernel's own text decides: it may be right, or its stack too large on a line.
        """
        command = ["clang", "-x", "ir", *self.flags, *MATH_FLAGS[math_mode], *_FRAME]
        try:
            self.run([*command, "-c", "-", "-o", str(made)], text)
        except CompilerFailed:
            return False
        return True

    def _check(self, math_mode: str, target: Path) -> None:
        """An empty kernel must build; if it does not, no kernel is to blame."""
        try:
            self._compile(_EMPTY_UNIT, math_mode, target)
        except CompilerFailed as failure:
            raise EnvironmentUnusable(
                f"the compiler in '{self.zig.parent}' does not work: {failure.log.strip()[:400]}",
                "Reinstall it with: pip install --force-reinstall ziglang",
            ) from failure

    def _prelude(self, math_mode: str) -> Path:
        flags = [
            *self.flags, *PRELUDE_STANDARD, *MATH_FLAGS[math_mode], "-Xclang", "-fno-pch-timestamp",
            "-Xclang", "-fpch-instantiate-templates",
        ]  # fmt: skip

        def build(target: Path) -> None:
            command = ["clang", "-x", "c++-header", *flags, "-", "-o", str(target)]
            self.run(command, self.kernel_unit)

        return self.once(f"{self.id}{self.dialect}-{math_mode}.pch", build)

    def _build_runtime(self, target: Path) -> None:
        made = target.with_suffix(".o")
        flags = [*self.flags, *PRELUDE_STANDARD, "-fgnu-inline-asm"]
        self.run(["clang", "-x", "c++", *flags, "-c", "-", "-o", str(made)], self.runtime_unit)
        name = self.target.runtime_name("runtime", self.cache.path(self._runtime_file))
        self.link(made, target, name, undefined=True)

    def link(
        self, made: Path, target: Path, arguments: Sequence[str], undefined: bool = False
    ) -> None:
        """Link an object, which is removed, into the shared object `target`."""
        with self.cache.scratch() as scratch:
            link = self.target.link(made, target, arguments, scratch, undefined=undefined)
            self.run(link)
        made.unlink()

    def once(self, name: str, build: Callable[[Path], None]) -> Path:
        """Build a file that all processes share, in one of them."""
        found = self.cache.find(name)
        if found is not None:
            return found
        with _locked(self.cache.directory / "toolchain.lock"):
            found = self.cache.find(name)
            try:
                return found or self.cache.put(name, build)
            except CompilerFailed as failure:
                raise EnvironmentUnusable(
                    f"the Metal prelude does not compile: {failure.log.strip()[:2000]}",
                    "Reinstall metal-foundry and ziglang.",
                ) from failure


def blames_kernel(failure: CompilerFailed) -> bool:
    """Whether the compiler names a line of the kernel: then it works, and an empty one builds."""
    return bool(_BLAMES_KERNEL.search(failure.log))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def find_toolchain(cache: Path, target: BuildTarget | None = None) -> Toolchain:
    """The toolchain of this installation, building into the cache in this folder.

    Args:
        cache: The folder.
        target: What to build for; None: this machine.

    Raises:
        EnvironmentUnusable: when `ziglang` is not installed or the cache cannot be written.
    """
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise EnvironmentUnusable(
            "the package 'ziglang', which holds the compiler, is not installed.",
            "Install it with: pip install ziglang",
        )
    version = importlib.metadata.version("ziglang")
    target = target or this_machine()
    described = (version, processor(), target, _ALL_FLAGS, target.flags)
    digest = hashlib.sha256(repr(described).encode())
    kernel_unit = one_text(PRELUDE / "runtime" / "kernel_unit.h")
    runtime_unit = one_text(PRELUDE / "runtime" / "runtime.cpp")
    digest.update(f"{kernel_unit}\0{runtime_unit}".encode())
    for path in (file for wing in _WINGS for file in sorted((MSL / wing).rglob("*.py"))):
        digest.update(path.read_bytes())
    zig = Path(spec.origin).parent / "zig"
    made = digest.hexdigest()[:32]
    return Toolchain(zig, version, BuildCache(cache), made, kernel_unit, runtime_unit, target)


def one_text(path: Path, seen: set[Path] | None = None) -> str:
    """A C++ file with all it includes put in its place, each file once.

    A precompiled header made of it depends on no file, so it stays good when the package moves.
    """
    seen = seen if seen is not None else set()
    seen.add(path.resolve())
    text = path.read_text()
    pieces, end = [_marker(path, 1)], 0
    for match in _INCLUDE.finditer(text):
        included = (path.parent / match[1]).resolve()
        if not included.exists():  # of another target
            continue
        pieces.append(text[end : match.start()])
        if included not in seen:
            pieces.append(one_text(included, seen))
        end = match.end() + 1
        pieces.append(_marker(path, text.count("\n", 0, end) + 1))
    return "".join([*pieces, text[end:]])


def _marker(path: Path, line: int) -> str:
    """A line marker that makes what follows a system header's text."""
    return f'\n# {line} "{path.name}" 3\n'
