"""A loop over threads of which each works on one short vector, as a loop over the elements.

Where every thread does the same with every component of its `float4`, four threads with one element
each do the same work. `rerolled` makes that loop of it, which the compiler widens as it does one
that was written so. Only what is known to mean the same is taken: a loop that holds anything else
than vectors at the thread's own index, read, worked on by component and written, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from foundry.msl.build.llvm_text import LABEL, bytes_of, functions
from foundry.msl.build.loops.lanes import KeptVector, lanes_of
from foundry.msl.build.loops.separation import are_separate

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
_ACCESS = re.compile(
    r"  (?:%[\w.]+ = load|(?P<stores>store)) (?P<vector><(?P<count>\d+) x \w+>)(?: .*)?"
    r", ptr (?P<pointer>%[\w.]+), align "
)
_HAS_ACCESS = re.compile(r" = load <|  store <")
_COMPONENT = re.compile(r"(%mf\.[\w.]*)\.(\d+)(?![\w.])")
_REGISTER = re.compile(r"%[\w.]+")
_VECTOR = re.compile(r"<\d+ x ")
_ONE_VALUE = re.compile(r" = shufflevector .*, <\d+ x i32> zeroinitializer$")
_MADE = re.compile(r"  (%[\w.]+) = ")

Size = tuple[int, int]
"""Bytes and components of a vector."""


class _OtherForm(Exception):
    """A loop of another form."""


@dataclass(frozen=True)
class _SelfLoop:
    """A block that branches back to itself: its lines, from the label to the branch."""

    function: range
    first: int
    last: int
    label: str


@dataclass(frozen=True)
class _Turns:
    """How a loop counts its turns: registers, and the block that comes before it."""

    counter: str
    step: str
    goes_on: str
    start: str
    end: str
    before: str


def rerolled(text: str) -> str | None:
    """The text with its loop over the elements; None for a loop of another form.

    Args:
        text: As for `lanes.apart`.
    """
    lines = text.split("\n")
    sizes = {name: (bytes_of(vector), int(count)) for name, vector, count in _STRUCT.findall(text)}
    try:
        return "\n".join(_with(lines, _loop(lines), sizes))
    except (_OtherForm, KeptVector):
        return None


def _loop(lines: Sequence[str]) -> _SelfLoop:
    """The one block that loops and holds vectors."""
    found = [loop for function in functions(lines) for loop in _loops(lines, function)]
    if len(found) != 1:
        raise _OtherForm
    return found[0]


def _loops(lines: Sequence[str], function: range) -> Iterator[_SelfLoop]:
    label, first = "", function.start
    for number in function:
        if start := LABEL.match(lines[number]):
            label, first = start[1], number
        back = _BACK.match(lines[number])
        if back and back[2] == label and any(map(_HAS_ACCESS.search, lines[first:number])):
            yield _SelfLoop(function, first, number, label)


def _with(lines: Sequence[str], loop: _SelfLoop, sizes: dict[str, Size]) -> Iterator[str]:
    body = lines[loop.first + 1 : loop.last + 1]
    around = [*lines[loop.function.start : loop.first], *lines[loop.last + 1 : loop.function.stop]]
    turns = _turns(body, loop.label)
    elements = _Elementwise(turns, sizes)
    rewritten = list(elements.rewritten(body, loop.first + 1))
    _check_outside(around, body)
    if not are_separate(around, elements.bases.values(), elements.written):
        raise _OtherForm
    bounds = _terminator(lines, loop.function, turns.before)
    for number, line in enumerate(lines):
        if number == bounds:
            yield from _bounds(turns, elements.count)
        if number == loop.first + 1:
            yield (
                f"  {turns.counter} = phi i64 [ {turns.step}, %{loop.label} ],"
                f" [ %mf.start, %{turns.before} ]"
            )
            yield from rewritten
        elif number not in loop.function:
            yield line
        elif not loop.first < number <= loop.last:
            yield from lanes_of(line, number)


def _turns(body: Sequence[str], label: str) -> _Turns:
    """What counts the turns of a block that loops.

    Raises:
        _OtherForm: unless one counter goes up by one to an end that is known before.
    """
    counter, step, end = _only(_COUNTER, body), _only(_STEP, body), _only(_END, body)
    ways = {counter[3]: counter[2], counter[5]: counter[4]}
    if sum(" = phi " in line for line in body) != 1 or len(ways) != 2 or ways.get(label) != step[1]:
        raise _OtherForm
    if step[2] != counter[1] or end[2] != step[1] or _only(_BACK, body)[1] != end[1]:
        raise _OtherForm
    if end[3] in {counter[1], step[1]}:
        raise _OtherForm
    (before,) = ways.keys() - {label}
    return _Turns(counter[1], step[1], end[1], ways[before], end[3], before)


def _only(pattern: re.Pattern[str], body: Sequence[str]) -> re.Match[str]:
    found = [match for line in body if (match := pattern.match(line))]
    if len(found) != 1:
        raise _OtherForm
    return found[0]


def _terminator(lines: Sequence[str], function: range, label: str) -> int:
    """The line that ends a block of a function."""
    inside = False
    for number in function:
        if start := LABEL.match(lines[number]):
            inside = start[1] == label
        elif inside and _TERMINATOR.match(lines[number]):
            return number
    raise _OtherForm


def _bounds(turns: _Turns, count: int) -> Iterator[str]:
    """The elements of the first thread and those behind the last: a loop has one turn at least."""
    for name, value in (("start", turns.start), ("last", turns.end)):
        yield f"  %mf.{name}.thread = zext i32 {value} to i64"
        yield f"  %mf.{name} = mul nuw nsw i64 %mf.{name}.thread, {count}"
    yield f"  %mf.least = add nuw nsw i64 %mf.start, {count}"
    yield "  %mf.end = call i64 @llvm.umax.i64(i64 %mf.last, i64 %mf.least)"


def _check_outside(around: Sequence[str], body: Sequence[str]) -> None:
    """What the loop makes is used in the loop alone, and vectors from outside are one value."""
    made = {found[1] for line in body if (found := _MADE.match(line))}
    used = {register for line in body for register in _REGISTER.findall(line)} - made
    for line in around:
        found = _MADE.match(line)
        if found and found[1] in used and _VECTOR.search(line) and not _ONE_VALUE.search(line):
            raise _OtherForm
        if line.startswith(" ") and made & set(_REGISTER.findall(line)):
            raise _OtherForm


@dataclass
class _Elementwise:
    """The lines of a loop, rewritten for one element a turn."""

    turns: _Turns
    structs: dict[str, Size]
    """Of structs that hold one vector, by name."""
    count: int = 0
    """Components of a thread's vector."""
    bases: dict[str, str] = field(default_factory=dict)
    """Where the first thread's vector is, by the pointer to that of a turn."""
    written: set[str] = field(default_factory=set)
    """Those of them that are written at."""
    _sizes: dict[str, Size] = field(default_factory=dict)
    """Of the vectors behind each base."""
    _wide: set[str] = field(default_factory=set)
    """The counter in 64 bits."""

    def rewritten(self, body: Sequence[str], first: int) -> Iterator[str]:
        """The lines of a loop but for its counter.

        Args:
            body: The lines.
            first: Number of the first of them.
        """
        for number, line in enumerate(body, first):
            if _COUNTER.match(line):
                continue
            if (wide := _WIDE.match(line)) and wide[2] == self.turns.counter:
                self._wide.add(wide[1])
            elif place := _PLACE.match(line):
                yield self._place(place)
            elif _STEP.match(line):
                yield f"  {self.turns.step} = add nuw nsw i64 {self.turns.counter}, 1"
            elif _END.match(line):
                yield f"  {self.turns.goes_on} = icmp ult i64 {self.turns.step}, %mf.end"
            elif _BACK.match(line):
                yield line
            elif access := _ACCESS.match(line):
                yield from self._access(access, list(lanes_of(line, number)))
            else:
                yield self._operation(line, list(lanes_of(line, number)))

    def _place(self, place: re.Match[str]) -> str:
        pointer, struct, base, index = place.groups()
        if index not in self._wide or struct not in self.structs or base in self.bases:
            raise _OtherForm
        size, count = self.structs[struct]
        if self.count not in (0, count) or count & (count - 1):
            raise _OtherForm
        if self._sizes.setdefault(base, (size, count)) != (size, count):
            raise _OtherForm
        self.count, self.bases[pointer] = count, base
        return (
            f"  {pointer} = getelementptr inbounds [{size // count} x i8], ptr {base},"
            f" i64 {self.turns.counter}"
        )

    def _access(self, access: re.Match[str], made: Sequence[str]) -> Sequence[str]:
        """The address and the access of a component; `made` has those of all."""
        base = self.bases.get(access["pointer"])
        size = bytes_of(access["vector"]), int(access["count"])
        if base is None or self._sizes[base] != size or not _are_alike(made[1::2]):
            raise _OtherForm
        if access["stores"]:
            self.written.add(base)
        return made[:2]

    def _operation(self, line: str, made: Sequence[str]) -> str:
        """What is done to a component. The optimiser leaves nothing else in a loop that fits."""
        turns = self.turns
        own = {turns.counter, turns.step, turns.goes_on, *self._wide, *self.bases}
        if list(made) == [line] or own & set(_REGISTER.findall(line)) or not _are_alike(made):
            raise _OtherForm
        return made[0]


def _are_alike(made: Sequence[str]) -> bool:
    """Whether each instruction does to a component, in the same way, what depends on it alone."""
    own = [{found[2] for found in _COMPONENT.finditer(lane)} for lane in made]
    ways = {_COMPONENT.sub(r"\1", lane) for lane in made}
    are_components = all(lane.lstrip().startswith(("%mf.", "store ")) for lane in made)
    return are_components and len(ways) == 1 and all(len(numbers) == 1 for numbers in own)
