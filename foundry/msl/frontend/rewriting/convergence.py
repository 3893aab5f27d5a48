"""Tells the runtime where each thread is, so that diverged lanes meet again as on a GPU.

A SIMD-group operation is shared by the lanes that reach it together. On a GPU that follows from
the structure of the program; fibres run on their own, so the front end numbers the program:

1. Functions and lambdas that hold a collective are found, also through the functions they call.
2. Every collective, and every call of such a function, is wrapped so that it states its place.
3. Every loop around one states its place when it starts and counts its turns.

The runtime compares these places in order (`prelude/target_cpu.h`, `Fibre::path`): the lanes at the
earliest go on first. Collectives inside macros stay unnumbered and are told apart by address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SIGN, SPACE, STRING, Token

COLLECTIVE = re.compile(
    r"(?:simd|quad)_(?:sum|product|min|max|and|or|xor|any|all|ballot|broadcast\w*|shuffle\w*"
    r"|prefix_\w+|active_threads_mask|is_first|is_helper_thread)"
    r"|(?:simdgroup|threadgroup)_barrier|schedule_row_tile"
    r"|simdgroup_(?:load|store|multiply|multiply_accumulate|async_copy)"
)
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_NOT_A_TYPE = {"return", "else", "do", "case", "and", "or", "not", "co_return", "throw", "goto"}
_CONTROL = {"if", "for", "while", "switch", "constexpr", "catch"}


@dataclass(frozen=True)
class Place:
    """A numbered collective or call: where it stands in the user's text."""

    number: int
    part: str
    line: int
    name: str


@dataclass
class Source:
    """A token list with what the numbering needs to know of it."""

    tokens: list[Token]
    part: str = ""
    before: dict[int, str] = field(default_factory=dict)
    after: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        skipped = {SPACE, COMMENT, DIRECTIVE}
        self.order = [i for i, token in enumerate(self.tokens) if token.kind not in skipped]
        self.text = [self.tokens[i].text for i in self.order]
        self.kind = [self.tokens[i].kind for i in self.order]
        self.partner = _partners(self.text, self.kind)
        self.opening = {close: opening for opening, close in self.partner.items()}

    def line(self, at: int) -> int:
        """Line of a significant token."""
        return self.tokens[self.order[at]].line

    def call_parenthesis(self, at: int) -> int | None:
        """The `(` that makes the name at `at` a call, past explicit template arguments."""
        at += 1
        if at < len(self.text) and self.text[at] == "<":
            end = self._close_angle(at)
            if end is None:
                return None
            at = end + 1
        return at if at < len(self.text) and self.text[at] == "(" and at in self.partner else None

    def _close_angle(self, at: int) -> int | None:
        depth = 0
        while at < len(self.text) and self.text[at] not in {";", "{", "}"}:
            depth += {"<": 1, ">": -1, ">>": -2}.get(self.text[at], 0)
            if depth <= 0:
                return at
            at = self.partner.get(at, at) + 1
        return None

    def rewritten(self) -> list[Token]:
        """The tokens with everything put in."""
        result: list[Token] = []
        for index, token in enumerate(self.tokens):
            if index in self.before:
                result.append(Token(SIGN, self.before[index], token.line))
            result.append(token)
            if index in self.after:
                result.append(Token(SIGN, self.after[index], token.line))
        return result

    def put_before(self, at: int, text: str) -> None:
        """Put text before a significant token, inside what was put there earlier."""
        index = self.order[at]
        self.before[index] = self.before.get(index, "") + text

    def put_between(self, at: int, text: str) -> None:
        """Put text after all that belongs to the token before `at`, ahead of any directive."""
        if at == 0:
            return self.put_before(0, text)
        index = self.order[at - 1]
        self.after[index] = self.after.get(index, "") + text
        return None

    def put_after(self, at: int, text: str) -> None:
        """Put text after a significant token, inside what was put there earlier."""
        index = self.order[at]
        self.after[index] = text + self.after.get(index, "")


@dataclass(frozen=True)
class Function:
    """A function or named lambda: where its name is, and its body from brace to brace."""

    name: str
    at: int
    body: tuple[int, int]


def number(parts: Mapping[str, list[Token]]) -> tuple[list[list[Token]], list[Place]]:
    """The parts of a kernel (header, then body) numbered, and the places in order."""
    sources = [Source(tokens, part) for part, tokens in parts.items()]
    functions = [functions_of(source) for source in sources]
    holders = _holders(sources, functions)
    places: list[Place] = []
    for source, own in zip(sources, functions, strict=True):
        _number_source(source, own, holders, places)
    return [source.rewritten() for source in sources], places


