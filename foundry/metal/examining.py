"""The sanitizer over a kernel of a file, and what it finds on the lines of the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.errors import UsageError, unknown
from foundry.metal.arguments import Bound, is_same
from foundry.metal.building import BuiltKernel
from foundry.metal.dispatch import DispatchSizes
from foundry.metal.reading.places import FilePlaces
from foundry.msl import sanitizer
from foundry.msl.counters import Counters
from foundry.msl.frontend.signature import Captured
from foundry.msl.gpu import run as profiling
from foundry.msl.gpu.profile import GpuProfile
from foundry.msl.sanitizer import Finding, Report
from foundry.msl.sanitizer.run import TIME_LIMIT_S
from foundry.program import Launch, Program, TensorSpec
from ops.dtypes import DTYPE_BYTES, numpy_dtype

_MLX_NAMES = {numpy_dtype(name): name for name in DTYPE_BYTES}


def sanitize(
    built: BuiltKernel,
    bound: Sequence[Bound],
    sizes: DispatchSizes,
    outputs: Sequence[str | int] = (),
    time_limit_s: float = TIME_LIMIT_S,
) -> Report:
    """Run a kernel on copies of its arrays, every access checked.

    Args:
        built: The kernel.
        bound: Its buffers.
        sizes: Of the dispatch.
        outputs: Names or indices of buffers that hold nothing yet, and must be written wholly.
        time_limit_s: A launch that runs longer is a runaway loop.

    Raises:
        UsageError: Names of no buffer that it writes, or buffers that are the same memory.
    """
    one = _one_launch(built, bound, sizes, outputs)
    return sanitizer.sanitize(
        one.program, one.given, time_limit_s=time_limit_s, capture=lambda *_: one.captured
    )


def profile(
    built: BuiltKernel,
    bound: Sequence[Bound],
    sizes: DispatchSizes,
    outputs: Sequence[str | int] = (),
) -> GpuProfile:
    """What a kernel does on its arrays, as a GPU's compiler sees it.

    Args:
        built: The kernel.
        bound: Its buffers.
        sizes: Of the dispatch.
        outputs: Names or indices of buffers that hold nothing yet.

    Raises:
        UsageError: As `sanitize`.
        LaunchFailed: It does not build for a GPU, or does too much to be counted.
    """
    one = _one_launch(built, bound, sizes, outputs)
    return profiling.profile(one.program, one.given, capture=lambda *_: one.captured)


@dataclass(frozen=True)
class _OneLaunch:
    """A dispatch as a program, and the arrays that it is given."""

    program: Program
    given: dict[str, NDArray[Any]]
    captured: Captured


def _one_launch(
    built: BuiltKernel, bound: Sequence[Bound], sizes: DispatchSizes, outputs: Sequence[str | int]
) -> _OneLaunch:
    new = _named(bound, outputs)
    _check(built, bound, new)
    arrays = {one.name: _plain(one) for one in bound}
    specs = {name: _spec(name, array) for name, array in arrays.items()}
    read = tuple(one.name for one in bound if one.parameter.is_const)
    written = tuple(specs[one.name] for one in bound if not one.parameter.is_const)
    text = built.launched(sizes.grid, sizes.threadgroup, sizes.threadgroup_bytes)
    launch = Launch(
        built.kernel.name, read, written, text.source, sizes.grid, sizes.threadgroup, text.header,
        math_mode=text.math_mode,
    )  # fmt: skip
    given = {name: array for name, array in arrays.items() if name not in new}
    program = Program(tuple(specs[name] for name in given), tuple(new), (launch,))
    return _OneLaunch(program, given, text.captured)


def _named(bound: Sequence[Bound], outputs: Sequence[str | int]) -> list[str]:
    names: dict[str | int, str] = {one.fact.index: one.name for one in bound}
    return [names.get(output, str(output)) for output in outputs]


def _check(built: BuiltKernel, bound: Sequence[Bound], outputs: Sequence[str]) -> None:
    written = [one.name for one in bound if not one.parameter.is_const]
    for name in outputs:
        if name not in written:
            raise unknown(f"output of '{built.kernel.name}':", name, written)
    for n, one in enumerate(bound):
        for other in bound[:n]:
            if is_same(one.array, other.array) and {one.name, other.name} & set(written):
                raise UsageError(
                    f"'{other.name}' and '{one.name}' are the same array: the sanitizer tells"
                    " buffers apart by their memory; give copies"
                )


def _plain(one: Bound) -> NDArray[Any]:
    """The array with a dtype that the sanitizer knows; structs are bytes."""
    array = one.array
    if array.dtype in _MLX_NAMES:
        return array
    return array.reshape(-1).view(np.uint8)


def _spec(name: str, array: NDArray[Any]) -> TensorSpec:
    return TensorSpec(name, array.shape, _MLX_NAMES[array.dtype])


def placed(report: Report, places: FilePlaces, lines: Sequence[str]) -> Report:
    """A report on the lines of the files rather than of the text with its includes."""
    count = report.count
    return replace(
        report,
        findings=tuple(_finding(found, places, lines) for found in report.findings),
        build_log=None if report.build_log is None else places.told(report.build_log),
        count=None if count is None else _counting(count, places, lines),
    )


def _finding(found: Finding, places: FilePlaces, lines: Sequence[str]) -> Finding:
    told = replace(found, sentence=places.told(found.sentence))
    if found.other_line and found.other_line[0] == "header":
        other = places.of(found.other_line[1])
        told = replace(told, other_line=(other.file, other.line))
    if found.part != "header" or found.part_line is None:
        return replace(told, part=None, part_line=None, text="")
    place = places.of(found.part_line)
    text = lines[found.part_line - 1]
    return replace(told, part=place.file, part_line=place.line, text=text)


def _counting(
    count: Callable[[], Counters], places: FilePlaces, lines: Sequence[str]
) -> Callable[[], Counters]:
    def counted() -> Counters:
        found = count()
        launches = tuple(
            replace(
                launch,
                lines=tuple(
                    replace(
                        line,
                        part=places.of(line.line).file,
                        text=lines[line.line - 1].strip(),
                        line=places.of(line.line).line,
                    )
                    if line.part == "header"
                    else line
                    for line in launch.lines
                ),
            )
            for launch in found.launches
        )
        return replace(found, launches=launches)

    return counted
