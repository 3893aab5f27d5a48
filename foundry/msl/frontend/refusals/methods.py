"""In which address spaces the objects of member functions may lie.

A member function that says nothing works on an object in `thread`, `float g() const device` on one
in `device`. clang has no such functions in C++, so they lose the words, and the text to judge ends
with a comment for each: `// method n::A g header:3 device thread`. Functions that no `thread`
object has are made unavailable, by a macro that only the pass for `thread` gives a meaning, and
lose their bodies: there `this` and all members lie in `thread` to clang.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.refusals import functions
from foundry.msl.frontend.tokens import NAME, SPACE, Token

SPACES = {"device", "thread", "threadgroup", "constant"}
_QUALIFIERS = SPACES | {"const", "volatile", "noexcept"}
_AFTER_HEAD = {"{", ":", ";", "->", "=", "override", "final"}
_CLASSES = {"struct", "class", "union"}
_ACCESS = {"public", "private", "protected"}
_LINE = re.compile(r"(?m)^// method (\S+) (\S+) (\w+:\d+) ([a-z ]+)$")
NOT_THREAD = "MF_NOT_THREAD"


@dataclass(frozen=True)
class Method:
    """A member function, as a class declares or inherits it."""

    owner: str
    """The class, with namespaces and classes around it: `n::A`."""
    name: str
    place: str
    """Part and line of the declaration: `header:3`."""
    spaces: frozenset[str]
    """Where its object may lie."""


@dataclass(frozen=True)
class _Scope:
    """What stands in braces; a function and an initialiser have neither path nor class."""

    path: str = ""
    is_class: bool = False
    bases: tuple[str, ...] = ()

    def inside(self, name: str) -> str:
        return f"{self.path}::{name}" if self.path else name


@dataclass(frozen=True)
class _Declared:
    """A declaration of a member function, by indices of tokens."""

    owner: str
    name: str
    first: int
    at: int
    """Where its parameters open."""
    words: tuple[int, int]
    """What follows its parameters."""
    spaces: frozenset[str]
    is_outside: bool = False
    """Whether it is defined outside of its class, `float A::g() const device {`."""

    @property
    def is_constructor(self) -> bool:
        return self.name == self.owner.split("::")[-1]


def stated(tokens: Sequence[Token], part: str) -> list[Method]:
    """Every function that an object of a class has, and the spaces that its declarations name."""
    code = Code(tokens)
    own: dict[str, list[Method]] = {}
    inherited: dict[str, list[Method]] = {}
    places: dict[tuple[str, ...], str] = {}  # of the first of members that are one without spaces
    for found in _walk(code):
        if isinstance(found, _Scope):
            bases = [_resolved(base, found.path, own) for base in found.bases]
            of_bases = (m for b in bases for m in [*own.get(b, []), *inherited.get(b, [])])
            inherited[found.path] = [replace(m, owner=found.path) for m in of_bases]
            own.setdefault(found.path, [])
        elif not found.is_constructor and not found.is_outside:
            place = places.setdefault(_call(code, found), f"{part}:{code.line(found.at)}")
            spaces = found.spaces or frozenset({"thread"})
            own[found.owner].append(Method(found.owner, found.name, place, spaces))
    hidden = {(m.owner, m.name) for methods in own.values() for m in methods}
    kept = (m for methods in inherited.values() for m in methods if (m.owner, m.name) not in hidden)
    return [*(m for methods in own.values() for m in methods), *kept]


def _resolved(base: str, derived: str, known: Collection[str]) -> str:
    """The class that a name means among the bases of another."""
    around = derived.split("::")[:-1]
    names = ("::".join([*around[:n], base]) for n in range(len(around), -1, -1))
    return next((name for name in names if name in known), base)


def without_spaces(tokens: Sequence[Token]) -> list[Token]:
    """As many tokens, without the spaces of member functions."""
    code = Code(tokens)
    declared = [found for found in _walk(code) if isinstance(found, _Declared)]
    of_thread = {(m.owner, m.name) for m in stated(tokens, "") if "thread" in m.spaces}
    twins = {_call(code, found) for found in declared if _is_of_thread(found)}
    changed: dict[int, str] = {}
    for found in declared:
        start, end = found.words
        for n in range(start, end):
            if code.text[n] in SPACES:
                changed[code.at[n]] = _in_its_place(code, n, found)
        if not _is_of_thread(found) and (found.is_outside or _call(code, found) in twins):
            changed |= dict.fromkeys((code.at[n] for n in _whole(code, found)), " ")
            continue
        is_of_thread = _is_of_thread(found) or (found.owner, found.name) in of_thread
        if found.spaces and not is_of_thread:
            marked = code.at[_marked(code, found)]
            changed[marked] = f"{changed.get(marked, tokens[marked].text)} {NOT_THREAD}"
        if not _is_of_thread(found):
            for n in (lost := _body(code, found)):
                changed[code.at[n]] = ";" if n == lost.start else " "
    return [_spelt(t, changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _is_of_thread(found: _Declared) -> bool:
    """Whether an object in `thread` has it; constructors are of every space here."""
    is_constructor = found.is_constructor and not found.is_outside
    return is_constructor or not found.spaces or "thread" in found.spaces


def _call(code: Code, found: _Declared) -> tuple[str, ...]:
    """What two functions of a class share that differ by the space of their object alone."""
    head = code.text[found.first : found.at]
    which = [str(found.at)] if "template" in head or found.is_outside else []
    stated = code.text[slice(*found.words)]
    words = [word for word in stated if word not in SPACES]
    words += ["const"] if "constant" in stated and "const" not in stated else []
    parameters = code.text[found.at : found.words[0]]
    return (found.owner, found.name, *which, *parameters, *words)


def _marked(code: Code, found: _Declared) -> int:
    """The token that an attribute of a function may follow: clang forgets one in front of `->`."""
    end = found.words[1]
    is_behind = code.text[end] == "->" and "auto" in code.text[found.first : found.at]
    return code.text.index("auto", found.first) if is_behind else end - 1


def _whole(code: Code, found: _Declared) -> range:
    """The tokens of a function, of its result and its body too."""
    first, start = found.first, functions.body(code, found.at)
    first += 2 * (code.text[first] in _ACCESS)
    if start is not None:
        return range(first, code.partner[start] + 1)
    rest = range(found.words[1], len(code.text))
    return range(first, next((n + 1 for n in rest if code.text[n] == ";"), rest.stop))


def _body(code: Code, found: _Declared) -> range:
    """The tokens of a function's body; none where its type or value is made of them."""
    start = functions.body(code, found.at)
    head = set(code.text[found.first : found.at])
    is_deduced = "auto" in head and code.text[found.words[1]] != "->"
    if start is None or is_deduced or "constexpr" in head:
        return range(0)
    return range(start, code.partner[start] + 1)


