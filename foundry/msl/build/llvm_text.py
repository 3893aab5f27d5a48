"""How clang writes LLVM text: what all that reads or changes it must know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

REGISTER = r"(%(?:[-\w.$]+|\"[^\"]*\"))"
REGISTERS = re.compile(REGISTER)
RESULT = re.compile(rf"\s+{REGISTER} = ")
"""The register that an instruction makes."""
LABEL = re.compile(r"([\w.$-]+):(?:\s|$)")
"""Of a block, without quotes."""
VECTOR = r"<(\d+) x (\w+)>"
"""Components and their type."""
TYPE = r"(?:<\d+ x \w+>|half|bfloat|float|double|i\d+)"
LOAD = re.compile(rf"\s+%\S+ = load (?:volatile )?({TYPE}), ptr {REGISTER}, align (\d+)")
"""Type, pointer, alignment."""
STORE = re.compile(rf"\s+store (?:volatile )?({TYPE}) .*, ptr {REGISTER}, align (\d+)")
"""Type, pointer, alignment."""
COPY = re.compile(r"\s+(?:tail )?call void @llvm\.mem(cpy|move|set)\.[^(]*\((.*)\)")
"""Which of the three, arguments."""
LENGTH = re.compile(r"i64 (?:noundef )?([^,]+), i1 ")
"""Bytes, in the arguments of a copy."""
_VECTOR = re.compile(VECTOR)
_SIZES = {"half": 2, "bfloat": 2, "float": 4, "double": 8}


def bytes_of(type_name: str) -> int:
    """Size of a scalar or vector type, in bytes."""
    if vector := _VECTOR.match(type_name):
        return int(vector[1]) * bytes_of(vector[2])
    return _SIZES.get(type_name) or -(-int(type_name[1:]) // 8)


def functions(lines: Sequence[str]) -> Iterator[range]:
    """The lines of every function that has a body, from its name to the closing brace."""
    first = 0
    for number, line in enumerate(lines):
        if line.startswith("define "):
            first = number
        elif line == "}":
            yield range(first, number + 1)
