"""Checks that cost next to nothing, for simple kernels: they say that all is well, or nothing.

A kernel without synchronisation that only reads its inputs and only writes its outputs can be
checked without knowing who does what: every access must lie inside its array, and every element of
an output must be written once. `quick` puts exactly that into a kernel's loop as plain arithmetic,
which the optimiser turns into vectors with the rest. Whatever is not surely right is left to the
checks of `instrument`, which find out what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from foundry.msl.build.llvm_text import bytes_of

MOST_ARRAYS = 32
_SCALAR = "(?:half|bfloat|float|double|i8|i16|i32|i64)"
_ENTRY = re.compile(r"define [^@]*@mf_run_items\((.*)\) .*\{$")
_PLACE = re.compile(r"\s+(%\S+) = getelementptr (?:\w+ )*i8, ptr (%\S+), i64 (\d+)")
_POINTER = re.compile(r"\s+(%\S+) = load ptr, ptr (%\S+), ")
_LAUNCH = re.compile(r"\s+(?:tail )?call [^@]*@\S*mf_items\S*?\((.*)\)")
_FUNCTION = re.compile(r"define internal [^@]*@\S*mf_items\S*\((.*)\) .*\{$")
_PARAMETER = re.compile(r"^(\S+)(?: .*)? (%\d+)$")
_DEFINED = re.compile(r"\s+(%\S+) = (?:getelementptr (?:\w+ )*(.+), ptr ([%@]\S+), (.*)|alloca )")
_INDEX = re.compile(r"i(64|32) ([^,\s]+)(?:, !dbg !\d+)?$")
_ACCESS = re.compile(
    rf"\s+(?:%\S+ = (load) |(store) )(<\d+ x \w+>|{_SCALAR})[ ,].*?"
    r"ptr (%\S+), align (\d+)"
)
_HOT = re.compile(r"\s+(?:store .*@mf_hot\b|fence syncscope\(\"singlethread\"\))")
_OTHER_MEMORY = re.compile(
    r" (?:load|store|atomicrmw|cmpxchg|invoke|alloca|addrspacecast|fence) "
    r"|@llvm\.(?:mem|masked|assume)|@mf_hot"
)
_COPY = re.compile(
    r"(\s+)(?:tail )?call void @llvm\.memcpy\S*\(ptr ([^,%]*)(%\S+), ptr ([^,%]*)(%\S+),"
    r" i64 16, i1 false\)"
)
"""Of a vector; smaller ones are a load and a store already."""
_CALL = re.compile(r"\bcall (?![^@]*@llvm\.)")
_NODE = re.compile(r"^!(\d+) = ", re.MULTILINE)
_RETURN = re.compile(r"\s+ret void")
_ALIGN = re.compile(r"align \d+")
_MEMORY = re.compile(r" memory\([^)]*\)")
_KNOWN = re.compile(rf"(?:{_SCALAR}|<\d+ x {_SCALAR}>)")
_POINTER_BYTES = 8
_DECLARATIONS = f"""
@mf_quick = external global [{MOST_ARRAYS} x {{ i64, ptr }}]
@mf_doubts = external global i32
"""


class NotSimple(Exception):
    """A kernel that needs the full checks."""


def quick(text: str) -> str | None:
    """LLVM text with the quick checks; None for a kernel that is not simple enough.

    Args:
        text: The kernel after light optimisation, its loop in a function of its own.
    """
    lines = _MEMORY.sub("", text).split("\n")
    starts = [n for n, line in enumerate(lines) if _FUNCTION.match(line)]
    bodies = sum(line.startswith("define ") for line in lines)
    if len(starts) != 1 or bodies > _FUNCTIONS:
        return None
    end = lines.index("}", starts[0])
    try:
        loop = _Loop(
            lines[starts[0]], _passed(lines), 1 + max(map(int, _NODE.findall(text)), default=0)
        )
        body = loop.checked(lines[starts[0] + 1 : end])
    except NotSimple:
        return None
    done = [*lines[: starts[0] + 1], *body, *lines[end:], *loop.scopes()]
    return "\n".join(done) + _DECLARATIONS + loop.written()


_FUNCTIONS = 2
"""The loop and its entry."""


class _Loop:
    def __init__(self, head: str, buffers: list[int | None], first_node: int) -> None:
        found = _FUNCTION.match(head)
        parameters = _split(found[1]) if found else []
        self._buffers: dict[str, int] = {}
        self._roots: dict[str, tuple[str, str]] = {}
        """Of each known pointer: the parameter it comes from, or none, and its offset."""
        for parameter, buffer in zip(parameters, buffers, strict=True):
            kind, name = _parameter(parameter)
            if kind == "ptr" and buffer is not None:
                self._buffers[name] = buffer
                self._roots[name] = (name, "0")
            elif kind == "ptr":
                self._roots[name] = ("", "")
        count = 1 + max(self._buffers.values(), default=0)
        if count > MOST_ARRAYS:
            raise NotSimple
        self._arrays = range(count)
        self._read: set[int] = set()
        self._node = first_node
        self._limits: set[tuple[int, int]] = set()
        self._items: dict[int, int] = {}
        self._serial = 0

    def checked(self, lines: list[str]) -> list[str]:
        """The body with its checks."""
        body: list[str] = []
        for line in self._unfolded(lines):
            if _HOT.match(line):
                continue
            if defined := _DEFINED.match(line):
                body += [line, *self._define(defined)]
            elif access := _ACCESS.match(line):
                plain = _ALIGN.sub("align 1", line)
                body += [*self._check(access), f"{plain}, !noalias !{self._node + 1}"]
            elif _OTHER_MEMORY.search(line) or _CALL.search(line):
                raise NotSimple
            elif _RETURN.match(line):
                body += [*self._report(), line]
            else:
                body.append(line)
        if not self._limits or self._read & self._items.keys():
            raise NotSimple
        return [*self._entry(), *body]

    def _unfolded(self, lines: list[str]) -> Iterator[str]:
        for line in lines:
            if copy := _COPY.match(line):
                indent, there, to, here, source = copy.groups()
                value = self._new()
                yield f"{indent}{value} = load <4 x i32>, ptr {source}, {_aligned(here)}"
                yield f"{indent}store <4 x i32> {value}, ptr {to}, {_aligned(there)}"
            else:
                yield line

    def scopes(self) -> Iterator[str]:
        """What tells the optimiser that the marks of an output lie in memory of their own."""
        domain, everything, first = self._node, self._node + 1, self._node + 2
        own = {array: first + 3 * array for array in self._arrays}
        yield f"!{domain} = distinct !{{!{domain}}}"
        yield f"!{everything} = !{{{', '.join(f'!{node}' for node in own.values())}}}"
        for array, node in own.items():
            others = ", ".join(f"!{other}" for key, other in own.items() if key != array)
            yield f"!{node} = distinct !{{!{node}, !{domain}}}"
            yield f"!{node + 1} = !{{!{node}}}"
            yield f"!{node + 2} = !{{{others}}}"

    def written(self) -> str:
        """A table: for each array the bytes of an element as it is written, 0 where it is not."""
        sizes = ", ".join(f"i32 {self._items.get(array, 0)}" for array in range(MOST_ARRAYS))
        return f"@mf_quick_items = constant [{MOST_ARRAYS} x i32] [{sizes}]\n"

    def _define(self, found: re.Match[str]) -> list[str]:
        name, element, base, indices = found.groups()
        if element is None or base.startswith("@"):  # the thread's own, or a constant of the unit
            self._roots[name] = ("", "")
        if element is None or base not in self._roots:
            return []
        root, offset = self._roots[base]
        if not root:
            self._roots[name] = ("", "")
            return []
        index = _INDEX.match(indices)
        size = _stride(element)
        if index is None or not size:
            start, end, total = self._new(), self._new(), self._new()
            self._roots[name] = (root, total)
            return [
                f"  {start} = ptrtoint ptr {root} to i64",
                f"  {end} = ptrtoint ptr {name} to i64",
                f"  {total} = sub i64 {end}, {start}",
            ]
        wide = index[2]
        lines = []
        if index[1] == "32":
            wide = self._new()
            lines.append(f"  {wide} = sext i32 {index[2]} to i64")
        scaled, total = self._new(), self._new()
        lines.append(f"  {scaled} = mul i64 {wide}, {size}")
        lines.append(f"  {total} = add i64 {scaled}, {offset}")
        self._roots[name] = (root, total)
        return lines

    def _check(self, found: re.Match[str]) -> Iterator[str]:
        load, _, kind, pointer, align = found.groups()
        if pointer not in self._roots:
            raise NotSimple
        root, offset = self._roots[pointer]
        if not root:
            return
        array, size = self._buffers[root], _bytes(kind)
        if not size:
            raise NotSimple
        if load:
            self._read.add(array)
        self._limits.add((array, size))
        beyond = self._new()
        yield f"  {beyond} = icmp ugt i64 {offset}, %mf.limit.{array}.{size}"
        yield from self._doubt("i1", beyond)
        unit = int(align) if load else max(size, int(align))
        if unit > 1:
            rest, odd = self._new(), self._new()
            yield f"  {rest} = and i64 {offset}, {unit - 1}"
            yield f"  {odd} = icmp ne i64 {rest}, 0"
            yield from self._doubt("i1", odd)
        if not load:
            yield from self._mark(array, size, offset)

    def _mark(self, array: int, size: int, offset: str) -> Iterator[str]:
        if size & (size - 1) or self._items.setdefault(array, size) != size:
            raise NotSimple
        item, at, before = self._new(), self._new(), self._new()
        yield f"  {item} = ashr i64 {offset}, {size.bit_length() - 1}"
        yield f"  {at} = getelementptr i8, ptr %mf.seen.{array}, i64 {item}"
        node = self._node + 2 + 3 * array
        alone = f"!alias.scope !{node + 1}, !noalias !{node + 2}"
        yield f"  {before} = load i8, ptr {at}, align 1, {alone}"
        yield from self._doubt("i8", before)
        yield f"  store i8 1, ptr {at}, align 1, {alone}"

    def _doubt(self, kind: str, value: str) -> Iterator[str]:
        wide, old, new = self._new(), self._new(), self._new()
        yield f"  {wide} = zext {kind} {value} to i32"
        yield f"  {old} = load i32, ptr %mf.doubts, align 4"
        yield f"  {new} = or i32 {old}, {wide}"
        yield f"  store i32 {new}, ptr %mf.doubts, align 4"

    def _entry(self) -> Iterator[str]:
        yield "  %mf.doubts = alloca i32, align 4"
        yield "  store i32 0, ptr %mf.doubts, align 4"
        arrays = sorted({array for array, _ in self._limits})
        for array in arrays:
            place = f"getelementptr ([{MOST_ARRAYS} x {{ i64, ptr }}], ptr @mf_quick, i64 0, i64"
            yield f"  %mf.size.{array} = load i64, ptr {place} {array}, i32 0), align 8"
            if array in self._items:
                yield f"  %mf.seen.{array} = load ptr, ptr {place} {array}, i32 1), align 8"
        for array, size in sorted(self._limits):
            small = self._new()
            yield f"  {small} = icmp ult i64 %mf.size.{array}, {size}"
            yield from self._doubt("i1", small)
            yield f"  %mf.limit.{array}.{size} = sub i64 %mf.size.{array}, {size}"

    def _report(self) -> Iterator[str]:
        here, before, both = self._new(), self._new(), self._new()
        yield f"  {here} = load i32, ptr %mf.doubts, align 4"
        yield f"  {before} = load i32, ptr @mf_doubts, align 4"
        yield f"  {both} = or i32 {here}, {before}"
        yield f"  store i32 {both}, ptr @mf_doubts, align 4"

    def _new(self) -> str:
        self._serial += 1
        return f"%mf.{self._serial}"


def _passed(lines: list[str]) -> list[int | None]:
    """Which buffer each argument of the loop is, as its entry passes them; None: something else.

    The optimiser leaves out those that the kernel does not use.
    """
    at = next((n for n, line in enumerate(lines) if _ENTRY.match(line)), None)
    if at is None:
        raise NotSimple
    entry = lines[at + 1 : lines.index("}", at)]
    launch = _parameter(_split(_ENTRY.fullmatch(lines[at])[1])[0])[1]  # type: ignore[index]
    places: dict[str, int] = {}
    buffers: dict[str, int] = {}
    for line in entry:
        if found := _PLACE.match(line):
            if found[2] in places:
                places[found[1]] = places[found[2]] + int(found[3])
        elif found := _POINTER.match(line):
            if found[2] == launch:
                places[found[1]] = 0
            elif found[2] in places:
                buffers[found[1]] = places[found[2]] // _POINTER_BYTES
        elif found := _LAUNCH.match(line):
            return [buffers.get(value.split()[-1]) for value in _split(found[1])]
    raise NotSimple


def _split(parameters: str) -> list[str]:
    depth, start, found = 0, 0, []
    for at, sign in enumerate(parameters):
        depth += (sign in "([<{") - (sign in ")]>}")
        if sign == "," and not depth:
            found.append(parameters[start:at].strip())
            start = at + 1
    return [*found, parameters[start:].strip()]


def _parameter(text: str) -> tuple[str, str]:
    found = _PARAMETER.match(text)
    if found is None:
        raise NotSimple
    return found[1], found[2]


def _aligned(attributes: str) -> str:
    found = _ALIGN.search(attributes)
    return found[0] if found else "align 1"


def _stride(type_name: str) -> int:
    """From one element to the next: a vector takes a power of two."""
    size = _bytes(type_name)
    return 1 << (size - 1).bit_length() if size and type_name.startswith("<") else size


def _bytes(type_name: str) -> int:
    """Of a type; 0 where it is not known here."""
    return bytes_of(type_name) if _KNOWN.fullmatch(type_name) else 0