def _in_its_place(code: Code, at: int, found: _Declared) -> str:
    """What stands for a space: nothing, or the `const` that goes with `constant`."""
    is_constant = code.text[at] == "constant" and "const" not in code.text[slice(*found.words)]
    return "const" if is_constant and not found.is_constructor else " "


def _spelt(token: Token, text: str) -> Token:
    return token._replace(kind=token.kind if text.strip() else SPACE, text=text)


def comments(told: Sequence[Method]) -> str:
    """The lines that a text ends with."""
    return "".join(
        f"// method {m.owner} {m.name} {m.place} {' '.join(sorted(m.spaces))}\n" for m in told
    )


def read(text: str) -> list[Method]:
    """What `comments` wrote at the end of a text."""
    lines = _LINE.findall(text)
    return [Method(a, name, place, frozenset(spaces.split())) for a, name, place, spaces in lines]


def _walk(code: Code) -> Iterator[_Scope | _Declared]:
    """Each class where it opens, and the functions that its braces declare."""
    scopes = [_Scope()]
    first = at = 0
    while at < len(code.text):
        text = code.text[at]
        if text == "{":
            scopes.append(_scope(code, first, at, scopes[-1]))
            if scopes[-1].is_class:
                yield scopes[-1]
        elif text == "}":
            scopes = scopes[:-1] or [_Scope()]
        elif text in "([" and at in code.partner:
            end = code.partner[at]
            if scopes[-1].is_class and (words := _words_after(code, end)) is not None:
                is_named = text == "(" and code.text[at - 1] != "operator"
                name = _name(code, first, at) if is_named else ""
                owner = scopes[-1].path
                spaces = frozenset(SPACES & set(code.text[slice(*words)]))
                yield _Declared(owner, name or owner.split("::")[-1], first, at, words, spaces)
            elif text == "(" and (outside := _outside(code, first, at, scopes[-1])):
                yield outside
            at = end
        if text in "{};":
            first = at + 1
        at += 1


