"""A `.metal` file with the files that it includes put in their places.

1. A quoted name is looked for beside the file that includes it, then under the root; a file outside
   of the root is refused, and so are links that lead there.
2. Metal's own headers stay for the front end, `#import` of either kind included.
3. A file with `#pragma once`, with a guard around all of it or behind `#import` counts once: it
   gets a guard, and is left out where it surely stood before.
4. What is not found under a condition becomes an `#error`, which the preprocessor may never reach.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foundry.errors import DoesNotBuild
from foundry.metal.reading.places import FilePlace, FilePlaces
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, SPACE, Token, join_lines, tokenize

_INCLUDE = re.compile(r"#\s*(?P<word>include|import)\s*(?P<name>\"[^\"\n]+\"|<[^>\n]+>)\s*")
_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ONCE = re.compile(r"#\s*pragma\s+once\b")
_WORD = re.compile(r"#\s*(\w+)(?:\s+(\w+))?")
_CONDITIONS = {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}
_OWN = re.compile(
    r"<(?:metal_?\w*(?:\.h)?|simd/\w+\.h|simd\.h|Metal\w+/.*)>|\"(?:metal_[a-z]\w*|simd/\w+\.h)\""
)
_MOST_LINES, _MOST_FILES, _DEEPEST = 200_000, 500, 60


@dataclass(frozen=True)
class Spliced:
    """The text of a file and all that it includes."""

    text: str
    places: FilePlaces


@dataclass
class _Splice:
    root: Path | None
    files: int = 0
    lines: list[str] = field(default_factory=list)
    starts: list[tuple[int, FilePlace]] = field(default_factory=list)
    surely_read: set[Path] = field(default_factory=set)
    known: dict[tuple[int, int], Path] = field(default_factory=dict)
    """The first path of each file: to a Mac `A.h` and `a.h` are one."""


@dataclass(frozen=True)
class _File:
    """A file that is being put in its place."""

    name: str
    text: str
    folder: Path | None
    conditions: int = 0
    """Around everything in it."""
    depth: int = 0
    """Of files around it."""


def splice(text: str, name: str, folder: Path | None, root: Path | None) -> Spliced:
    """Put includes in their places.

    Args:
        text: Of the file.
        name: What messages call it.
        folder: Where the file lies; None for a text that lies nowhere.
        root: Folder that included files lie in; None: nothing can be included.

    Raises:
        DoesNotBuild: A file that is not there or outside of the root, or too much text.
    """
    state = _Splice(None if root is None else root.resolve())
    _add(state, _File(name, text, folder))
    last = "" if state.lines[-1:] == [""] else "\n"
    return Spliced("\n".join(state.lines) + last, FilePlaces(tuple(state.starts)))


def _add(state: _Splice, file: _File) -> None:
    """Append a file's lines."""
    state.files += 1
    lines = file.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    outline = _outline(file.text)
    guard = int(outline.is_guarded)
    done = 0
    state.starts.append((len(state.lines) + 1, FilePlace(file.name, 1)))
    for token, depth in outline.directives:
        found = _INCLUDE.fullmatch(_COMMENTS.sub(" ", token.text).strip())
        if found is None:
            continue
        state.lines += lines[done : token.line - 1]
        done = token.line + token.text.count("\n")
        if _OWN.fullmatch(found["name"]):
            state.lines.append(f"#include {found['name']}")
        else:
            _include(state, found, file, token.line, file.conditions + depth - guard)
        state.starts.append((len(state.lines) + 1, FilePlace(file.name, done + 1)))
        if len(state.lines) > _MOST_LINES or state.files > _MOST_FILES:
            reason = f"{file.name}:{token.line}: error: the files included are too many or too long"
            raise DoesNotBuild(reason, token.line)
    state.lines += lines[done:]


def _include(state: _Splice, found: re.Match[str], file: _File, line: int, conditions: int) -> None:
    path = _find(state, found["name"], file.folder)
    if isinstance(path, str):
        if not conditions:
            reason = f"{file.name}:{line}: error: {found[0].strip()}: {path}"
            raise DoesNotBuild(reason, line)
        return state.lines.append(f"#error {found['name'][1:-1]}: {path}".replace('"', "'"))
    if path in state.surely_read:
        return None
    if file.depth > _DEEPEST:
        raise DoesNotBuild(f"{file.name}:{line}: error: the files include each other", line)
    text = path.read_text(errors="replace")
    outline = _outline(text)
    says_once = any(_ONCE.match(token.text) for token, _ in outline.directives)
    is_once = says_once or found["word"] == "import"
    if not conditions and (is_once or outline.is_guarded):
        state.surely_read.add(path)
    name = str(path.relative_to(state.root)) if state.root else path.name
    if is_once:
        state.lines += [f"#ifndef {_guard(name)}", f"#define {_guard(name)}"]
    _add(state, _File(name, text, path.parent, conditions, file.depth + 1))
    if is_once:
        state.lines.append("#endif")
    return None


def _guard(name: str) -> str:
    return "FOUNDRY_ONCE_" + "".join(
        c if c.isascii() and c.isalnum() else f"_{ord(c)}_" for c in name
    )


def _find(state: _Splice, name: str, folder: Path | None) -> Path | str:
    """The file that a name means, or why there is none."""
    if state.root is None:
        return "only Metal's own headers can be included from a text without a folder"
    quoted = name.strip('<>"')
    for base in (folder, state.root):
        if base is None:
            continue
        path = Path(os.path.realpath(base / quoted))
        if not path.is_relative_to(state.root):
            return f"only files inside '{state.root}' can be included"
        if os.path.isfile(path):  # unlike `Path.is_file`, False for a name that is too long
            found = path.stat()
            return state.known.setdefault((found.st_dev, found.st_ino), path)
    return f"there is no such file beside it or under '{state.root}'"


@dataclass(frozen=True)
class _Outline:
    """The directives of a text, and under how many conditions each stands."""

    directives: tuple[tuple[Token, int], ...]
    is_guarded: bool
    """Whether a guard is around all of it."""


@functools.lru_cache(maxsize=256)
def _outline(text: str) -> _Outline:
    found: list[tuple[Token, int]] = []
    depth = 0
    is_directive = []
    for token in tokenize(join_lines(text)):
        if token.kind not in (SPACE, COMMENT):
            is_directive.append(token.kind == DIRECTIVE)
        if token.kind == DIRECTIVE:
            word = _WORD.match(token.text)
            depth += _CONDITIONS.get(word[1], 0) if word else 0
            found.append((token, depth))
    surrounds = is_directive[:2] == [True, True] and is_directive[-1]
    return _Outline(tuple(found), surrounds and _has_guard(found))


def _has_guard(directives: Sequence[tuple[Token, int]]) -> bool:
    words = [match.groups() for token, _ in directives if (match := _WORD.match(token.text))]
    depths = [depth for _, depth in directives]
    if len(words) != len(depths) or len(words) < 3:
        return False
    opened = words[0][0] == "ifndef" and words[1] == ("define", words[0][1])
    return opened and words[-1][0] == "endif" and 0 not in depths[:-1] and not depths[-1]