def holds_collective(text: str, holders: Iterable[str]) -> bool:
    """Whether a name is a collective or a function that holds one."""
    return text in holders or COLLECTIVE.fullmatch(text) is not None


def _partners(text: list[str], kind: list[str]) -> dict[int, int]:
    """Each opening bracket's closing one, by position."""
    open_at: list[int] = []
    partners = {}
    for at, sign in enumerate(text):
        if kind[at] == STRING:
            continue
        if sign in _PAIRS:
            open_at.append(at)
        elif open_at and sign == _PAIRS[text[open_at[-1]]]:
            partners[open_at.pop()] = at
    return partners


def functions_of(source: Source) -> list[Function]:
    """Functions and named lambdas defined in a text."""
    found = []
    for at, text in enumerate(source.text):
        if source.kind[at] != NAME or text in _CONTROL:
            continue
        body = _function_body(source, at) or _lambda_body(source, at)
        if body is not None:
            found.append(Function(text, at, (body, source.partner[body])))
    return found


def _function_body(source: Source, at: int) -> int | None:
    opening = source.call_parenthesis(at)
    if opening is None:
        return None
    after = source.partner[opening] + 1
    while after < len(source.text) and source.text[after] in {"const", "noexcept", "thread"}:
        after += 1
    return after if after in source.partner and source.text[after] == "{" else None


def _lambda_body(source: Source, at: int) -> int | None:
    """The body of `name = [...](...) {`."""
    if source.text[at + 1 : at + 3] != ["=", "["] or at + 2 not in source.partner:
        return None
    after = source.partner[at + 2] + 1
    while after < len(source.text) and source.text[after] not in {"{", ";"}:
        after = source.partner.get(after, after) + 1
    return after if after in source.partner else None


def _holders(sources: Sequence[Source], functions: Sequence[list[Function]]) -> set[str]:
    """Names of the functions that hold a collective, through any number of calls."""
    holders: set[str] = set()
    uses = {
        (n, function): set(source.text[function.body[0] : function.body[1]])
        for n, (source, own) in enumerate(zip(sources, functions, strict=True))
        for function in own
    }
    grown = True
    while grown:
        grown = False
        for (_, function), names in uses.items():
            if function.name not in holders and any(holds_collective(t, holders) for t in names):
                holders.add(function.name)
                grown = True
    return holders


def _number_source(
    source: Source, functions: list[Function], holders: set[str], places: list[Place]
) -> None:
    heads = [f.body for f in functions]
    loops: list[tuple[int, int]] = []
    for at, text in enumerate(source.text):
        if source.kind[at] != NAME:
            continue
        if text in {"for", "while", "do"}:
            span = _loop_span(source, at)
            if span is None or not any(
                holds_collective(t, holders) for t in source.text[at : span[1]]
            ):
                continue
            if _instrument_loop(source, at, _depth(loops, heads, at), len(places) + 1, span):
                places.append(Place(len(places) + 1, source.part, source.line(at), text))
                loops.append((at, span[1]))
        elif holds_collective(text, holders) and not _is_declared(source, at):
            _wrap_call(source, at, _depth(loops, heads, at), text in holders, places)


def _depth(loops: list[tuple[int, int]], functions: list[tuple[int, int]], at: int) -> int:
    """Instrumented loops around a token, within the innermost function around it."""
    start = max((first for first, last in functions if first < at < last), default=-1)
    return sum(1 for first, last in loops if start < first < at < last)


def _is_declared(source: Source, at: int) -> bool:
    """Whether the name at `at` is being declared or defined rather than called."""
    opening = source.call_parenthesis(at)
    if opening is None or _function_body(source, at) is not None:
        return True
    start = _qualified_start(source, at)
    before = source.text[start - 1] if start else ";"
    if before in {".", "->", "#"}:
        return True
    return start > 0 and source.kind[start - 1] == NAME and before not in _NOT_A_TYPE


def _qualified_start(source: Source, at: int) -> int:
    """The first token of `a::b<c>::name`, whose last is at `at`."""
    text = source.text
    if at >= 2 and text[at - 2 : at] == ["::", "template"]:
        at -= 1
    while at >= 2 and text[at - 1] == "::":
        name = at - 2 if text[at - 2] != ">" else _before_angles(source, at - 2)
        if name is None or source.kind[name] != NAME:
            break
        at = name
    return at - 1 if at and text[at - 1] == "::" else at


