"""A check before every access, put into the compiler's intermediate text.

Optimised LLVM text says of every access its size and the alignment its type demands, which is lost
later: `float4` reads 16 bytes aligned to 16, `packed_float4` the same bytes aligned to 4. `checked`
calls a hook of the runtime before each of them, and then lets the access itself go to any address,
so that a misaligned one is told and does not crash.
"""

from __future__ import annotations

import re

from foundry.msl.build.llvm_text import COPY, LENGTH, LOAD, REGISTER, STORE, bytes_of
from foundry.msl.sanitizer.checks import gathered
from foundry.msl.sanitizer.checks.engine_memory import EngineMemory
from foundry.msl.sanitizer.checks.local_hooks import DECLARATIONS as LOCAL_DECLARATIONS
from foundry.msl.sanitizer.checks.local_hooks import LocalHooks, copied, is_watched
from foundry.msl.sanitizer.checks.places import Places

_POINTERS = re.compile(rf"ptr ([^,%@]*)({REGISTER}|@\S+?)(?=,)")
_ALIGN = re.compile(r"align (\d+)")
_PLACE = re.compile(r"^(@\d+ = private unnamed_addr) global")
"""What clang tells the handler of an array's bounds, which could be written there."""
_OWN = re.compile(
    rf"\s+{REGISTER} = (?:alloca |getelementptr (?:\w+ )*[^%]+, ptr {REGISTER}(?:, i\d+ \d+)+"
    r"(?:, !dbg !\d+)?$)"
)
"""A variable of the thread, or a fixed place in one: nothing can go wrong there."""
_SHORT_WAYS = tuple(
    f"{size}_{align}" for size in (1, 2, 4, 8, 12, 16) for align in (1, 2, 4, 8, 16, 32, 64)
)
"""Bytes and alignments that have hooks of their own, in `prelude/sanitizer/sanitizer.cpp`."""
_DECLARATIONS = "\n".join(
    (
        "",
        "declare void @mf_check_load(ptr, i64, i32)",
        "declare void @mf_check_store(ptr, i64, i32)",
        *(
            f"declare preserve_allcc void @mf_{access}_{way}(ptr)"
            for access in ("load", "store")
            for way in _SHORT_WAYS
        ),
        gathered.declarations(),
        "",
    )
)


def checked(text: str) -> str:
    """LLVM text with a call of `mf_check_load` or `mf_check_store` before each access.

    Atomic accesses are left alone (the prelude reports them), and so are pointers: a kernel's
    arrays hold none. Reads of one line that may be looked at together have one hook (`gathered`).
    """
    source, places = text.split("\n"), Places(text)
    watched = is_watched(text)
    local: LocalHooks | None = None
    lines: list[str] = []
    own: set[str] = set()
    engine = EngineMemory("")
    for number, line in enumerate(source):
        if line.startswith("@"):
            line = _PLACE.sub(r"\1 constant", line, 1)
        elif line.startswith("define "):
            own, engine = set(), EngineMemory(line)
            local = LocalHooks(source[number : source.index("}", number)]) if watched else None
        elif (found := _OWN.match(line)) and (found[2] is None or found[2] in own):
            own.add(found[1])
        engine.note(line)
        calls = _calls(line, own, engine, local)
        if calls:
            debug = places.near(source, number)
            lines += [f"{call}{debug}" for call in calls]
            line = _ALIGN.sub("align 1", line)
        lines.append(line)
    hooked = "\n".join(gathered.gathered(lines, places))
    return hooked + _DECLARATIONS + (LOCAL_DECLARATIONS if watched else "")


def _calls(line: str, own: set[str], engine: EngineMemory, local: LocalHooks | None) -> list[str]:
    for access, pattern in (("load", LOAD), ("store", STORE)):
        if f" {access} " in line and (found := pattern.match(line)):
            if found[2] in own:
                return []
            checks = [_call(access, found[2], str(bytes_of(found[1])), found[3])]
            if engine.holds(found[2]):
                checks = []
            return checks if local is None else [*checks, *local.of(line)]
    if "@llvm.mem" in line and (found := COPY.match(line)):
        return _copy(found[1], found[2], local is not None)
    return []


def _copy(kind: str, arguments: str, watched: bool) -> list[str]:
    length = LENGTH.search(arguments)
    pointers = list(_POINTERS.finditer(arguments))
    if length is None or not pointers:
        return []
    source = pointers[1] if kind != "set" and len(pointers) > 1 else None
    calls = [_part("load", source, length[1])] if source else []
    calls.append(_part("store", pointers[0], length[1]))
    if watched:
        calls += copied(kind, pointers[0][2], source[2] if source else None, arguments)
    return [call for call in calls if call]


def _part(access: str, pointer: re.Match[str], length: str) -> str:
    if not pointer[2].startswith("%"):
        return ""
    align = _ALIGN.search(pointer[1])
    return _call(access, pointer[2], length, align[1] if align else "1")


def _call(access: str, pointer: str, length: str, align: str) -> str:
    if f"{length}_{align}" in _SHORT_WAYS:
        return f"  call preserve_allcc void @mf_{access}_{length}_{align}(ptr {pointer})"
    return f"  call void @mf_check_{access}(ptr {pointer}, i64 {length}, i32 {align})"