def _outside(code: Code, first: int, at: int, scope: _Scope) -> _Declared | None:
    """A member function in a space that is defined outside of its class."""
    words = _words_after(code, code.partner[at])
    if words is None:  # before the head is looked through: a statement may hold many brackets
        return None
    head = code.text[first:at]
    named = first + _operator(head) if "operator" in head else at - 1
    if code.text[named - 1] != "::" or functions.body(code, at) is None:
        return None
    spaces = frozenset(SPACES & set(code.text[slice(*words)]))
    owner = scope.inside(functions.owner(code, named - 1))
    name = "".join(code.text[named:at])
    return _Declared(owner, name, first, at, words, spaces, True) if spaces else None


def _scope(code: Code, first: int, at: int, outer: _Scope) -> _Scope:
    """What the braces at `at` hold, whose head begins at `first`."""
    head = code.text[first:at]
    if "namespace" in head:
        names = [word for word in head[head.index("namespace") + 1 :] if word.isidentifier()]
        return _Scope("::".join(filter(None, [outer.path, *names])))
    if head[:1] == ["extern"] and at == first + 2:
        return outer
    named = _class_name(code, first, at)
    if named is None:
        return _Scope()
    return _Scope(outer.inside(code.text[named]), True, tuple(_bases(code, named + 1, at)))


def _class_name(code: Code, first: int, at: int) -> int | None:
    """The name of the class whose braces open, and None for other braces."""
    depth = 0
    for n in range(first, at):
        text = code.text[n]
        depth += (text == "<") - (text == ">")
        if text == "(":
            return None
        if depth == 0 and text in _CLASSES:
            named = _past_attributes(code, n + 1)
            return named if code.kind[named] == NAME else None
    return None


def _bases(code: Code, first: int, at: int) -> Iterator[str]:
    """The classes that a head names after its colon."""
    while first < at and code.text[first] != ":":
        first += 1
    depth, name = 0, ""
    for text in [*code.text[first + 1 : at], ","]:
        depth += (text == "<") - (text == ">")
        if depth == 0 and text == "," and name:
            yield name
            name = ""
        elif depth == 0 and text not in {*_ACCESS, ",", ">", "virtual"}:
            name += text


def _past_attributes(code: Code, at: int) -> int:
    """The token after `alignas(16)`, `__attribute__((packed))`, `[[...]]`."""
    while code.text[at] in {"alignas", "__attribute__", "["}:
        opening = at if code.text[at] == "[" else at + 1
        at = code.partner.get(opening, opening) + 1
    return at


def _name(code: Code, first: int, at: int) -> str:
    """What is declared: `g`, `operator+=`; empty for what is called on no object."""
    while code.text[first] == "template" and (end := code.angle_end(first + 1)) is not None:
        first = end + 1
    head = code.text[first:at]
    if {"static", "friend", "=", "using", "typedef"} & set(head[: _operator(head)]) or "~" in head:
        return ""
    if "operator" in head:
        return "operator" + "".join(head[_operator(head) + 1 :])
    return code.text[at - 1] if code.kind[at - 1] == NAME else ""


def _operator(head: Sequence[str]) -> int:
    return head.index("operator") if "operator" in head else len(head)


def _words_after(code: Code, end: int) -> tuple[int, int] | None:
    after = end + 1
    while after < len(code.text) and code.text[after] in _QUALIFIERS:
        after += 1
    following = code.text[after] if after < len(code.text) else ""
    return (end + 1, after) if following in _AFTER_HEAD else None
