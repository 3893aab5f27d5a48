"""When two kernels are the same for a reader: normal form without names, comments and space.

Used to find duplicates. It errs on one side only: names that may mean something outside the kernel
(types, functions of Metal, tensors of the op, members) stay, so two kernels of equal normal form
compute the same, while some that compute the same keep different forms.

1. A name is renamed when the text declares it (`float sum`, `for (uint i`, a helper, a constant, a
   temporary), from there to the end of its scope. A name that also follows a dot, or that a
   directive mentions, keeps its spelling.
2. Renamed names are numbered in order of declaration, with a sign no source can hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain

from foundry.errors import InvalidKernel
from foundry.kernel.model import Kernel, KernelLaunch
from foundry.kernel.reading import parse
from foundry.msl.frontend.tokens import (
    COMMENT,
    DIRECTIVE,
    NAME,
    SPACE,
    Token,
    join_lines,
    tokenize,
)

_WORD = re.compile(r"[^\W\d]\w*")
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_DERIVED = re.compile(r"(\w+)_(?:shape|strides|ndim)")

_QUALIFIES = (".", "->", "::")
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")
_AFTER_DECLARED = {"=", ";", ",", "(", ")", "[", "{", ":", ">"}
_NOT_A_TYPE = frozenset(
    _WORD.findall(
        "return else case goto throw new delete sizeof alignof operator do namespace not and or "
        "xor if while for switch default break continue public private protected co_return this"
    )
)
_SPECIFIERS = frozenset(
    _WORD.findall(
        "const constexpr constant device thread threadgroup volatile static inline extern mutable "
        "signed unsigned long short using typedef struct class union enum typename template"
    )
)
_TYPES = frozenset(
    _WORD.findall(
        "void bool char uchar short ushort int uint long ulong size_t ptrdiff_t float half bfloat "
        "bfloat16_t float16_t double auto T int8_t uint8_t int16_t uint16_t int32_t uint32_t "
        "int64_t uint64_t"
    )
)
_VECTOR = re.compile(
    r"(?:packed_)?(?:bool|u?char|u?short|u?int|u?long|float|half|bfloat)[234](?:x[234])?"
    r"|(?:atomic_\w+|simdgroup_\w+|atomic|vec|matrix|array)"
)
_FIXED = _NOT_A_TYPE | _SPECIFIERS | _TYPES


def normalise(text: str) -> str:
    """Normal form of a kernel file; a text that is no kernel loses its surplus space only.

    Kernels of equal normal form differ in local names, comments, space or the order and spelling
    of what the canonical file leaves open.
    """
    return " ".join(tokens(text))


@lru_cache(maxsize=1024)
def tokens(text: str) -> tuple[str, ...]:
    """The pieces of `normalise(text)`."""
    try:
        kernel = parse(text)
    except InvalidKernel:
        return tuple(text.split())
    return tuple(kernel_tokens(kernel))


def kernel_tokens(kernel: Kernel) -> Iterator[str]:
    """The pieces of the normal form of a parsed kernel."""
    header = _code(kernel.header)
    bodies = [_code(launch.body) for launch in kernel.launches]
    names = _Scopes(_kept([*header, *chain.from_iterable(bodies)]))
    spelt_header = list(_spell(header, names))
    for temporary in kernel.temporaries:
        names.declare(temporary.name)
    yield from ("op", kernel.op)
    for temporary in kernel.temporaries:
        yield from ("temporary", names.spelling(temporary.name), temporary.dtype)
        yield from _expressions(temporary.shape, names)
    yield from ("header", *spelt_header)
    for launch, body in zip(kernel.launches, bodies, strict=True):
        names.open("launch")
        for name, _ in launch.constants:
            names.declare(name)
        yield from _launch(launch, names)
        yield from ("body", *_spell(body, names))
        names.close_through("launch")


def _launch(launch: KernelLaunch, names: _Scopes) -> Iterator[str]:
    for key in ("grid", "threadgroup"):
        yield from (key, *_expressions(getattr(launch, key), names))
    for name, value in launch.constants:
        yield from ("constant", names.spelling(name), *_expressions([value], names))
    for key in ("inputs", "outputs"):
        for name in getattr(launch, key) or ():
            yield from (key, names.spelling(name))
    yield from (launch.math_mode, str(launch.init_value), str(launch.atomic_outputs))


def _expressions(values: Iterable[object], names: _Scopes) -> Iterator[str]:
    for value in values:
        spelt = str(value).lower() if isinstance(value, bool) else re.sub(r"\s+", "", str(value))
        yield _WORD.sub(lambda match: names.spelling(match[0]), spelt)


class _Scopes:
    """Which name means which declaration, from the outermost scope to the innermost."""

    def __init__(self, kept: set[str]) -> None:
        self._kept = kept
        self._stack: list[tuple[str, set[str]]] = [("file", set())]
        self._spellings: dict[str, list[str]] = {}
        """Of every name that is declared in an open scope, the innermost last."""
        self._count = 0

    @property
    def kind(self) -> str:
        """Kind of the innermost scope."""
        return self._stack[-1][0]

    def open(self, kind: str) -> None:
        self._stack.append((kind, set()))

    def become(self, kind: str) -> None:
        """Let the innermost scope live on as another kind."""
        self._stack[-1] = (kind, self._stack[-1][1])

    def close(self, *kinds: str) -> None:
        """Close innermost scopes as long as they are of these kinds."""
        while self.kind in kinds:
            self._close_down_to(len(self._stack) - 1)

    def close_through(self, kind: str) -> None:
        """Close everything up to and with the innermost scope of this kind, if there is one."""
        depth = len(self._stack) - 1
        while depth > 0 and self._stack[depth][0] != kind:
            depth -= 1
        if depth > 0:
            self._close_down_to(depth)

    def _close_down_to(self, depth: int) -> None:
        for _, names in self._stack[depth:]:
            for name in names:
                self._spellings[name].pop()
        del self._stack[depth:]

    def declare(self, name: str) -> None:
        if name in self._kept:
            return
        known, here = self._spellings.setdefault(name, []), self._stack[-1][1]
        if name in here:
            known.pop()
        here.add(name)
        known.append(f"@{self._count}")
        self._count += 1

    def spelling(self, name: str) -> str:
        known = self._spellings.get(name)
        return known[-1] if known else name


def _code(text: str) -> list[Token]:
    return [t for t in tokenize(join_lines(text)) if t.kind not in (SPACE, COMMENT)]


def _kept(code: Sequence[Token]) -> set[str]:
    """Names with a meaning outside: fixed, members, in directives, with a derived `x_shape`."""
    kept = set(_FIXED)
    previous = ""
    for token in code:
        if token.kind == DIRECTIVE:
            kept.update(_WORD.findall(token.text))
        elif token.kind == NAME:
            if previous in _QUALIFIES:
                kept.add(token.text)
            if derived := _DERIVED.fullmatch(token.text):
                kept.add(derived[1])
        previous = token.text
    return kept


def _spell(code: Sequence[Token], names: _Scopes) -> Iterator[str]:
    declaring = set(_declaring(code))
    heads: list[str] = []
    previous = ""
    for index, token in enumerate(code):
        if token.kind == DIRECTIVE:
            yield " ".join(_COMMENTS.sub(" ", token.text).split())
            continue
        if index in declaring:
            names.declare(token.text)
        local = token.kind == NAME and previous not in _QUALIFIES
        yield names.spelling(token.text) if local else token.text
        if token.text == "(":
            heads.append(previous)
            names.open("paren")
        elif token.text == ")":
            following = code[index + 1].text if index + 1 < len(code) else ""
            _end_paren(names, heads.pop() if heads else "", following)
        else:
            _enter_or_leave(token.text, names)
        previous = token.text


def _end_paren(names: _Scopes, head: str, following: str) -> None:
    """Parameters and loop variables live on in the block or statement that follows."""
    if names.kind != "paren":
        return
    if following == "{":
        names.become("head")
    elif head in ("for", "while", "if", "switch"):
        names.become("statement")
    else:
        names.close_through("paren")


def _enter_or_leave(text: str, names: _Scopes) -> None:
    if text == "{":
        names.open("block")
    elif text == "}":
        if names.kind == "block":
            names.close_through("block")
        names.close("head", "statement")
    elif text == ";":
        names.close("statement")


def _declaring(code: Sequence[Token]) -> Iterator[int]:
    """Where names are declared: after a type, or after a comma in the same declaration.

    `b` and `c` of `float a = f(x, y), b, c;` are listed until the declaration ends.
    """
    statement = 1
    listing = [0]
    """By depth of brackets the statement in which a comma may be followed by another name."""
    for index, token in enumerate(code):
        if token.text in _OPENING:
            listing.append(0)
        elif token.text in _CLOSING:
            listing.pop()
            listing = listing or [0]
        elif token.text in (";", ":", "<", ">"):
            statement += 1
        elif token.text == "," and listing[-1] == statement and _may_be_declared(code, index + 1):
            if code[index + 2].text in (")", "(", ":", ">"):
                listing[-1] = 0
            else:
                yield index + 1
        if _declares(code, index):
            yield index
            if code[index + 1].text != "(":
                listing[-1] = statement


def _declares(code: Sequence[Token], index: int) -> bool:
    if index == 0 or not _may_be_declared(code, index):
        return False
    before = index - 1
    while before > 0 and code[before].text in ("*", "&"):
        before -= 1
    type_name = code[before]
    if type_name.kind != NAME or type_name.text in _NOT_A_TYPE:
        return False
    # `a * b;` multiplies unless `a` is surely a type.
    return before == index - 1 or _surely_type(type_name.text)


def _may_be_declared(code: Sequence[Token], index: int) -> bool:
    if index + 1 >= len(code):
        return False
    token = code[index]
    declarable = token.kind == NAME and token.text not in _FIXED
    return declarable and code[index + 1].text in _AFTER_DECLARED


def _surely_type(name: str) -> bool:
    return name in _TYPES or _VECTOR.fullmatch(name) is not None
