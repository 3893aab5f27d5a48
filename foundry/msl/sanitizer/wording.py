"""From what the hooks wrote to findings with the kernel's own names, indices and lines."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.msl.frontend.rewriting.threadgroup import Storage
from foundry.msl.frontend.signature import Captured
from foundry.msl.run.runtime import MAX_THREADS
from foundry.msl.sanitizer import native
from foundry.msl.sanitizer.checks.lines import PARTS, LineTable, SourcePlace
from foundry.msl.sanitizer.findings import Finding, FindingKind
from foundry.program import Launch

_KINDS = {
    1: FindingKind.OUT_OF_BOUNDS,
    2: FindingKind.UNINITIALISED_READ,
    3: FindingKind.DATA_RACE,
    4: FindingKind.BARRIER_DIVERGENCE,
    5: FindingKind.SIMD_DIVERGENCE,
    6: FindingKind.MISALIGNED,
    7: FindingKind.OUT_OF_BOUNDS,
    8: FindingKind.OUT_OF_BOUNDS,
    9: FindingKind.STACK_OVERFLOW,
    10: FindingKind.RUNAWAY_LOOP,
    11: FindingKind.SIMD_DIVERGENCE,
    12: FindingKind.SIMD_DIVERGENCE,
    13: FindingKind.INPUT_WRITE,
    14: FindingKind.OUT_OF_BOUNDS,
    15: FindingKind.UNINITIALISED_READ,
}
_ARRAY_BOUNDS, _WILD, _ABSENT_LANE, _PARTIAL_GROUP, _COMPONENT, _UNSET_LOCAL = 7, 8, 11, 12, 14, 15
_INTERRUPTED = (9, 10)
"""A thread was stopped wherever it was, perhaps in the runtime."""
_SUBSCRIPTED = re.compile(r"\b([A-Za-z_]\w*)\s*\[")
Thread = tuple[int, int, int]


@dataclass(frozen=True)
class Named:
    """An array as the kernel knows it."""

    name: str
    itemsize: int
    size: int


@dataclass(frozen=True)
class Shared:
    """Threadgroup memory: the bytes of each declaration and of an element, by its name."""

    places: Mapping[str, range]
    items: Mapping[str, int]


@dataclass(frozen=True)
class LaunchContext:
    """What it takes to word a finding."""

    launch: Launch
    number: int
    captured: Captured
    names: Mapping[int, Named | Shared]
    lines: LineTable
    code: int

    def place(self, address: int) -> SourcePlace | None:
        """The line of the instruction before a return address."""
        return self.lines.place(address - self.code) if address else None

    def text(self, place: SourcePlace | None) -> str:
        """A line of the kernel."""
        if place is None:
            return ""
        lines = (self.launch.header if place.part == "header" else self.launch.source).split("\n")
        return lines[place.line - 1] if place.line <= len(lines) else ""


@dataclass(frozen=True)
class _Element:
    name: str
    index: int
    size: int


def argument_names(launch: Launch, captured: Captured) -> list[str]:
    """Names of the buffers in the order of their indices."""
    names = []
    for name, wanted in zip(launch.inputs, captured.shape_info, strict=True):
        suffixes = [s for s, w in zip(("shape", "strides", "ndim"), wanted, strict=True) if w]
        names += [name, *(f"{name}_{suffix}" for suffix in suffixes)]
    return names + [spec.name for spec in launch.outputs]


def finding(raw: native.FindingRecord, context: LaunchContext) -> Finding:
    """One finding, worded."""
    kind = _KINDS[raw.kind]
    place = SourcePlace(PARTS[raw.part], raw.line) if raw.line else context.place(raw.place)
    if place is None and raw.kind in _INTERRUPTED:
        place = context.place(raw.other_place) or context.lines.next_place(raw.place - context.code)
    element = _local(raw, context, place) or _element(raw, context)
    thread = _thread(raw.thread, context)
    other = _thread(raw.other_thread, context) if raw.other_thread else None
    second = context.place(raw.other_place) if other else None
    access = "write" if raw.is_write else "read"
    return Finding(
        kind=kind,
        sentence=_sentence(raw, context, element, thread, other),
        buffer=element.name if element else None,
        index=element.index if element else None,
        size=element.size if element else None,
        access=access if element and raw.kind != _ARRAY_BOUNDS else None,
        thread=thread,
        other_thread=other,
        other_line=(second.part, second.line) if second else None,
        part=place.part if place else None,
        part_line=place.line if place else None,
        text=context.text(place),
        launch=context.number,
        count=int(raw.count),
    )


def root_causes(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without those that another one explains.

    A missing barrier lets a thread read what is not yet written: that is the race, not a read of
    uninitialised memory. An array's bounds are checked twice where the compiler knows them.
    """
    races = [f for f in findings if f.kind is FindingKind.DATA_RACE]
    raced = {(f.buffer, f.part, f.part_line) for f in races}
    raced |= {(f.buffer, *f.other_line) for f in races if f.other_line}
    beyond = {
        (f.part, f.part_line): f.buffer
        for f in findings
        if f.kind is FindingKind.OUT_OF_BOUNDS and f.access
    }
    return [f for f in findings if not _explained(f, raced, beyond)]


