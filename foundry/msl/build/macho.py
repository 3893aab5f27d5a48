"""Reads a Mach-O file, what kernels are on a Mac: sections, symbols, and whom they come from."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from foundry.msl.build.traits import Traits

MAGIC = b"\xcf\xfa\xed\xfe"
"""64 bits, little-endian."""
_SEGMENT, _SYMBOLS, _SIGNATURE = 0x19, 0x2, 0x1D
_NAME, _LIBRARIES = 0xD, (0xC, 0x80000018, 0x8000001F)
_MAY_WRITE, _READ_ONLY_AFTER_START = 0x2, 0x10
_KIND, _UNDEFINED, _DEFINED, _DEBUG = 0x0E, 0x0, 0x0E, 0xE0
_LOADERS_OWN = {0x6, 0x7}
"""Kinds of sections that the loader fills: pointers to what other libraries have."""
_THREAD_LOCAL = range(0x11, 0x16)
_RUN_WHEN_LOADED = {0x9, 0xA, 0x16}
_LOADERS_POINTER = "dyld_private"
_LOADERS_POINTER_BYTES = 8
_LINKERS_NAMES = {_LOADERS_POINTER, "_mh_dylib_header", "__dso_handle"}
_BINDER = "dyld_stub_binder"
_SYSTEM = "/usr/lib/"
_HEAD_BYTES, _SEGMENT_BYTES, _SECTION_BYTES, _SYMBOL_BYTES = 32, 72, 80, 16


@dataclass(frozen=True)
class Section:
    """A part of a segment; `kind` is its type, without attributes."""

    segment: str
    name: str
    size: int
    kind: int
    is_writable: bool
    """While code runs: what is only filled in by the loader does not count."""


@dataclass(frozen=True)
class Symbol:
    """A name: `section` counts from 1, and an undefined one comes from a `library`."""

    name: str
    section: int
    library: str | None = None


@dataclass
class Object:
    """What a file holds."""

    install_name: str | None = None
    libraries: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)
    signature_bytes: int = 0


def read(data: bytes) -> Object:
    """The object in the bytes of a file that starts with `MAGIC`."""
    found = Object()
    table: tuple[int, int, int] | None = None
    for kind, at in _commands(data):
        if kind == _SEGMENT:
            found.sections += _sections(data, at)
        elif kind == _NAME:
            found.install_name = _library(data, at)
        elif kind in _LIBRARIES:
            found.libraries.append(_library(data, at))
        elif kind == _SIGNATURE:
            (found.signature_bytes,) = struct.unpack_from("<I", data, at + 12)
        elif kind == _SYMBOLS:
            start, count, texts = struct.unpack_from("<III", data, at + 8)
            table = start, count, texts
    if table is not None:
        found.symbols = list(_symbols(data, *table, found.libraries))
    return found


def traits_of(data: bytes) -> Traits:
    """What the bytes of a file that starts with `MAGIC` hold beside code and constants."""
    found = read(data)
    early = any(s.size and s.kind in _RUN_WHEN_LOADED for s in found.sections)
    owned = {s.section for s in found.symbols if s.name == _LOADERS_POINTER}
    kept = {n for n, s in enumerate(found.sections, 1) if _is_state(s, n in owned)}
    names = (s.name.removeprefix("_") for s in found.symbols if s.section in kept)
    foreign = (
        s.name.removeprefix("_")
        for s in found.symbols
        if s.library and s.library.startswith(_SYSTEM) and s.name != _BINDER
    )
    theirs = tuple(name for name in names if name not in _LINKERS_NAMES)
    return Traits(early, bool(kept), theirs, tuple(foreign))


def _is_state(section: Section, holds_loaders_pointer: bool) -> bool:
    if section.kind in _THREAD_LOCAL:
        return section.size > 0
    if not section.is_writable or section.kind in _LOADERS_OWN or section.name == "__const":
        return False
    return section.size > (_LOADERS_POINTER_BYTES if holds_loaders_pointer else 0)


def _commands(data: bytes) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from("<I", data, 16)
    at = _HEAD_BYTES
    for _ in range(count):
        kind, size = struct.unpack_from("<II", data, at)
        yield kind, at
        at += size


def _sections(data: bytes, at: int) -> Iterator[Section]:
    _, protection, count, flags = struct.unpack_from("<IIII", data, at + 56)
    writable = bool(protection & _MAY_WRITE) and not flags & _READ_ONLY_AFTER_START
    for start in range(at + _SEGMENT_BYTES, at + _SEGMENT_BYTES + count * _SECTION_BYTES,
                       _SECTION_BYTES):  # fmt: skip
        name, segment, _, size = struct.unpack_from("<16s16sQQ", data, start)
        (kind,) = struct.unpack_from("<I", data, start + 64)
        yield Section(_padded(segment), _padded(name), size, kind & 0xFF, writable)


def _library(data: bytes, at: int) -> str:
    (name,) = struct.unpack_from("<I", data, at + 8)
    return _text(data, at + name)


def _symbols(
    data: bytes, start: int, count: int, texts: int, libraries: list[str]
) -> Iterator[Symbol]:
    for at in range(start, start + count * _SYMBOL_BYTES, _SYMBOL_BYTES):
        name, kind, section, described = struct.unpack_from("<IBBH", data, at)
        if kind & _DEBUG:
            continue
        text = _text(data, texts + name)
        if kind & _KIND == _UNDEFINED:
            number = described >> 8
            known = 1 <= number <= len(libraries)
            yield Symbol(text, 0, libraries[number - 1] if known else None)
        elif kind & _KIND == _DEFINED:
            yield Symbol(text, section)


def _padded(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode(errors="replace")
