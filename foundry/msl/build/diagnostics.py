"""The compiler's messages, as the author of a kernel should see them.

1. A log is cut into messages. Those that stand in the kernel's header or body are kept, with the
   user's own line and column; notes from elsewhere are left out.
2. An error inside the prelude is told at the user's line that led there.
3. An error in the wrapper around the kernel (a brace too many) is told at the end of the body, one
   in the kernel's signature (a name that is none) without a line.
4. A message of the linker names the function that does not exist.
5. A stack that is too large is told as what it is made of: the thread's own variables.

No path of this machine and no line of the wrapper is ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from foundry.msl.frontend.tokens import Token

_HEAD = re.compile(
    r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?P<column>\d+): (?P<kind>(?:fatal )?error|note): "
    r"(?P<text>.*)$"
)
_UNDEFINED = re.compile(r"error: undefined symbol: (?P<name>.*)$", re.MULTILINE)
_BACK_END = re.compile(
    r"^(?:fatal error: error in backend|LLVM ERROR): (?P<text>.*)$", re.MULTILINE
)
_FRAME = re.compile(r"stack frame size \((?P<bytes>\d+)\) exceeds limit \((?P<limit>\d+)\) .*")
_PARTS = ("header", "source")
_MESSAGES, _MESSAGE_LENGTH = 24, 600


@dataclass(frozen=True)
class _Message:
    part: str
    line: int
    column: int
    kind: str
    text: str

    def render(self, texts: Mapping[str, str]) -> str:
        if self.part == "signature":
            return f"{self.kind}: in the kernel's signature: {self.text}"
        head = f"{self.part}:{self.line}:{self.column}: {self.kind}: {self.text}"
        lines = texts[self.part].split("\n")
        if not 1 <= self.line <= len(lines) or self.column < 1:
            return head.replace(":0: ", ": ")
        shown = lines[self.line - 1].replace("\t", " ")
        return f"{head}\n{self.line:5} | {shown}\n      | {' ' * (self.column - 1)}^"


def scrub(log: str, texts: Mapping[str, str], tokens: Mapping[str, list[Token]]) -> str:
    """The messages of a compiler's or linker's log that concern the kernel.

    Args:
        log: What the tool wrote.
        texts: The user's `header` and `source`.
        tokens: Their tokens as they were compiled, to trace columns back.
    """
    messages = list(_kept(_messages(log), texts, tokens))
    if messages:
        return "\n".join(message.render(texts) for message in messages[:_MESSAGES])
    undefined = dict.fromkeys(match["name"] for match in _UNDEFINED.finditer(log))
    if undefined:
        return "\n".join(
            f"error: '{name}' is not defined: a kernel can call only Metal's functions and its own"
            for name in undefined
        )
    back_end = _BACK_END.search(log)
    if back_end:
        return f"error: the compiler gave up on this kernel: {back_end['text']}"
    first = log.strip().split("\n")[0]
    return first if first.startswith("error: ") else "error: the compiler crashed on this kernel"


def _messages(log: str) -> Iterator[_Message]:
    for line in log.split("\n"):
        match = _HEAD.match(line)
        if match:
            place = int(match["line"]), int(match["column"])
            text = _FRAME.sub(_variables, match["text"])
            if len(text) > _MESSAGE_LENGTH:  # names of nested templates grow without bound
                text = text[:_MESSAGE_LENGTH] + " ..."
            yield _Message(match["file"], *place, match["kind"], text)


def _variables(frame: re.Match[str]) -> str:
    taken, limit = int(frame["bytes"]), int(frame["limit"])
    return (
        f"the variables of a thread take {taken:,} bytes, and it has {limit:,}: keep large arrays"
        " in device or threadgroup memory"
    )


def _kept(
    messages: Iterator[_Message], texts: Mapping[str, str], tokens: Mapping[str, list[Token]]
) -> Iterator[_Message]:
    foreign: _Message | None = None
    told = False
    for message in messages:
        if message.kind != "note":
            if foreign and not told:
                yield _at_the_end(foreign, texts)
            foreign = None if message.part in _PARTS else message
            told = told or foreign is None
        if message.part not in _PARTS:
            continue
        placed = _placed(message, tokens)
        if foreign and message.kind == "note":
            yield _Message(placed.part, placed.line, placed.column, foreign.kind, foreign.text)
            foreign, told = None, True
        else:
            yield placed
    if foreign and not told:
        yield _at_the_end(foreign, texts)


def _at_the_end(message: _Message, texts: Mapping[str, str]) -> _Message:
    if message.part == "signature":
        return message
    return _Message("source", texts["source"].count("\n") + 1, 0, message.kind, message.text)


def _placed(message: _Message, tokens: Mapping[str, list[Token]]) -> _Message:
    """The message at the column of the user's text rather than of what was compiled."""
    column = 0
    at = 1
    for token in tokens[message.part]:
        if token.line > message.line:
            break
        length = len(token.text.rsplit("\n", 1)[-1])
        last_line = token.line + token.text.count("\n")
        if token.text.count("\n"):
            at = 1
        if last_line == message.line and token.column:
            start = at if "\n" not in token.text else 1
            if at <= message.column < at + length or column == 0:
                column = token.column + max(0, message.column - start)
            if message.column < at + length:
                break
        at += length
    return _Message(message.part, message.line, column, message.kind, message.text)
