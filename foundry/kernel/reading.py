"""Reads a kernel file: TOML in a leading comment, helpers, then the body."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from foundry.errors import InvalidKernel, unknown
from foundry.kernel.model import MATH_MODES, Constant, Kernel, KernelLaunch, Temporary, Triple
from ops.texts.expressions import ExpressionError, names_in

_OPEN = re.compile(r"^[ \t]*/\*kernel[ \t]*$", re.MULTILINE)
_BODY = re.compile(r"^[ \t]*// --- body ---[ \t]*$", re.MULTILINE)
_KEY = re.compile(r"^\s*(?:\[temporaries\.)?\"?(\w+)\"?\s*(?:=|\])")
_NAME = re.compile(r"[A-Za-z_]\w*")
_MAX_CHARACTERS = 400_000
_MAX_COMMENT = 4_000
"""Characters of TOML in a block: reading a key of many dots takes the square of its length."""
_MAX_NESTED = 3
"""Tables and lists in one another: the shape of a temporary is the deepest of all."""

_STAGE_KEYS = {
    "grid",
    "threadgroup",
    "constants",
    "inputs",
    "outputs",
    "math_mode",
    "init_value",
    "atomic_outputs",
}
_FIRST_KEYS = _STAGE_KEYS | {"op", "temporaries"}
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class _Block:
    table: Mapping[str, Any]
    lines: Mapping[str, int]
    header: str
    body: str

    def line(self, key: str) -> int:
        return self.lines.get(key, self.lines["block"])


def parse(text: str) -> Kernel:
    """Read a kernel file into a `Kernel`.

    Raises:
        InvalidKernel: With the line and the reason.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InvalidKernel(f"{len(text)} characters; at most {_MAX_CHARACTERS}")
    if "\0" in text:
        raise InvalidKernel(
            "the file holds a NUL character", text[: text.index("\0")].count("\n") + 1
        )
    if lone := _SURROGATE.search(text):
        raise InvalidKernel(
            f"not UTF-8: {_undecoded(lone[0])}", text[: lone.start()].count("\n") + 1
        )
    # Some editors begin a file with a byte-order mark, which compilers pass over as well.
    blocks = list(_blocks(text.removeprefix("\ufeff").replace("\r\n", "\n")))
    first = blocks[0]
    _keys(first, _FIRST_KEYS)
    if not isinstance(first.table.get("op"), str):
        raise InvalidKernel('the first block names its op: op = "softmax"', first.line("op"))
    for block in blocks[1:]:
        _keys(block, _STAGE_KEYS)
        if block.header:
            raise InvalidKernel(
                "helpers belong to the first block; they are shared", block.lines["header"]
            )
    launches = tuple(_launch(block, many=len(blocks) > 1) for block in blocks)
    return Kernel(first.table["op"], launches, first.header, _temporaries(first))


def _undecoded(character: str) -> str:
    """A character that `surrogateescape` made of a byte, or one that no encoding has."""
    code = ord(character)
    return f"byte 0x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"U+{code:04X}"


def _blocks(text: str) -> Iterator[_Block]:
    opens = list(_OPEN.finditer(text))
    if not opens:
        raise InvalidKernel("no '/*kernel' line; a kernel file starts with one")
    if text[: opens[0].start()].strip():
        raise InvalidKernel("text before the '/*kernel' line")
    ends = [match.start() for match in opens[1:]] + [len(text)]
    line, counted = 1, 0
    for match, end in zip(opens, ends, strict=True):
        line += text.count("\n", counted, match.end())
        counted = match.end()
        yield _block(text[counted:end], line)


def _block(text: str, first_line: int) -> _Block:
    close = text.find("*/")
    if close < 0:
        raise InvalidKernel("the '/*kernel' comment is not closed", first_line)
    toml = text[:close]
    marker = _BODY.search(text, close)
    if marker is None:
        raise InvalidKernel("no '// --- body ---' line after the '/*kernel' comment", first_line)
    body = text[marker.end() :].strip("\n").rstrip()
    if not body.strip():
        raise InvalidKernel("the body is empty", first_line + text[: marker.end()].count("\n"))
    if stray := _BODY.search(text, marker.end()):
        line = first_line + text[: stray.start()].count("\n")
        raise InvalidKernel("a second '// --- body ---' line in one block", line)
    header = text[close + 2 : marker.start()].strip("\n").rstrip()
    lines = {
        "block": first_line,
        "header": first_line + _lines_before(text, close + 2),
        "body": first_line + _lines_before(text, marker.end()),
    }
    return _Block(_toml(toml, first_line), lines | _key_lines(toml, first_line), header, body)


def _lines_before(text: str, start: int) -> int:
    """Lines of `text` above the first non-blank line at or after `start`."""
    rest = text[start:]
    blank = len(rest) - len(rest.lstrip("\n"))
    return text[: start + blank].count("\n")


