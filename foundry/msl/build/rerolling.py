"""A loop over threads of which each works on one short vector, as a loop over the elements.

Where every thread does the same with every component of its `float4`, four threads with one element
each do the same work. `rerolled` makes that loop of it, which the compiler widens as it does one
that was written so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry.msl.build.lanes import KeptVector, lanes_of
from foundry.msl.build.llvm_text import bytes_of

_LABEL = re.compile(r"([\w.$-]+):(?:\s|$)")
_FROM = r"\[ (%?\w+), %([\w.$-]+) \]"
_COUNTER = re.compile(rf"  (%\w+) = phi i32 {_FROM}, {_FROM}$")
_WIDE = re.compile(r"  (%\w+) = zext (?:nneg )?i32 (%\w+) to i64$")
_STEP = re.compile(r"  (%\w+) = add nuw (?:nsw )?i32 (%\w+), 1$")
_END = re.compile(r"  (%\w+) = icmp (?:samesign )?ult i32 (%\w+), (%?\w+)$")
_BACK = re.compile(r"  br i1 (%\w+), label %([\w.$-]+), label %([\w.$-]+)(.*)$")
_TERMINATOR = re.compile(r"  (?:br|switch) ")
_STRUCT = re.compile(r'^(%"[^"]+"|%[\w.:]+) = type \{ (<(\d+) x \w+>) \}$', re.MULTILINE)
_PLACE = re.compile(
    r"  (%\w+) = getelementptr (?:\w+ )*(%\"[^\"]+\"|%[\w.:]+), ptr (%\w+), i64 (%\w+)$"
)
_ACCESS = re.compile(r" = load <|  store ")
_POINTER = re.compile(r", ptr (%\S+), align ")
_COMPONENT = re.compile(r"(%mf\.[\w.]*)\.(\d+)(?![\w.])")
_OTHERS = re.compile(r"%mf\.[\w.]*\.[1-9]\d*(?![\w.])")
_REGISTER = re.compile(r"%[\w.]+")
_VECTOR = re.compile(r"<\d+ x ")
_ONE_VALUE = re.compile(r" = shufflevector .*, <\d+ x i32> zeroinitializer$")
_EFFECT = re.compile(
    r" (?:atomicrmw|cmpxchg|fence|invoke) | (?:volatile|atomic) |  store (?!<)"
    r"| call (?![^@]*@llvm\.(?!mem|masked))"
)
"""What must not be done once for every element."""
_MADE = re.compile(r"  (%[\w.]+) = ")


Sizes = dict[str, tuple[int, int]]
"""Of structs that hold one vector: bytes and components, by the name of the struct."""


class _OtherForm(Exception):
    """A loop of another form."""


@dataclass(frozen=True)
class _SelfLoop:
    """A block that branches back to itself: its lines, from the label to the branch."""

    first: int
    last: int
    label: str


def rerolled(text: str) -> str | None:
    """The text with its loop over the elements; None for a loop of another form.

    Args:
        text: As for `lanes.apart`.
    """
    lines = text.split("\n")
    sizes = {name: (bytes_of(vector), int(count)) for name, vector, count in _STRUCT.findall(text)}
    try:
        loop = _loop(lines)
        return "\n".join(_with(lines, loop, sizes))
    except (_OtherForm, KeptVector):
        return None


def _loop(lines: Sequence[str]) -> _SelfLoop:
    """The one block that loops and holds vectors."""
    found, label, first = [], "", 0
    for number, line in enumerate(lines):
        if start := _LABEL.match(line):
            label, first = start[1], number
        back = _BACK.match(line)
        has_vectors = any(_ACCESS.search(inside) for inside in lines[first:number])
        if back and back[2] == label and has_vectors:
            found.append(_SelfLoop(first, number, label))
    if len(found) != 1:
        raise _OtherForm
    return found[0]


def _with(lines: Sequence[str], loop: _SelfLoop, sizes: Sizes) -> Iterator[str]:
    body = list(lines[loop.first + 1 : loop.last + 1])
    counter = _only(_COUNTER, body)
    if sum(" = phi " in line for line in body) != 1 or loop.label not in (counter[3], counter[5]):
        raise _OtherForm
    start, before = (counter[2], counter[3]) if counter[5] == loop.label else counter.groups()[3:]
    step, end = _only(_STEP, body), _only(_END, body)
    if step[2] != counter[1] or end[2] != step[1] or _only(_BACK, body)[1] != end[1]:
        raise _OtherForm
    places = _Elementwise(counter[1], step[1], end[1], sizes)
    rewritten = list(places.rewritten(body))
    _check_outside(lines, loop, body)
    bounds = _terminator(lines, before)
    for number, line in enumerate(lines):
        if number == bounds:
            yield from _bounds(start, end[3], places.count)
        if number == loop.first + 1:
            yield f"  {counter[1]} = phi i64 [ {step[1]}, %{loop.label} ], [ %mf.start, %{before} ]"
            yield from rewritten
        elif not loop.first < number <= loop.last:
            yield from lanes_of(line, number)


def _only(pattern: re.Pattern[str], body: Sequence[str]) -> re.Match[str]:
    found = [match for line in body if (match := pattern.match(line))]
    if len(found) != 1:
        raise _OtherForm
    return found[0]


def _terminator(lines: Sequence[str], label: str) -> int:
    """The line that ends a block."""
    inside = False
    for number, line in enumerate(lines):
        if start := _LABEL.match(line):
            inside = start[1] == label
        elif inside and _TERMINATOR.match(line):
            return number
    raise _OtherForm


def _bounds(start: str, end: str, count: int) -> Iterator[str]:
    for name, value in (("start", start), ("end", end)):
        yield f"  %mf.{name}.thread = zext i32 {value} to i64"
        yield f"  %mf.{name} = mul nuw nsw i64 %mf.{name}.thread, {count}"


def _check_outside(lines: Sequence[str], loop: _SelfLoop, body: Sequence[str]) -> None:
    """What the loop makes is used in the loop alone, and vectors from outside are one value."""
    made = {found[1] for line in body if (found := _MADE.match(line))}
    used = {register for line in body for register in _REGISTER.findall(line)} - made
    for line in lines[: loop.first]:
        found = _MADE.match(line)
        if found and found[1] in used and _VECTOR.search(line) and not _ONE_VALUE.search(line):
            raise _OtherForm
    for line in lines[loop.last + 1 :]:
        if line.startswith(" ") and made & set(_REGISTER.findall(line)):
            raise _OtherForm


class _Elementwise:
    """The lines of a loop, rewritten for one element a turn."""

    def __init__(self, counter: str, step: str, end: str, sizes: Sizes) -> None:
        self._counter, self._step, self._end = counter, step, end
        self._sizes = sizes
        self._wide = ""
        self._known: set[str] = set()
        """Pointers to the vector of a turn."""
        self.count = 0
        """Elements of a thread."""

    def rewritten(self, body: Sequence[str]) -> Iterator[str]:
        for number, line in enumerate(body):
            if _COUNTER.match(line):
                continue
            if (wide := _WIDE.match(line)) and wide[2] == self._counter:
                self._wide = wide[1]
            elif place := _PLACE.match(line):
                yield self._place(place)
            elif _STEP.match(line):
                yield f"  {self._step} = add nuw nsw i64 {self._counter}, 1"
            elif _END.match(line):
                yield f"  {self._end} = icmp ult i64 {self._step}, %mf.end"
            elif {self._counter, self._wide} & set(_REGISTER.findall(line)):
                raise _OtherForm
            else:
                yield from self._first_lane(line, number)

    def _place(self, place: re.Match[str]) -> str:
        if place[4] != self._wide or place[2] not in self._sizes:
            raise _OtherForm
        size, count = self._sizes[place[2]]
        if self.count not in (0, count) or count & (count - 1):
            raise _OtherForm
        self.count = count
        self._known.add(place[1])
        return (
            f"  {place[1]} = getelementptr inbounds [{size // count} x i8], ptr {place[3]},"
            f" i64 {self._counter}"
        )

    def _first_lane(self, line: str, number: int) -> Iterator[str]:
        made = list(lanes_of(line, number))
        pointer = _POINTER.search(line) if _ACCESS.search(line) else None
        if _EFFECT.search(line) or not (pointer or made == [line] or _are_alike(made)):
            raise _OtherForm
        if pointer and pointer[1] not in self._known:
            raise _OtherForm
        yield from (lane for lane in made if not _OTHERS.search(lane))


def _are_alike(made: Sequence[str]) -> bool:
    """Whether each instruction makes a component of the same components, in the same way."""
    own = [{found[2] for found in _COMPONENT.finditer(lane)} for lane in made]
    ways = {_COMPONENT.sub(r"\1", lane) for lane in made}
    are_components = all(lane.lstrip().startswith("%mf.") for lane in made)
    return are_components and len(ways) == 1 and all(len(numbers) == 1 for numbers in own)
