"""Reads an ELF file, what kernels are on Linux."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from foundry.msl.build.traits import Traits

MAGIC = b"\x7fELF\x02\x01"
"""64 bits, little-endian."""
_WRITE, _ALLOC, _TLS = 0x1, 0x2, 0x400
_SYMBOL_TABLE = 2
_OBJECT, _TLS_OBJECT = 1, 6
_LINKERS_OWN = re.compile(r"\.dynamic|\.got(\.plt)?|\.data\.rel\.ro(\..*)?|\.relro_padding")
_RUN_WHEN_LOADED = re.compile(r"\.(preinit_array|init_array|fini_array|ctors|dtors|init|fini)\b.*")


@dataclass(frozen=True)
class _Section:
    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int


def traits_of(data: bytes) -> Traits:
    """What the bytes of a file that starts with `MAGIC` hold beside code and constants."""
    sections = list(_sections(data))
    early = any(s.size and _RUN_WHEN_LOADED.fullmatch(s.name) for s in sections)
    kept = {i for i, section in enumerate(sections) if _is_state(section)}
    return Traits(early, bool(kept), tuple(_objects(data, sections, kept)))


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
    """Names of the variables in some sections."""
    for table in sections:
        if table.kind != _SYMBOL_TABLE:
            continue
        texts = sections[table.link].offset
        for at in range(table.offset, table.offset + table.size, 24):
            name, info, _, section, _, _ = struct.unpack_from("<IBBHQQ", data, at)
            if section in kept and info & 15 in (_OBJECT, _TLS_OBJECT):
                yield _text(data, texts + name)


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode(errors="replace")
