"""Reads a compiled kernel as a file, to see what it would keep or do beside computing.

Metal has no variable that outlives a launch. C++ has: globals, statics, thread-local ones. They,
and code that runs when an object is loaded, show as sections of the ELF file, whatever the source
did to hide them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"
"""ELF, 64 bits, little-endian: what kernels are on Linux. Other formats are not looked at."""
_WRITE, _ALLOC, _TLS = 0x1, 0x2, 0x400
_SYMBOL_TABLE = 2
_OBJECT, _TLS_OBJECT = 1, 6
_LINKERS_OWN = re.compile(r"\.dynamic|\.got(\.plt)?|\.data\.rel\.ro(\..*)?|\.relro_padding")
_RUN_WHEN_LOADED = re.compile(r"\.(preinit_array|init_array|fini_array|ctors|dtors|init|fini)\b.*")
_NAME = re.compile(r"\d+")


@dataclass(frozen=True)
class _Section:
    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True)
class Fault:
    """Why a compiled kernel is none: a sentence, and the variable it is about."""

    reason: str
    variable: str | None = None


def fault_of(path: Path) -> Fault | None:
    """What is wrong with a compiled kernel; None where nothing is."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        return None
    sections = list(_sections(data))
    for section in sections:
        if section.size and _RUN_WHEN_LOADED.fullmatch(section.name):
            return Fault("code that runs before the kernel is launched is not Metal")
    kept = {i for i, section in enumerate(sections) if _is_state(section)}
    if not kept:
        return None
    names = list(dict.fromkeys(_objects(data, sections, kept)))
    shown = ", ".join(f"'{name}'" for name in names[:3]) or "a variable"
    reason = (
        f"{shown} would keep a value from one launch to the next: outside of functions Metal has "
        "only constants, and static variables must be constant; use a temporary of the kernel"
    )
    return Fault(reason, names[0] if names else None)


def _is_state(section: _Section) -> bool:
    writable = section.flags & _ALLOC and section.flags & (_WRITE | _TLS)
    return bool(writable and section.size and not _LINKERS_OWN.fullmatch(section.name))


def _sections(data: bytes) -> Iterator[_Section]:
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count, names_at = struct.unpack_from("<HHH", data, 58)
    heads = [struct.unpack_from("<IIQQQQII", data, start + i * size) for i in range(count)]
    names = heads[names_at][4] if heads else 0
    for name, kind, flags, _, offset, length, link, _ in heads:
        yield _Section(_text(data, names + name), kind, flags, offset, length, link)


def _objects(data: bytes, sections: list[_Section], kept: set[int]) -> Iterator[str]:
    """Names of the variables in some sections, as the source has them."""
    for table in sections:
        if table.kind != _SYMBOL_TABLE:
            continue
        texts = sections[table.link].offset
        for at in range(table.offset, table.offset + table.size, 24):
            name, info, _, section, _, _ = struct.unpack_from("<IBBHQQ", data, at)
            if section in kept and info & 15 in (_OBJECT, _TLS_OBJECT):
                yield _plain(_text(data, texts + name))


def _plain(mangled: str) -> str:
    """The last name in a mangled one: `_ZL5calls` is `calls`."""
    if not mangled.startswith("_Z"):
        return mangled
    found, at = mangled, 2
    while match := _NAME.search(mangled, at):
        end = match.end() + int(match[0])
        if end > len(mangled):
            break
        found, at = mangled[match.end() : end], end
    return found


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode(errors="replace")