def _toml(text: str, first_line: int) -> Mapping[str, Any]:
    if len(text) > _MAX_COMMENT:
        said = f"the comment has {len(text)} characters; at most {_MAX_COMMENT}"
        raise InvalidKernel(said, first_line)
    try:
        table = tomllib.loads(text)
        _hold_to_sizes(table)
    except (ValueError, RecursionError) as error:  # Python reads no integer of 5,000 digits
        found = re.search(r"line (\d+)", str(error))
        offset = int(found.group(1)) - 1 if found else 0
        raise InvalidKernel(f"the comment is not TOML: {error}", first_line + offset) from None
    return table


def _hold_to_sizes(value: object, nested: int = 0) -> None:
    """Refuse what TOML need not carry either, and no message could show."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("an integer beyond 64 bits")
    if isinstance(value, dict | list):
        if nested > _MAX_NESTED:
            raise ValueError(f"more than {_MAX_NESTED} tables or lists in one another")
        for item in value.values() if isinstance(value, dict) else value:
            _hold_to_sizes(item, nested + 1)


def _key_lines(toml: str, first_line: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, line in enumerate(toml.split("\n")):
        if match := _KEY.match(line):
            found.setdefault(match.group(1), first_line + number)
    return found


def _keys(block: _Block, known: set[str]) -> None:
    for key in block.table:
        if key not in known:
            raise InvalidKernel(str(unknown("key", key, known)), block.line(key))


def _launch(block: _Block, *, many: bool) -> KernelLaunch:
    table = block.table
    if many and not ("inputs" in table and "outputs" in table):
        raise InvalidKernel(
            "each of several launches names its inputs and outputs", block.line("block")
        )
    return KernelLaunch(
        body=block.body,
        grid=_triple(block, "grid"),
        threadgroup=_triple(block, "threadgroup"),
        constants=_constants(block),
        inputs=_names(block, "inputs"),
        outputs=_names(block, "outputs"),
        math_mode=_math_mode(block),
        init_value=_init_value(block),
        atomic_outputs=_flag(block, "atomic_outputs"),
        lines=block.lines,
    )


def _triple(block: _Block, key: str) -> Triple:
    value = block.table.get(key)
    if not isinstance(value, list) or not 1 <= len(value) <= 3:
        raise InvalidKernel(f"{key} is a list of 1 to 3 sizes in threads", block.line(key))
    for item in value:
        _arithmetic(item, key, block.line(key))
    x, y, z = [*value, 1, 1][:3]
    return (x, y, z)


def _arithmetic(value: object, key: str, line: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidKernel(f"{key}: {value!r} is neither an integer nor an expression", line)
    try:
        names_in(value)
    except ExpressionError as error:
        raise InvalidKernel(f"{key}: {error}", line) from None


def _constants(block: _Block) -> tuple[tuple[str, Constant], ...]:
    table = block.table.get("constants", {})
    if not isinstance(table, dict):
        raise InvalidKernel("[constants] is a table", block.line("constants"))
    for name, value in table.items():
        _identifier(name, block.line(name))
        if not isinstance(value, bool):
            _arithmetic(value, f"constant '{name}'", block.line(name))
    return tuple(table.items())


def _identifier(name: str, line: int) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidKernel(f"'{name}' is not a name", line)


def _names(block: _Block, key: str) -> tuple[str, ...] | None:
    value = block.table.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise InvalidKernel(f"{key} is a list of names", block.line(key))
    if len(set(value)) != len(value):
        raise InvalidKernel(f"{key} names one array twice", block.line(key))
    return tuple(value)


def _math_mode(block: _Block) -> str:
    mode = block.table.get("math_mode", "safe")
    if mode not in MATH_MODES:
        raise InvalidKernel(f"math_mode is one of {', '.join(MATH_MODES)}", block.line("math_mode"))
    return str(mode)


def _init_value(block: _Block) -> float | None:
    value = block.table.get("init_value")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidKernel("init_value is a number", block.line("init_value"))
    return float(value)


def _flag(block: _Block, key: str) -> bool:
    value = block.table.get(key, False)
    if not isinstance(value, bool):
        raise InvalidKernel(f"{key} is true or false", block.line(key))
    return value


def _temporaries(block: _Block) -> tuple[Temporary, ...]:
    table = block.table.get("temporaries", {})
    if not isinstance(table, dict):
        raise InvalidKernel("[temporaries.NAME] are tables", block.line("temporaries"))
    return tuple(_temporary(block, name, entry) for name, entry in table.items())


def _temporary(block: _Block, name: str, entry: object) -> Temporary:
    line = block.line(name)
    _identifier(name, line)
    if not isinstance(entry, dict) or not isinstance(entry.get("shape"), list):
        raise InvalidKernel(f"temporary '{name}' needs shape = [...] and dtype", line)
    for key in entry.keys() - {"shape", "dtype"}:
        raise InvalidKernel(str(unknown("key", key, ("shape", "dtype"))), line)
    for dimension in entry["shape"]:
        _arithmetic(dimension, f"shape of '{name}'", line)
    dtype = entry.get("dtype", "float32")
    if not isinstance(dtype, str):
        raise InvalidKernel(f"temporary '{name}': unknown dtype {dtype!r}", line)
    return Temporary(name, tuple(entry["shape"]), dtype)
