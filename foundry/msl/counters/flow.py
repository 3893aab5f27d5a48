"""Blocks and loops of a function in LLVM's text form. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_LABEL = re.compile(r'([-\w.$]+|"[^"]+"):(?:\s+;.*)?$')
_ENTRY = "entry of the function"
_TARGET = re.compile(r'\blabel (%(?:[-\w.$]+|"[^"]+"))')
_PREDECESSORS = re.compile(r"; preds = (.*)$")


@dataclass
class Block:
    """A basic block: its name, the lines of its instructions, where it goes."""

    name: str
    first: int
    """Line of its first instruction."""
    last: int = 0
    """Line of its terminator."""
    targets: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Flow:
    """The blocks of a function in an order in which only back edges lead to earlier ones."""

    blocks: tuple[Block, ...]
    level: Mapping[str, int]
    """How many loops a block is in."""
    again: Mapping[str, tuple[tuple[str, bool], ...]]
    """By loop header: its predecessors, and whether they are in the loop."""


def flow(lines: Sequence[str], start: int, stop: int) -> Flow:
    """Blocks and loops of the function whose body is `lines[start:stop]`."""
    blocks = _blocks(lines, start, stop)
    order = _reverse_postorder(blocks)
    before = _predecessors(blocks, order)
    parent = _dominators(order, before)
    loops = _loops(order, before, parent)
    again = {
        header: tuple((name, name in body) for name in before[header])
        for header, body in loops.items()
    }
    level = {name: sum(name in body for body in loops.values()) for name in order}
    return Flow(tuple(blocks[name] for name in order), level, again)


def _blocks(lines: Sequence[str], start: int, stop: int) -> dict[str, Block]:
    """Blocks by name; that of the first, which is unnamed in the text, is found elsewhere."""
    found: list[Block] = []
    named: set[str] = set()
    for number in range(start, stop):
        line = lines[number]
        if label := _LABEL.match(line):
            found.append(Block(f"%{label[1]}", number + 1))
            named.update(_PREDECESSORS.findall(line))
        elif not found and line.strip():
            found.append(Block(_ENTRY, number))
        if found and line.strip():
            found[-1].last = number
            found[-1].targets += _TARGET.findall(line)
    mentioned = {name for names in named for name in names.split(", ")}
    unknown = mentioned - {block.name for block in found}
    for block in found:
        if block.name == _ENTRY and len(unknown) == 1:
            block.name = unknown.pop()
        block.last = _terminator(lines, block)
    return {block.name: block for block in found}


def _terminator(lines: Sequence[str], block: Block) -> int:
    """The line where the last instruction starts: a `switch` takes several."""
    number = block.last
    while number > block.first and lines[number].startswith(("  ]", "    ")):
        number -= 1
    return number


def _reverse_postorder(blocks: Mapping[str, Block]) -> list[str]:
    entry = next(iter(blocks))
    seen = {entry}
    done: list[str] = []
    path = [(entry, iter(blocks[entry].targets))]
    while path:
        name, targets = path[-1]
        following = next((t for t in targets if t not in seen and t in blocks), None)
        if following is None:
            done.append(name)
            path.pop()
        else:
            seen.add(following)
            path.append((following, iter(blocks[following].targets)))
    return done[::-1]


def _predecessors(blocks: Mapping[str, Block], order: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in order}
    for name in order:
        for target in dict.fromkeys(blocks[name].targets):
            found[target].append(name)
    return found


def _dominators(order: Sequence[str], before: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Immediate dominators by the iterative algorithm of Cooper, Harvey and Kennedy."""
    rank = {name: i for i, name in enumerate(order)}
    parent = {order[0]: order[0]}

    def common(a: str, b: str) -> str:
        while a != b:
            a, b = (parent[a], b) if rank[a] > rank[b] else (a, parent[b])
        return a

    changed = True
    while changed:
        changed = False
        for name in order[1:]:
            known = [p for p in before[name] if p in parent]
            nearest = known[0]
            for other in known[1:]:
                nearest = common(nearest, other)
            if parent.get(name) != nearest:
                parent[name] = nearest
                changed = True
    return parent


def _loops(
    order: Sequence[str], before: Mapping[str, Sequence[str]], parent: Mapping[str, str]
) -> dict[str, set[str]]:
    """The blocks of each natural loop, by its header."""
    loops: dict[str, set[str]] = {}
    for header in order:
        for latch in before[header]:
            if _dominates(header, latch, parent):
                body = loops.setdefault(header, {header})
                _add_body(body, latch, before)
    return loops


def _dominates(above: str, below: str, parent: Mapping[str, str]) -> bool:
    while below != above and parent[below] != below:
        below = parent[below]
    return below == above


def _add_body(body: set[str], latch: str, before: Mapping[str, Sequence[str]]) -> None:
    rest = [latch]
    while rest:
        name = rest.pop()
        if name not in body:
            body.add(name)
            rest += before[name]