def unwritten(
    name: str, array: NDArray[Any], unset: native.Unset, context: LaunchContext
) -> Finding:
    """An output that is not written everywhere; the line is that of its last write, if any."""
    missing, first = int(unset.count), int(unset.first)
    where = ", ".join(map(str, np.unravel_index(first, array.shape)))
    place = context.place(context.code + unset.place) if unset.is_written else None
    return Finding(
        FindingKind.UNWRITTEN_OUTPUT,
        f"unwritten output: {missing} of the {array.size} elements of {name} are never"
        f" written, the first is {name}[{where}]",
        buffer=name,
        index=first,
        size=array.size,
        access="write",
        part=place.part if place else None,
        part_line=place.line if place else None,
        text=context.text(place),
        launch=context.number,
        count=missing,
    )


def declaration(launch: Launch, storage: Storage) -> tuple[str, str]:
    """Part and text of the line of a threadgroup declaration."""
    for part, text in (("source", launch.source), ("header", launch.header)):
        lines = text.split("\n")
        if storage.line <= len(lines) and storage.names[0] in lines[storage.line - 1]:
            return part, lines[storage.line - 1]
    return "source", ""


def _explained(
    found: Finding,
    raced: set[tuple[str | None, str | None, int | None]],
    beyond: Mapping[tuple[str | None, int | None], str | None],
) -> bool:
    where = (found.part, found.part_line)
    if found.kind is FindingKind.UNINITIALISED_READ:
        return found.buffer is not None and (found.buffer, *where) in raced
    return found.kind is FindingKind.OUT_OF_BOUNDS and not found.access and where in beyond


def _sentence(
    raw: native.FindingRecord,
    context: LaunchContext,
    element: _Element | None,
    thread: Thread,
    other: Thread | None,
) -> str:
    who = f"thread {_show(thread)}"
    what = f"{element.name}[{element.index}]" if element else "memory"
    verb = "writes" if raw.is_write else "reads"
    match _KINDS[raw.kind]:
        case FindingKind.OUT_OF_BOUNDS:
            return _beyond(raw, element, who, verb)
        case FindingKind.UNINITIALISED_READ if raw.kind == _UNSET_LOCAL:
            return f"uninitialised read: {who} uses {_variable(raw)} that it has not set"
        case FindingKind.UNINITIALISED_READ:
            return f"uninitialised read: {who} reads {what}, which no thread has written"
        case FindingKind.DATA_RACE:
            return _race(raw, context, who, verb, what, other)
        case FindingKind.BARRIER_DIVERGENCE:
            return _barrier(raw, context, who)
        case FindingKind.SIMD_DIVERGENCE:
            return _diverged(raw, context, who)
        case FindingKind.INPUT_WRITE:
            return f"write to an input: {who} writes {what}, which other arrays may share"
        case FindingKind.MISALIGNED:
            return (
                f"misaligned access: {who} {verb} {raw.bytes} bytes at byte {raw.offset} of"
                f" {element.name if element else 'an array'}; their type must be aligned to"
                f" {raw.detail} bytes"
            )
        case FindingKind.STACK_OVERFLOW:
            return f"stack overflow: {who} uses more stack than a thread has"
        case _:
            return f"runaway loop: {who} is still running at the time limit"


def _variable(raw: native.FindingRecord) -> str:
    """A thread's own variable, by its name where the runtime tells it."""
    if not raw.other_place:
        return "a variable of its own"
    return f"its own variable '{ctypes.string_at(raw.other_place).decode()}'"


def _beyond(raw: native.FindingRecord, element: _Element | None, who: str, verb: str) -> str:
    if raw.kind == _ARRAY_BOUNDS:
        array = f"{element.name}, which has {_elements(element.size)}" if element else "an array"
        return f"out-of-bounds index: {who} uses index {raw.detail} of {array}"
    if raw.kind == _COMPONENT:
        return (
            f"out-of-bounds index: {who} uses index {raw.detail} of a vector, matrix or array,"
            f" which has {raw.bytes} components, columns or elements"
        )
    if raw.kind == _WILD:
        return f"out-of-bounds access: {who} uses an address that belongs to no array"
    what = f"{element.name}[{element.index}]" if element else "memory"
    return f"out-of-bounds {verb[:-1]}: {who} {verb} {what}, {_extent(element)}"


