"""Kernels of files, built, and errors on the lines of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from foundry.errors import DoesNotBuild
from foundry.metal.calling import KernelCall, call_of
from foundry.metal.facts import Facts, facts_of
from foundry.metal.reading.constants import Value
from foundry.metal.reading.functions import KernelFunction
from foundry.metal.reading.includes import Spliced
from foundry.metal.reading.places import FilePlaces
from foundry.metal.reading.source import PART, MetalSource, read
from foundry.msl.build import diagnostics
from foundry.msl.build.compiler import CompilerFailed
from foundry.msl.build.toolchain import WHOLE_FILES
from foundry.msl.frontend.language import Language
from foundry.msl.frontend.metal_texts import MetalTexts
from foundry.msl.frontend.refusals.brackets import unmatched_in
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.rewriting.threadgroup import BadDeclaration
from foundry.msl.frontend.tokens import Token
from foundry.msl.frontend.unit import whole_as_metal
from foundry.msl.run.builder import Builder, Text, default_builder
from foundry.msl.run.runtime import LoadedKernel
from foundry.program import BuildFailure, Size3


@dataclass(frozen=True, eq=False)
class BuiltKernel:
    """A kernel that was built, and what it takes to build it in another flavour."""

    kernel: KernelFunction
    call: KernelCall
    text: str
    math_mode: str
    builder: Builder
    library: LoadedKernel
    places: FilePlaces

    @cached_property
    def overlapping(self) -> LoadedKernel:
        """The library for a launch in which two buffers are the same memory.

        Raises:
            DoesNotBuild: It does not compile so.
            EnvironmentUnusable: The compiler does not work here.
        """
        of = self.builder, self.call, self.text, self.math_mode
        built = _built(*of, may_overlap=True)
        if isinstance(built, BuildFailure):
            raise _at(self.places, built.log, self.kernel.line)
        return built

    @cached_property
    def facts(self) -> Facts:
        """What it tells of its parameters."""
        return facts_of(self.library)

    def launched(self, grid: Size3, threadgroup: Size3, threadgroup_bytes: tuple[int, ...]) -> Text:
        """The text of a launch of these sizes."""
        captured = self.call.captured(self.text, grid, threadgroup, threadgroup_bytes)
        return Text(captured, self.text, self.call.text, self.math_mode)


def read_file(spliced: Spliced, builder: Builder) -> MetalSource:
    """Read a file and judge all of it as Metal's compiler would.

    Raises:
        DoesNotBuild: It is not Metal, or reaches outside of the kernel; with its lines.
        EnvironmentUnusable: The compiler does not work here.
    """
    try:
        source = read(spliced.text, spliced.places, builder.language, builder.toolchain.preprocess)
        judged, tokens = _judged(source, builder.language)
    except (Refused, BadDeclaration) as refused:
        raise _at(spliced.places, str(refused), refused.line) from refused
    except CompilerFailed as failed:
        raise _failed(spliced, failed.log, []) from failed
    if said := builder.complaint(judged):
        raise _failed(spliced, said, _unchanged(spliced.text, source, tokens))
    return source


def _judged(source: MetalSource, language: Language) -> tuple[MetalTexts, list[Token]]:
    try:
        return whole_as_metal(source.text_to_judge, language)
    except Exception:  # anything may come of a text that a pass cannot find its way in
        if (lost := unmatched_in(source.code, PART)) is None:
            raise
        raise lost from None


def build(
    source: MetalSource, name: str, values: Mapping[str, Value], builder: Builder, math_mode: str
) -> BuiltKernel:
    """Build one kernel of a file.

    Raises:
        DoesNotBuild: It does not compile, or cannot run here.
        UsageError: There is no such kernel, or a function constant has no value.
        EnvironmentUnusable: The compiler does not work here.
    """
    try:
        kernel = source.kernel(name)
        call = call_of(kernel)
    except Refused as refused:
        raise _at(source.places, str(refused), refused.line) from refused
    text = source.text_for(kernel, values)
    result = _built(builder, call, text, math_mode)
    if isinstance(result, BuildFailure):
        raise _at(source.places, result.log, kernel.line)
    return BuiltKernel(kernel, call, text, math_mode, builder, result, source.places)


def _built(
    builder: Builder, call: KernelCall, text: str, math_mode: str, *, may_overlap: bool = False
) -> LoadedKernel | BuildFailure:
    captured = call.captured(text, (1, 1, 1), (1, 1, 1), may_overlap=may_overlap)
    return builder.build(Text(captured, text, call.text, math_mode))


def whole_file_builder() -> Builder:
    """A builder for whole files in this installation's cache."""
    return default_builder(WHOLE_FILES)


def _at(places: FilePlaces, message: str, line: int) -> DoesNotBuild:
    return DoesNotBuild(places.told(message), places.of(line).line)


def _failed(spliced: Spliced, log: str, tokens: list[Token]) -> DoesNotBuild:
    texts = {PART: spliced.text, "source": ""}
    said = diagnostics.scrub(log, texts, {PART: tokens, "source": []})
    return _at(spliced.places, said, 1)


def _unchanged(text: str, source: MetalSource, tokens: Sequence[Token]) -> list[Token]:
    """The tokens of the lines that the preprocessor left as they were: those have columns."""
    lines, written = text.split("\n"), "".join(t.text for t in source.code.tokens).split("\n")
    same = {n for n, pair in enumerate(zip(lines, written, strict=False), 1) if pair[0] == pair[1]}
    return [t for t in tokens if t.line in same]


__all__ = ["BuiltKernel", "build", "read_file", "whole_file_builder"]
