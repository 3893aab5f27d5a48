"""Short vectors taken apart, so that a loop over threads becomes one of long ones.

clang makes a loop over threads of scalars into one of vectors as wide as the machine has them, but
leaves `float4` what it is: a quarter of such a vector. `apart` makes scalars of the vectors of a
loop without branches, and the optimiser then treats both alike. Every lane keeps its operations, in
their order and with their flags.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from foundry.msl.build.llvm_text import LABEL, VECTOR, bytes_of, functions

FLAGS = (
    "-emit-llvm", "-fno-vectorize", "-fno-slp-vectorize", "-mllvm", "-unroll-runtime=false",
    "-mllvm", "-unroll-allow-partial=false",
)  # fmt: skip
"""For text in which the compiler has made no vectors and no copies of the loop over threads."""
_OF_LOOPS = "mf::for_flat("
_NAMED = re.compile(r"\b(?:packed_)?(?:float|half|bfloat)[234]\b|\bvec\s*<")
_VALUE = r"(%[\w.]+|zeroinitializer|poison|undef|splat \([^)]*\)|<[^>]*>)"
_HAS_VECTOR = re.compile(r"<\d+ x ")
_IN_LOOP = re.compile(r" = (?:\w+ )*f(?:add|sub|mul|div) [^<%]*<\d+ x |@llvm\.(?:fma|fmuladd)\.v\d")
_BACK = re.compile(r"\s+br i1 .*label %([\w.$-]+), label %([\w.$-]+)")
_BINARY = re.compile(
    rf"(\s+)(%\S+) = ((?:[fsu]?(?:add|sub|mul|div|rem)|shl|[al]shr|and|or|xor)\b[^<]*){VECTOR}"
    rf" {_VALUE}, {_VALUE}(.*)$"
)
_UNARY = re.compile(rf"(\s+)(%\S+) = ((?:fneg|freeze)\b[^<]*){VECTOR} {_VALUE}(.*)$")
_COMPARE = re.compile(rf"(\s+)(%\S+) = ([if]cmp [^<]*){VECTOR} {_VALUE}, {_VALUE}(.*)$")
_SELECT = re.compile(
    rf"(\s+)(%\S+) = (select [^<]*?)(?:<\d+ x i1>|i1) {_VALUE}, {VECTOR} {_VALUE}, {VECTOR}"
    rf" {_VALUE}(.*)$"
)
_SELECTS_BY_ONE = re.compile(r"\s+%\S+ = select (?:[a-z]+ )*i1 ")
_CAST = re.compile(
    rf"(\s+)(%\S+) = ((?:bitcast|[sz]ext|trunc|fpext|fptrunc|[su]itofp|fpto[su]i)\b[^<]*){VECTOR}"
    rf" {_VALUE} to {VECTOR}(.*)$"
)
_LOAD = re.compile(rf"(\s+)(%\S+) = load {VECTOR}, ptr (\S+), align (\d+)(.*)$")
_STORE = re.compile(rf"(\s+)store {VECTOR} {_VALUE}, ptr (\S+), align (\d+)(.*)$")
_INSERT = re.compile(
    rf"(\s+)(%\S+) = insertelement {VECTOR} {_VALUE}, \w+ ([^,]+), i\d+ (\d+)(.*)$"
)
_EXTRACT = re.compile(rf"(\s+)(%\S+) = extractelement {VECTOR} {_VALUE}, i\d+ (\d+)(.*)$")
_SHUFFLE = re.compile(
    rf"(\s+)(%\S+) = shufflevector {VECTOR} {_VALUE}, {VECTOR} {_VALUE}, <(\d+) x i32>"
    rf" {_VALUE}(.*)$"
)
_CALL = re.compile(
    r"(\s+)(%\S+) = ((?:tail )?call [^<@]*)"
    rf"{VECTOR} @(llvm\.(?:{{}})[.\w]*)\((.*)\)(.*)$".format(
        r"fma|fmuladd|sqrt|fabs|floor|ceil|trunc|rint|roundeven|nearbyint|copysign|minnum|maxnum"
        r"|minimum|maximum|[su]max|[su]min|abs|fsh[lr]|fpto[su]i\.sat|is\.fpclass"
    )
)
_ARGUMENT = re.compile(rf"{VECTOR} (?:noundef )?{_VALUE}|(i1|i32) (true|false|\d+)")
_MEMORY = re.compile(r"\s+%\S+ = (?:getelementptr|alloca) ")

Found = re.Match[str]


class KeptVector(Exception):
    """A vector that is not taken apart."""


def are_in(unit: str) -> bool:
    """Whether a unit is a loop over threads that has vectors of real numbers."""
    return _OF_LOOPS in unit and bool(_NAMED.search(unit))


def apart(text: str) -> str | None:
    """The text with the vectors of its loop as scalars; None where that is not worth it.

    Args:
        text: LLVM text of a kernel's loop over threads, optimised but without vectors of the
            compiler's own.
    """
    lines = text.split("\n")
    found = [own for own in functions(lines) if _is_one_block(lines[own.start : own.stop])]
    if len(found) != 1:
        return None
    (own,) = found
    try:
        made = [piece for number in own for piece in lanes_of(lines[number], number)]
    except KeptVector:
        return None
    return "\n".join([*lines[: own.start], *made, *lines[own.stop :]])


def _is_one_block(lines: Sequence[str]) -> bool:
    """Whether all a function's arithmetic on vectors stands in a block that goes back to itself."""
    label, has_vectors, loops = "", False, 0
    for line in lines:
        if found := LABEL.match(line):
            label, has_vectors = found[1], False
        elif _IN_LOOP.search(line):
            has_vectors = True
        elif line.startswith(("  br ", "  ret ", "  switch ")) and has_vectors:
            back = _BACK.match(line)
            if back is None or label not in back.groups():
                return False
            loops += 1
    return loops == 1


