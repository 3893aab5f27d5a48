"""The kernel file in a proposer's reply: fences or none, several blocks, prose around. Pure.

1. Every fenced block that holds a `/*kernel` line is a candidate. Without one, it is what follows
   the first `/*kernel` line, without closing paragraphs that hold no code.
2. The last candidate that parses for the op wins: models quote the parent first and answer last.
3. When none parses, the last candidate's fault is the reason. A reply without a kernel says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundry.errors import InvalidKernel
from foundry.kernel import Kernel, check, parse
from ops.spec import Op

# Possessive: a long run of tildes is tried once and not at each of its lengths.
_FENCE = re.compile(r"^[ \t]*(`{3,}+|~{3,}+)[^\n`]*+\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
_OPEN = re.compile(r"^[ \t]*/\*kernel[ \t]*$", re.M)
_STRAY_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.M)
_CODE = re.compile(r"[;{}]\s*(?://.*)?$|^\s*(?://|/\*|\*/|#)|\*/\s*$")
MAX_REPLY_CHARACTERS = 400_000


@dataclass(frozen=True)
class Extracted:
    """A kernel found in a reply."""

    text: str
    kernel: Kernel


@dataclass(frozen=True)
class Malformed:
    """A reply without a usable kernel: the text nearest to one, and why it is none."""

    text: str
    reason: str
    line: int | None = None


def extract(reply: str, op: Op) -> Extracted | Malformed:
    """Find the kernel file in a reply.

    Args:
        reply: The whole text of the answer.
        op: The op that was asked for; a kernel of another op is malformed.
    """
    reply = _plain(reply)
    if not reply.strip():
        return Malformed("", "the reply is empty")
    if len(reply) > MAX_REPLY_CHARACTERS:
        return Malformed(reply[:MAX_REPLY_CHARACTERS], f"the reply has {len(reply)} characters")
    found = list(dict.fromkeys(candidates(reply)))
    if not found:
        return Malformed(
            reply.strip(), "the reply holds no kernel file: no line that says '/*kernel'"
        )
    fault: Malformed | None = None
    for text in reversed(found):
        result = _read(text, op)
        if isinstance(result, Extracted):
            return result
        fault = fault or result
    assert fault is not None
    return fault


def extract_all(reply: str, op: Op) -> list[Extracted]:
    """Every distinct kernel of a reply that parses for the op, the likeliest first."""
    reply = _plain(reply)
    if len(reply) > MAX_REPLY_CHARACTERS:
        return []
    read = (_read(text, op) for text in reversed(list(dict.fromkeys(candidates(reply)))))
    found = [result for result in read if isinstance(result, Extracted)]
    return list({one.kernel.hash: one for one in reversed(found)}.values())[::-1]


def candidates(reply: str) -> list[str]:
    """Texts of a reply that may be the kernel file, the most likely last."""
    blocks = [m.group(2) for m in _FENCE.finditer(reply)]
    kernels = [_from_open(block) for block in blocks if _OPEN.search(block)]
    found = []
    if not kernels and (opening := _OPEN.search(reply)):
        found.append(_without_closing_prose(_until_fence(reply[opening.start() :])))
    if len(kernels) > 1:
        # A model may give each stage a fence of its own; only if nothing else parses.
        found.append("\n".join(kernels))
    return [text.strip("\n") + "\n" for text in (*found, *kernels)]


def _plain(reply: str) -> str:
    return reply.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def _from_open(block: str) -> str:
    """A block from its first `/*kernel` line on: a title line above it is no fault."""
    opening = _OPEN.search(block)
    return block[opening.start() :] if opening else block


def _until_fence(text: str) -> str:
    fence = _STRAY_FENCE.search(text)
    return text[: fence.start()] if fence else text


def _without_closing_prose(text: str) -> str:
    paragraphs = text.rstrip().split("\n\n")
    while len(paragraphs) > 1 and not any(map(_CODE.search, paragraphs[-1].split("\n"))):
        paragraphs.pop()
    return "\n\n".join(paragraphs)


def _read(text: str, op: Op) -> Extracted | Malformed:
    try:
        kernel = parse(text)
        if kernel.op != op.name:
            raise InvalidKernel(f"a kernel of op '{kernel.op}'; '{op.name}' was asked for")
        check(kernel, op)
    except InvalidKernel as error:
        return Malformed(text, error.reason, error.line)
    return Extracted(text, kernel)
