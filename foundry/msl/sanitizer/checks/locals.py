"""Local variables that a thread may read before anything has set them.

The compiler starts each such variable with a pattern and marks the store that does it. Most of
these stores are dead: the variable is set before it is read, which the optimiser proves. The rest:

1. `probed` puts values that nobody can guess in place of the patterns. After the optimiser the
   text still names those that may be read (`survivors`).
2. `watched` keeps these variables in memory, out of the optimiser's sight, and tells the runtime
   where they start without a value, under which name, and where they end. The hooks of
   `instrument` do the rest.

Both read the text before any optimisation, which clang writes in a fixed form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from foundry.msl.build.llvm_text import REGISTER, TYPE, bytes_of
from foundry.msl.sanitizer.checks.local_names import LocalNames

_MARKED = re.compile(r'^!(\d+) = !\{!"auto-init"\}', re.MULTILINE)
_ALLOCA = re.compile(r"\s+(%\d+) = alloca (.*)")
_PLACE = re.compile(r"\s+(%\d+) = getelementptr (.*?), ptr (%\d+), i(?:32|64) ")
_STORE = re.compile(rf"\s+store ({TYPE}) .+, ptr {REGISTER}, align \d+(, !dbg !\d+)(?:, .*)?$")
_FILL = re.compile(
    r"\s+call void @llvm\.mem(?:set|cpy)\.[^(]*\(ptr (?:align \d+ )?(%\d+), .*?i64 (\d+),"
    r" i1 false\)(?: #\d+)?(, !dbg !\d+)"
)
_PROBE = re.compile(r"call \S.* @mf_probe\.\w+\(i64 (?:noundef )?(\d+)\)")
_LIFETIME = re.compile(
    r"\s+call void @llvm\.lifetime\.(start|end)\.p0\(.*?ptr (?:nonnull )?(%\d+)\)"
)
_TAKEN = re.compile(rf"\s+(%\d+) = load (<\d+ x (\w+)>), ptr {REGISTER}, align \d+(.*)$")
_SET = re.compile(r"\s+(%\d+) = insertelement <\d+ x \w+> (%\d+), (\w+) (\S+), (i\d+ [^,]+)(.*)$")
_PUT = re.compile(rf"\s+store <\d+ x \w+> (%\d+), ptr {REGISTER}, align \d+(.*)$")
_KNOWN_SIZE = re.compile(r" dereferenceable\(\d+\)")
_PROBED_BYTES = 1024
"""Of the largest array whose elements are looked at one by one; larger ones are watched anyway."""


@dataclass(frozen=True)
class _Start:
    """A store that starts a variable, or a part of one, with the pattern."""

    pointer: str
    root: str
    """The variable."""
    type: str
    bytes: int
    debug: str


def probed(text: str) -> str | None:
    """The text with a value of its own for every pattern; None where there is no pattern."""
    starts = _starts(text)
    if not starts:
        return None
    lines = text.split("\n")
    for number, start in starts.items():
        lines[number] = "\n".join(_probe(number, start))
    kinds = sorted({start.type or "i32" for start in starts.values()})
    lines += [f"declare {kind} @mf_probe.{_name(kind)}(i64) #99999" for kind in kinds]
    lines += ["attributes #99999 = { nounwind willreturn memory(none) }", ""]
    return "\n".join(lines)


def survivors(optimised: str, text: str) -> frozenset[int]:
    """Which starts, as line numbers of `text`, may still be read."""
    found = {int(number) for number in _PROBE.findall(optimised)}
    large = (n for n, start in _starts(text).items() if not _is_probed(start))
    return frozenset((*found, *large))


def watched(text: str, kept: Iterable[int], names: LocalNames) -> str:
    """The text with its variables of these starts in memory, told to the runtime by name."""
    starts = _starts(text)
    chosen = {number: starts[number] for number in kept}
    lines = _KNOWN_SIZE.sub("", text).split("\n")
    bounds = [n for n, line in enumerate(lines) if line.startswith("define ")] + [len(lines)]
    for first, last in zip(bounds, bounds[1:], strict=False):
        roots = {start.root for n, start in chosen.items() if first < n < last}
        _set_alone(lines, first, last)
        for number in range(first, last):
            lines[number] = _watch(lines[number], roots, number)
    told = _Told()
    for number, start in chosen.items():
        name = told.name(names.at(start.debug))
        lines[number] = (
            f"  call void @mf_unset(ptr {start.pointer}, i64 {start.bytes}, {name}){start.debug}"
        )
    return "\n".join([*lines, *told.texts, _DECLARATIONS])


class _Told:
    """The names that the text holds: a number that fits a mark, and a string of C."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def name(self, name: str) -> str:
        """The arguments that tell a name, which is added; empty names and too many have none."""
        if not name or (name not in self._numbers and len(self._numbers) == _MOST_NAMES):
            return f"i32 {_NAMELESS}, ptr null"
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._numbers) + 1
            kind = f"[{len(name) + 1} x i8]"
            head = f"@mf.name.{number} = private unnamed_addr constant"
            self.texts.append(f'{head} {kind} c"{name}\\00", align 1')
        return f"i32 {number}, ptr @mf.name.{number}"