def lanes_of(line: str, number: int) -> Iterator[str]:
    """The scalar instructions that do what a line does, which itself comes back if it has none.

    Args:
        line: Of a function: an instruction, a label or its name and parameters.
        number: Of the line.

    Raises:
        KeptVector: for one that is not taken apart.
    """
    if not _HAS_VECTOR.search(line) or _MEMORY.match(line):
        yield line
        return
    if store := _STORE.match(line):
        yield from _store(store, number)
        return
    for pattern, taken in _KINDS:
        if found := pattern.match(line):
            yield from taken(found)
            return
    raise KeptVector


def _lane(value: str, lane: int, type_name: str) -> str:
    """One component of an operand."""
    if value.startswith("%"):
        return f"%mf.{value[1:]}.{lane}"
    if value == "zeroinitializer":
        return "0.0" if type_name in {"float", "half", "bfloat", "double"} else "0"
    if value.startswith("splat"):
        return value.removeprefix("splat (").removesuffix(")").split(" ", 1)[1]
    if value.startswith("<"):
        return value[1:-1].split(",")[lane].strip().split(" ", 1)[1]
    return value


def _named(register: str, lane: int) -> str:
    return f"%mf.{register[1:]}.{lane}"


def _binary(found: Found) -> Iterator[str]:
    indent, to, what, count, kind, a, b, rest = found.groups()
    for n in range(int(count)):
        one, other = _lane(a, n, kind), _lane(b, n, kind)
        yield f"{indent}{_named(to, n)} = {what}{kind} {one}, {other}{rest}"


def _unary(found: Found) -> Iterator[str]:
    indent, to, what, count, kind, a, rest = found.groups()
    for n in range(int(count)):
        yield f"{indent}{_named(to, n)} = {what}{kind} {_lane(a, n, kind)}{rest}"


