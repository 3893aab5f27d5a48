"""The declarations of a file at program scope and in namespaces, as runs of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from foundry.msl.frontend.code import Code

_TYPE_KEYS = frozenset({"struct", "class", "union", "enum"})


@dataclass(frozen=True)
class Declaration:
    """A declaration: its first and last token, and where its body opens, if it has one."""

    code: Code
    first: int
    last: int
    body: int | None
    scope: tuple[str, ...]
    """The namespaces that it is in."""

    @property
    def line(self) -> int:
        """Of its first token."""
        return self.code.line(self.first)

    @property
    def head_end(self) -> int:
        """The token after its head."""
        return self.last if self.body is None else self.body

    @property
    def head(self) -> list[str]:
        """The texts of its head."""
        return self.code.text[self.first : self.head_end]

    @cached_property
    def words(self) -> frozenset[str]:
        """All names in it."""
        return frozenset(
            self.code.text[n] for n in range(self.first, self.last + 1) if self.code.is_name(n)
        )

    @cached_property
    def start(self) -> int:
        """The token after the parameters of its template, if it is one."""
        at = self.first
        while self.code.text[at] == "template" and self.code.text[at + 1] == "<":
            end = self.code.angle_end(at + 1)
            if end is None:
                break
            at = end + 1
            if self.code.text[at] == "requires":
                break
        return at

    @property
    def is_function(self) -> bool:
        """Whether it has parameters and a body."""
        return self.body is not None and self.parentheses is not None

    @cached_property
    def parentheses(self) -> int | None:
        """Where its parameters open."""
        at = self.start
        while at < self.head_end:
            text = self.code.text[at]
            if text == "operator":
                return self._after_operator(at)
            if text == "(" and self._is_attribute_word(at - 1):
                at = self.code.partner.get(at, at)
            elif text == "(":
                return at
            elif text == "[":
                at = self.code.partner.get(at, at)
            elif text == "<" and at > self.start and self.code.is_name(at - 1):
                at = self.code.angle_end(at) or at
            elif text == "=" or text in _TYPE_KEYS or text == "using":
                return None
            at += 1
        return None

    def _after_operator(self, at: int) -> int | None:
        """Where the parameters of an operator open; `operator()` has a pair of its own before."""
        text = self.code.text
        at += 3 if text[at + 1 : at + 3] == ["(", ")"] else 1
        return next((n for n in range(at, self.head_end) if text[n] == "("), None)

    def _is_attribute_word(self, at: int) -> bool:
        return self.code.text[at] in {"__attribute__", "alignas", "decltype"}

    @cached_property
    def name(self) -> str:
        """What a function or type is called; empty where it has no plain name."""
        if self.parentheses is not None:
            at = self.parentheses - 1
            if self.code.text[at] == ">":
                at = self._angle_start(at) - 1
            if "operator" in self.code.text[self.start : self.parentheses]:
                return ""
            return self.code.text[at] if self.code.is_name(at) else ""
        for n in range(self.start, self.head_end):
            if self.code.text[n] in _TYPE_KEYS or self.code.text[n] == "using":
                names = [m for m in range(n + 1, self.head_end + 1) if self.code.is_name(m)]
                return self.code.text[names[0]] if names else ""
        return self._variable()

    def _variable(self) -> str:
        at = self.first
        latest = ""
        while at < self.head_end and self.code.text[at] not in {"=", "[", "{"}:
            if self.code.is_name(at):
                latest = self.code.text[at]
            at += 1
        return latest

    def _angle_start(self, at: int) -> int:
        depth = 0
        for n in range(at, self.first - 1, -1):
            depth += (self.code.text[n] == ">") - (self.code.text[n] == "<")
            if depth == 0:
                return n
        return at


def declarations(code: Code) -> Iterator[Declaration]:
    """All declarations, in order; namespaces themselves are left out."""
    yield from _scope(code, 0, len(code.text), ())


def _scope(code: Code, start: int, end: int, scope: tuple[str, ...]) -> Iterator[Declaration]:
    first = at = start
    body: int | None = None
    while at < end:
        text = code.text[at]
        if text == ";":
            if at > first:
                yield Declaration(code, first, at, body, scope)
            first, body = at + 1, None
        elif text == "{" and at in code.partner:
            close = code.partner[at]
            head = code.text[first:at]
            if "namespace" in head or (head[:1] == ["extern"] and at == first + 2):
                names = [t for t in head if t not in {"inline", "namespace", "extern", "::", '"C"'}]
                yield from _scope(code, at + 1, close, (*scope, *names))
                first = close + 1
            else:
                body = at if body is None else body
                one = Declaration(code, first, close, at, scope)
                if one.is_function:
                    yield one
                    first, body = close + 1, None
            at = close
        elif text in "([" and at in code.partner:
            at = code.partner[at]
        at += 1