_NAMELESS = 255
_MOST_NAMES = 254
_DECLARATIONS = """\
declare ptr @mf_local(ptr)
declare void @mf_unset(ptr, i64, i32, ptr)
declare void @mf_scope_end(ptr, i64)
declare i64 @llvm.objectsize.i64.p0(ptr, i1, i1, i1)
"""


def _starts(text: str) -> dict[int, _Start]:
    """By line number. Those of the prelude's own functions have no place, and are left out."""
    marked = _MARKED.search(text)
    if marked is None:
        return {}
    mark = f"!annotation !{marked[1]}"
    found: dict[int, _Start] = {}
    bases: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(text.split("\n")):
        if line.startswith("define "):
            bases = {}
        elif alloca := _ALLOCA.match(line):
            bases[alloca[1]] = alloca[1], ""
        elif (place := _PLACE.match(line)) and place[3] in bases:
            bases[place[1]] = bases[place[3]][0], f"{bases[place[3]][1]}/{place[2]}"
        elif line.endswith(mark) and (start := _start(line, bases)):
            found[number] = start
    return found


def _start(line: str, bases: dict[str, tuple[str, str]]) -> _Start | None:
    if (fill := _FILL.match(line)) and fill[1] in bases:
        return _Start(fill[1], bases[fill[1]][0], "", int(fill[2]), fill[3])
    store = _STORE.match(line)
    if store is None or store[2] not in bases:
        return None
    root, way = bases[store[2]]
    if way.endswith("inbounds i8/i8"):  # what lies between the members of a struct
        return None
    return _Start(store[2], root, store[1], bytes_of(store[1]), store[3])


def _is_probed(start: _Start) -> bool:
    return bool(start.type) or (start.bytes <= _PROBED_BYTES and not start.bytes % 4)


def _probe(number: int, start: _Start) -> Iterator[str]:
    kind, debug = start.type or "i32", start.debug
    if not _is_probed(start):
        return
    value = f"%mf.probe.{number}"
    yield f"  {value} = call {kind} @mf_probe.{_name(kind)}(i64 {number}){debug}"
    if start.type:
        yield f"  store {kind} {value}, ptr {start.pointer}, align 1{debug}"
        return
    for offset in range(0, start.bytes, 4):
        place = f"%mf.word.{number}.{offset}"
        yield f"  {place} = getelementptr i8, ptr {start.pointer}, i64 {offset}{debug}"
        yield f"  store i32 {value}, ptr {place}, align 1{debug}"


def _name(kind: str) -> str:
    return re.sub(r"\W+", "_", kind)


def _set_alone(lines: list[str], first: int, last: int) -> None:
    """A component that is set is stored alone, not with the rest of its vector."""
    for number in range(first, last - 2):
        taken = _TAKEN.match(lines[number])
        change = _SET.match(lines[number + 1]) if taken else None
        put = _PUT.match(lines[number + 2]) if change else None
        if not taken or not change or not put:
            continue
        if (change[2], put[1], put[2]) != (taken[1], change[1], taken[4]):
            continue
        place = f"getelementptr {taken[3]}, ptr {taken[4]}, {change[5]}{taken[5]}"
        lines[number] = f"  {taken[1]} = {place}"
        lines[number + 1] = f"  {change[1]} = freeze i32 0{change[6]}"
        lines[number + 2] = f"  store {taken[3]} {change[4]}, ptr {taken[1]}, align 1{put[3]}"


def _watch(line: str, roots: set[str], number: int) -> str:
    if (alloca := _ALLOCA.match(line)) and alloca[1] in roots:
        hidden = f"%mf.local.{alloca[1][1:]}"
        return f"  {hidden} = alloca {alloca[2]}\n  {alloca[1]} = call ptr @mf_local(ptr {hidden})"
    if (found := _LIFETIME.match(line)) and found[2] in roots:
        if found[1] == "start":
            return ""
        hidden, size = f"%mf.local.{found[2][1:]}", f"%mf.size.{number}"
        flags = "i1 false, i1 true, i1 false"
        return (
            f"  {size} = call i64 @llvm.objectsize.i64.p0(ptr {hidden}, {flags})\n"
            f"  call void @mf_scope_end(ptr {found[2]}, i64 {size})"
        )
    return line