def _select(found: Found) -> Iterator[str]:
    indent, to, what, by, count, kind, a, _, _, b, rest = found.groups()
    whole = _SELECTS_BY_ONE.match(found[0])
    for n in range(int(count)):
        condition = by if whole else _lane(by, n, "i1")
        one, other = _lane(a, n, kind), _lane(b, n, kind)
        yield f"{indent}{_named(to, n)} = {what}i1 {condition}, {kind} {one}, {kind} {other}{rest}"


def _cast(found: Found) -> Iterator[str]:
    indent, to, what, count, kind, a, after, made, rest = found.groups()
    if count != after:
        raise KeptVector
    for n in range(int(count)):
        yield f"{indent}{_named(to, n)} = {what}{kind} {_lane(a, n, kind)} to {made}{rest}"


def _load(found: Found) -> Iterator[str]:
    indent, to, count, kind, pointer, align, rest = found.groups()
    size = _size(kind)
    for n in range(int(count)):
        place = f"%mf.at.{to[1:]}.{n}"
        yield f"{indent}{place} = getelementptr inbounds i8, ptr {pointer}, i64 {n * size}"
        least = min(int(align), size)
        yield f"{indent}{_named(to, n)} = load {kind}, ptr {place}, align {least}{rest}"


def _store(found: Found, number: int) -> Iterator[str]:
    indent, count, kind, value, pointer, align, rest = found.groups()
    size, least = _size(kind), min(int(align), _size(kind))
    for n in range(int(count)):
        place = f"%mf.to.{number}.{n}"
        yield f"{indent}{place} = getelementptr inbounds i8, ptr {pointer}, i64 {n * size}"
        yield f"{indent}store {kind} {_lane(value, n, kind)}, ptr {place}, align {least}{rest}"


def _size(kind: str) -> int:
    if kind in {"i1", "ptr"}:
        raise KeptVector
    return bytes_of(kind)


def _insert(found: Found) -> Iterator[str]:
    indent, to, count, kind, a, value, at, rest = found.groups()
    for n in range(int(count)):
        taken = value if n == int(at) else _lane(a, n, kind)
        yield f"{indent}{_named(to, n)} = bitcast {kind} {taken} to {kind}{rest}"


def _extract(found: Found) -> Iterator[str]:
    indent, to, _, kind, a, at, rest = found.groups()
    yield f"{indent}{to} = bitcast {kind} {_lane(a, int(at), kind)} to {kind}{rest}"


def _shuffle(found: Found) -> Iterator[str]:
    indent, to, count, kind, a, _, _, b, made, mask, rest = found.groups()
    for n in range(int(made)):
        at = _lane(mask, n, "i32")
        if at in {"poison", "undef"}:
            taken = "poison"
        else:
            from_first = int(at) < int(count)
            taken = _lane(a if from_first else b, int(at) % int(count), kind)
        yield f"{indent}{_named(to, n)} = bitcast {kind} {taken} to {kind}{rest}"


def _call(found: Found) -> Iterator[str]:
    indent, to, what, count, kind, name, given, rest = found.groups()
    arguments = list(_ARGUMENT.finditer(given))
    if _ARGUMENT.sub("", given).strip(", "):
        raise KeptVector
    scalar = re.sub(r"\.v\d+(?=[a-z])", ".", name)
    for n in range(int(count)):
        taken = ", ".join(
            f"{a[4]} {a[5]}" if a[4] else f"{a[2]} {_lane(a[3], n, a[2])}" for a in arguments
        )
        yield f"{indent}{_named(to, n)} = {what}{kind} @{scalar}({taken}){rest}"


_KINDS: tuple[tuple[re.Pattern[str], Callable[[Found], Iterator[str]]], ...] = (
    (_BINARY, _binary),
    (_UNARY, _unary),
    (_COMPARE, _binary),
    (_SELECT, _select),
    (_CAST, _cast),
    (_LOAD, _load),
    (_INSERT, _insert),
    (_EXTRACT, _extract),
    (_SHUFFLE, _shuffle),
    (_CALL, _call),
)