def _before_angles(source: Source, at: int) -> int | None:
    """The token before the template arguments that close at `at`."""
    depth = 0
    while at >= 0 and source.text[at] not in {";", "{", "}"}:
        depth += (source.text[at] == ">") - (source.text[at] == "<")
        at -= 1
        if depth == 0:
            return at if at >= 0 else None
    return None


def _wrap_call(source: Source, at: int, loops: int, is_function: bool, places: list[Place]) -> None:
    opening = source.call_parenthesis(at)
    assert opening is not None
    place = Place(len(places) + 1, source.part, source.line(at), source.text[at])
    places.append(place)
    wrapper = "in_call" if is_function else "at_place"
    source.put_before(
        _qualified_start(source, at),
        f"mf::{wrapper}<{place.number}, {loops}>([&]() __attribute__((always_inline))"
        " -> decltype(auto) { return ",
    )
    source.put_after(source.partner[opening], "; })")


def _loop_span(source: Source, at: int) -> tuple[int, int] | None:
    """First token after the loop's head, and the token after its last."""
    if source.text[at] == "do":
        end = _statement_end(source, at + 1)
        return None if end is None or source.text[end : end + 1] != ["while"] else (at + 1, end + 1)
    if at + 1 not in source.partner:
        return None
    head = source.partner[at + 1]
    if source.text[at] == "while" and source.text[head + 1 : head + 2] == [";"]:
        return None  # the end of a do, or an empty loop
    end = _statement_end(source, head + 1)
    return None if end is None else (head + 1, end)


def _statement_end(source: Source, at: int) -> int | None:
    """The token after the statement that starts at `at`."""
    text = source.text
    if at >= len(text):
        return None
    if text[at] == "{":
        return source.partner[at] + 1 if at in source.partner else None
    if text[at] == "do":
        end = _statement_end(source, at + 1)
        return None if end is None else _past_semicolon(source, end)
    if text[at] in {"if", "for", "while", "switch"}:
        opening = at + 2 if text[at + 1 : at + 2] == ["constexpr"] else at + 1
        if opening not in source.partner:
            return None
        end = _statement_end(source, source.partner[opening] + 1)
        if end is not None and text[at] == "if" and text[end : end + 1] == ["else"]:
            return _statement_end(source, end + 1)
        return end
    return _past_semicolon(source, at)


def _past_semicolon(source: Source, at: int) -> int | None:
    while at < len(source.text):
        if source.text[at] == ";":
            return at + 1
        at = source.partner.get(at, at) + 1
    return None


def _instrument_loop(
    source: Source, at: int, depth: int, place: int, span: tuple[int, int]
) -> bool:
    """Make a loop state its place and count its turns; False when its head has no room for it."""
    turn = f"mf::next_turn<{depth}>()"
    start = _before_pragmas(source, at)
    if start == 0 and source.tokens[0].kind == DIRECTIVE:
        return False
    if source.text[at] == "for":
        semicolons = _head_semicolons(source, at)
        if len(semicolons) != 2:
            return False
        close = source.partner[at + 1]
        step_is_empty = semicolons[1] + 1 == close
        source.put_after(semicolons[1], f" {turn}{'' if step_is_empty else ', '}")
    else:
        opening = at + 1 if source.text[at] == "while" else span[1]
        if opening not in source.partner or _declares(source, opening):
            return False
        source.put_after(opening, f"{turn} && (")
        source.put_before(source.partner[opening], ")")
    flag = f"mf_loop_{place}"
    source.put_between(
        start, f" for (bool {flag} = mf::enter_loop<{depth}>({place}); {flag}; {flag} = false) "
    )
    return True


def _head_semicolons(source: Source, at: int) -> list[int]:
    found = []
    inner = at + 2
    while inner < source.partner[at + 1]:
        if source.text[inner] == ";":
            found.append(inner)
        inner = source.partner.get(inner, inner) + 1
    return found


def _declares(source: Source, opening: int) -> bool:
    """Whether a while condition declares a variable: two names side by side before an `=`."""
    inside = source.text[opening + 1 : source.partner[opening]]
    return "=" in inside and source.kind[opening + 2] == NAME


def _before_pragmas(source: Source, at: int) -> int:
    """The start of a loop statement, before macros and `_Pragma`s that belong to the loop."""
    while at > 0:
        if source.kind[at - 1] == NAME and source.text[at - 1] not in {"else", "do"}:
            at -= 1
            continue
        opening = source.opening.get(at - 1, 0)
        if source.text[at - 1] != ")" or opening == 0:
            return at
        if source.kind[opening - 1] != NAME or source.text[opening - 1] in _CONTROL:
            return at
        at = opening - 1
    return at