def _diverged(raw: native.FindingRecord, context: LaunchContext, who: str) -> str:
    start = "SIMD-group operation not reached by all lanes:"
    if raw.kind == _ABSENT_LANE and raw.bytes:
        group = "SIMD-group" if raw.bytes > 4 else "quad-group"
        return (
            f"lane that does not exist: {who} names lane {raw.detail} of a {group} of {raw.bytes},"
            " so that any value may come"
        )
    if raw.kind == _ABSENT_LANE:
        return (
            f"{start} {who} takes the value of lane {raw.detail}, which is not here, so that any"
            " value may come"
        )
    if raw.kind == _PARTIAL_GROUP:
        return (
            f"{start} {raw.detail} lanes, among them {who}, are here; an operation on matrices"
            " needs all 32"
        )
    return (
        f"{start} {raw.detail} lanes, among them {who}, are here while others are at"
        f" {_at(context, raw.other_place)}"
    )


def _race(
    raw: native.FindingRecord,
    context: LaunchContext,
    who: str,
    verb: str,
    what: str,
    other: Thread | None,
) -> str:
    earlier = "wrote" if raw.detail else "read"
    return (
        f"data race: {who} {verb} {what}, which thread {_show(other)} {earlier} at"
        f" {_at(context, raw.other_place)} with no barrier between"
    )


def _barrier(raw: native.FindingRecord, context: LaunchContext, who: str) -> str:
    if raw.other_place:
        return (
            f"threadgroup_barrier not reached by all threads: {who} waits here while others wait"
            f" at {_at(context, raw.other_place)}"
        )
    return (
        f"threadgroup_barrier not reached by all threads: {who} waits here but {raw.detail}"
        " threads of its threadgroup have returned"
    )


def _at(context: LaunchContext, address: int) -> str:
    place = context.place(address)
    return f"{place.part}:{place.line}" if place else "another place"


def _elements(count: int) -> str:
    return f"{count} element{'s' * (count != 1)}"


def _extent(element: _Element | None) -> str:
    if element is None:
        return "which is outside every threadgroup array"
    return f"{element.name} has {_elements(element.size)}"


def _element(raw: native.FindingRecord, context: LaunchContext) -> _Element | None:
    named = context.names.get(raw.region)
    if isinstance(named, Named):
        return _Element(named.name, raw.offset // named.itemsize, named.size)
    return _threadgroup_element(raw, named) if named and named.places else None


def _local(
    raw: native.FindingRecord, context: LaunchContext, place: SourcePlace | None
) -> _Element | None:
    """The array with fixed bounds whose index is wrong; its name stands on the line."""
    if raw.kind != _ARRAY_BOUNDS:
        return None
    type_name = ctypes.string_at(raw.other_place).decode(errors="replace")
    size = re.search(r"\[(\d+)\]", type_name)
    text = context.text(place)
    here = _SUBSCRIPTED.match(text, max(raw.bytes - 1, 0))
    names = {here[1]} if here else set(_SUBSCRIPTED.findall(text))
    name = names.pop() if len(names) == 1 else f"an array of type {type_name}"
    return _Element(name, raw.detail, int(size[1])) if size else None


def _threadgroup_element(raw: native.FindingRecord, shared: Shared) -> _Element:
    """The threadgroup array nearest to an offset, its index in elements as it is declared."""
    name, place = min(
        shared.places.items(),
        key=lambda item: max(item[1].start - raw.offset, raw.offset - item[1].stop + 1, 0),
    )
    unit = shared.items[name]
    return _Element(name, (raw.offset - place.start) // unit, len(place) // unit)


def _thread(number: int, context: LaunchContext) -> Thread:
    """Position in the grid of a thread that is known by its number, which starts at 1."""
    group, index = divmod(max(number, 1) - 1, MAX_THREADS)
    size, grid = _group_size(context), context.captured.grid
    groups = [-(-g // s) for g, s in zip(grid, size, strict=True)]
    at = (group % groups[0], group // groups[0] % groups[1], group // (groups[0] * groups[1]))
    here = [min(s, g - a * s) for s, g, a in zip(size, grid, at, strict=True)]
    local = (index % here[0], index // here[0] % here[1], index // (here[0] * here[1]))
    x, y, z = (a * s + p for a, s, p in zip(at, size, local, strict=True))
    return (x, y, z)


def _group_size(context: LaunchContext) -> Thread:
    grid, group = context.captured.grid, context.captured.threadgroup
    x, y, z = (min(t, g) for t, g in zip(group, grid, strict=True))
    return (x, y, z)


def _show(thread: Thread | None) -> str:
    return str(thread) if thread else "?"
