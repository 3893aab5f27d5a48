"""`Library`: the kernels of a `.metal` file as functions over NumPy arrays, on any machine.

1. The file is read with its includes and judged as a whole, as Metal builds a library.
2. `library["f"]` is one kernel, built when it is first used, with the library's function constants.
3. A call runs it on the cpu engine, in place; `sanitize` runs it on copies, every access checked.

A call runs in this process. What comes from strangers belongs into a confined worker: `foundry
sanitize FILE.metal --function f` does so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from foundry.errors import UsageError, unknown
from foundry.metal import building, examining, running
from foundry.metal.arguments import Argument, Bound, bind
from foundry.metal.building import BuiltKernel
from foundry.metal.dispatch import DispatchSizes, Size, sizes
from foundry.metal.facts import Fact
from foundry.metal.reading.constants import Value, given
from foundry.metal.reading.includes import Spliced, splice
from foundry.metal.reading.places import FilePlaces
from foundry.msl.build.toolchain import MATH_FLAGS
from foundry.msl.frontend.language import of
from foundry.msl.gpu.profile import GpuProfile
from foundry.msl.run.builder import Builder
from foundry.msl.sanitizer import Report

Buffers = Mapping[str | int, Argument] | Sequence[Argument]
_TEXT = "library.metal"
"""What messages call a text that is no file."""


class Library:
    """The kernels of a `.metal` file.

    Args:
        source: The path of a file, or the text itself (a string of several lines), or one whose
            includes are in their places.
        function_constants: Values by name or index, as Metal's `MTLFunctionConstantValues`.
        include_root: Folder that the files it includes lie in; None: the file's own folder. A file
            outside of it is never read.
        math_mode: `safe`, `relaxed` or `fast`.
        language_version: Of Metal, such as `3.2`; None: what `FOUNDRY_LANGUAGE_VERSION` says, or
            that of current macOS.

    Raises:
        DoesNotBuild: The file is not Metal, or includes what is not there; with file and line.
        UsageError: There is no such file, function constant or version.
        EnvironmentUnusable: The compiler does not work here.
    """

    def __init__(
        self,
        source: str | Path | Spliced,
        *,
        function_constants: Mapping[str | int, Value] | None = None,
        include_root: str | Path | None = None,
        math_mode: str = "safe",
        language_version: str | None = None,
    ) -> None:
        spliced = source if isinstance(source, Spliced) else spliced_file(source, include_root)
        self._builder = _builder(language_version)
        self._math_mode = _checked_mode(math_mode)
        self._source = building.read_file(spliced, self._builder)
        self._values = given(self._source.constants, function_constants or {})
        self._functions: dict[str, LibraryFunction] = {}
        self._lines = spliced.text.split("\n")

    @property
    def names(self) -> list[str]:
        """Of the kernels, in the order of the file."""
        return self._source.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> LibraryFunction:
        """The kernel of a name.

        Raises:
            DoesNotBuild: It does not compile, or uses what cannot run here (textures).
            UsageError: There is none of this name, or a function constant has no value.
        """
        if name not in self._functions:
            built = building.build(self._source, name, self._values, self._builder, self._math_mode)
            self._functions[name] = LibraryFunction(built, self._source.places, self._lines)
        return self._functions[name]


class LibraryFunction:
    """One kernel of a library; see `Library`."""

    def __init__(self, built: BuiltKernel, places: FilePlaces, lines: Sequence[str]) -> None:
        self._built = built
        self._places = places
        self._lines = lines

    @property
    def name(self) -> str:
        """What the host asks for."""
        return self._built.kernel.name

    @property
    def buffers(self) -> dict[str, Fact]:
        """What it takes in buffers, by name, in the order of their indices."""
        facts = zip(self._built.call.buffers, self._facts, strict=False)
        return {p.name: fact for p, fact in sorted(facts, key=lambda pair: pair[1].index)}

    @property
    def most_threads(self) -> int:
        """Of a threadgroup."""
        return self._built.facts.most_threads

    @property
    def _facts(self) -> Sequence[Fact]:
        return self._built.facts.parameters

    def __call__(
        self,
        buffers: Buffers,
        *,
        grid: Size | None = None,
        threadgroups: Size | None = None,
        threadgroup: Size,
        threadgroup_memory: Mapping[int, int] | None = None,
    ) -> None:
        """Run the kernel over arrays, which it writes in place.

        Args:
            buffers: NumPy arrays, numbers for `constant T&`, bytes or structured arrays for
                argument structs; by name or index, or in a sequence by index.
            grid: Threads, as `dispatchThreads` takes them: last threadgroups may be smaller.
            threadgroups: How many threadgroups instead, as `dispatchThreadgroups` takes them.
            threadgroup: Threads of a threadgroup.
            threadgroup_memory: Bytes of each `[[threadgroup(n)]]` argument by its index.

        Raises:
            UsageError: A buffer or size that does not fit.
            LaunchFailed: The run ended in an error: a deadlock, an access far outside, a limit.
        """
        dispatched = self._sizes(grid, threadgroups, threadgroup, threadgroup_memory)
        running.run(self._built, self._bind(buffers), dispatched)

    def sanitize(
        self,
        buffers: Buffers,
        *,
        grid: Size | None = None,
        threadgroups: Size | None = None,
        threadgroup: Size,
        threadgroup_memory: Mapping[int, int] | None = None,
        outputs: Sequence[str | int] = (),
    ) -> Report:
        """Run the kernel on copies of the arrays, every access checked.

        Args:
            buffers: As in a call.
            grid: As in a call.
            threadgroups: As in a call.
            threadgroup: As in a call.
            threadgroup_memory: As in a call.
            outputs: Names or indices of buffers that hold nothing yet, and must be written wholly.

        Returns:
            The findings, each with file and line, and on demand what the kernel's SIMD-groups do
            (`report.counters`).
        """
        dispatched = self._sizes(grid, threadgroups, threadgroup, threadgroup_memory)
        report = examining.sanitize(self._built, self._bind(buffers), dispatched, outputs)
        return examining.placed(report, self._places, self._lines)

    def profile(
        self,
        buffers: Buffers,
        *,
        grid: Size | None = None,
        threadgroups: Size | None = None,
        threadgroup: Size,
        threadgroup_memory: Mapping[int, int] | None = None,
        outputs: Sequence[str | int] = (),
    ) -> GpuProfile:
        """What the kernel does, as a GPU's compiler sees it: for the chip model.

        It runs on copies of the arrays, and should have passed `sanitize` on them.

        Args:
            buffers: As in a call.
            grid: As in a call.
            threadgroups: As in a call.
            threadgroup: As in a call.
            threadgroup_memory: As in a call.
            outputs: Names or indices of buffers that hold nothing yet.

        Raises:
            LaunchFailed: It does not build for a GPU, or does too much to be counted.
        """
        dispatched = self._sizes(grid, threadgroups, threadgroup, threadgroup_memory)
        return examining.profile(self._built, self._bind(buffers), dispatched, outputs)

    def _bind(self, buffers: Buffers) -> list[Bound]:
        taken = self._built.call.buffers
        return bind(self.name, taken, self._facts[: len(taken)], buffers)

    def _sizes(
        self,
        grid: Size | None,
        threadgroups: Size | None,
        threadgroup: Size,
        threadgroup_memory: Mapping[int, int] | None,
    ) -> DispatchSizes:
        call = self._built.call
        shared = [
            (parameter, fact.index)
            for parameter, fact in zip(call.shared, self._facts[len(call.buffers) :], strict=True)
            if fact.is_present
        ]
        return sizes(
            self.name,
            self._built.facts,
            shared,
            grid=grid,
            threadgroups=threadgroups,
            threadgroup=threadgroup,
            threadgroup_memory=threadgroup_memory,
        )


def spliced_file(source: str | Path, include_root: str | Path | None = None) -> Spliced:
    """A file or text with its includes in their places; see `Library`.

    Raises:
        DoesNotBuild: It includes what is not there.
        UsageError: There is no such file; it holds NUL characters, or nothing at all.
    """
    path = path_of(source)
    root = Path(include_root) if include_root is not None else path.parent if path else None
    text = _checked(str(source) if path is None else _contents(path))
    name = _TEXT if path is None else path.name
    return splice(text, name, path.parent if path else root, root)


def path_of(source: str | Path) -> Path | None:
    """A path as such, or a string of one line without braces; None for a text."""
    if isinstance(source, Path):
        return source
    is_text = "\n" in source or "{" in source or not source.strip()
    return None if is_text else Path(source)


def _contents(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise UsageError(f"the file '{path}' cannot be read: {error.strerror}") from error


def _checked(text: str) -> str:
    """A text without its byte-order mark, which compilers pass over."""
    if not text.strip():
        raise UsageError("the text is empty: it holds no kernel function")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError(f"line {line} of the text holds a NUL character: it is no Metal")
    return text.removeprefix("\ufeff")


def _builder(language_version: str | None) -> Builder:
    builder = building.whole_file_builder()
    return replace(builder, language=of(language_version)) if language_version else builder


def _checked_mode(math_mode: str) -> str:
    if math_mode not in MATH_FLAGS:
        raise unknown("math mode", math_mode, MATH_FLAGS)
    return math_mode
