"""Buffers on the command line: `x=f32[1024]`, `y=f32[1024]:new`, `n=1024`, `args=u32:7,f32:0.5`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foundry.errors import UsageError, unknown

_SHAPED = re.compile(r"(?P<dtype>\w+)\[(?P<shape>[\d,\s]*)\](?::(?P<fill>.+))?")
_SHORT = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "bool": "bool_"} | {
    f"{sign}{bits}": f"{name}{bits}"
    for sign, name in (("i", "int"), ("u", "uint"))
    for bits in (8, 16, 32, 64)
}
_MEMBERS = re.compile(r"\w+:[^,:]+(?:,\s*\w+:[^,:]+)*")
_NEW, _RANDOM, _RANGE = "new", "random", "range"
_MOST_BYTES = 1 << 32


@dataclass
class Given:
    """What the options say: arrays, numbers whose type the function knows, and new buffers."""

    arrays: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, bool | float | list[float]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)


def parse_buffers(options: Sequence[str], seed: int) -> Given:
    """The buffers that `--buffer` options describe.

    Args:
        options: Each `NAME=...`.
        seed: Of random values.

    Raises:
        UsageError: One that reads as no buffer, or a file that cannot be read.
    """
    given = Given()
    for option in options:
        name, equals, spec = option.partition("=")
        if not equals or not name or not spec:
            raise _unreadable(option)
        if name in given.arrays or name in given.numbers:
            raise UsageError(f"--buffer {name} is given twice")
        shaped = _SHAPED.fullmatch(spec)
        if spec.startswith("@"):
            given.arrays[name] = _from_file(Path(spec[1:]))
        elif shaped:
            given.arrays[name] = _filled(shaped, seed, option)
            if shaped["fill"] == _NEW:
                given.outputs.append(name)
        elif _MEMBERS.fullmatch(spec):
            given.arrays[name] = _struct(spec, option)
        else:
            given.numbers[name] = parse_value(spec, option)
    return given


def parse_value(text: str, option: str) -> bool | float | list[float]:
    """A number, `true`, `false`, or several numbers with commas between.

    Raises:
        UsageError: It reads as none.
    """
    values = [_number(piece.strip()) for piece in text.split(",")]
    if any(value is None for value in values):
        raise _unreadable(option)
    return [v for v in values if v is not None] if len(values) > 1 else values[0] or 0


def _number(text: str) -> bool | float | None:
    if text in {"true", "false"}:
        return text == "true"
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _filled(shaped: re.Match[str], seed: int, option: str) -> Any:
    import numpy as np

    from ops.dtypes import DTYPE_BYTES, numpy_dtype

    name = _dtype_name(shaped["dtype"])
    shape = tuple(int(n) for n in shaped["shape"].split(",") if n.strip())
    if math.prod(shape) * DTYPE_BYTES[name] > _MOST_BYTES:
        raise UsageError(f"--buffer {option}: more than {_MOST_BYTES >> 30} GiB")
    dtype, fill = numpy_dtype(name), shaped["fill"] or _RANDOM
    if fill == _RANGE:
        return np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    if fill == _RANDOM and "float" in name:
        return np.random.default_rng(seed).standard_normal(shape, np.float32).astype(dtype)
    if fill in {_NEW, _RANDOM}:
        return np.zeros(shape, dtype)
    value = _number(fill)
    if value is None:
        raise _unreadable(option)
    return np.full(shape, _of_dtype(value, dtype, option))


def _struct(spec: str, option: str) -> Any:
    """The bytes of a struct, whose members lie where a compiler puts them."""
    import numpy as np

    from ops.dtypes import numpy_dtype

    data, most = b"", 1
    for member in spec.split(","):
        name, _, text = member.strip().partition(":")
        dtype, value = numpy_dtype(_dtype_name(name)), _number(text.strip())
        if value is None:
            raise _unreadable(option)
        most = max(most, dtype.itemsize)
        data += bytes(-len(data) % dtype.itemsize) + _of_dtype(value, dtype, option).tobytes()
    return np.frombuffer(data + bytes(-len(data) % most), np.uint8).copy()


def _of_dtype(value: float, dtype: Any, option: str) -> Any:
    """A number as a dtype holds it: whole ones exactly, others rounded."""
    import numpy as np

    try:
        with np.errstate(over="ignore"):
            made = np.array(value, dtype)
    except (OverflowError, ValueError):
        made = None
    if made is None or not _holds(made, value):
        raise UsageError(f"--buffer {option}: {value} is no {dtype}")
    return made


def _holds(made: Any, value: float) -> bool:
    if made.dtype.kind in "iub":
        return bool(made == value)
    return math.isfinite(float(made)) or not math.isfinite(value)


def _dtype_name(given: str) -> str:
    from ops.dtypes import DTYPE_BYTES

    name = _SHORT.get(given, given)
    if name not in DTYPE_BYTES:
        raise unknown("dtype", given, [*_SHORT, *DTYPE_BYTES])
    return name


def _from_file(path: Path) -> Any:
    import numpy as np

    try:
        if path.suffix == ".npy":
            loaded = np.load(path, allow_pickle=False)
            return loaded if loaded.dtype.names is None else loaded.reshape(-1).view(np.uint8)
        return np.frombuffer(path.read_bytes(), np.uint8).copy()
    except (OSError, ValueError) as error:
        raise UsageError(f"the buffer's file '{path}' cannot be read: {error}") from error


def _unreadable(option: str) -> UsageError:
    return UsageError(
        f"'{option}' reads as no buffer: NAME=f32[1024], NAME=f32[1024]:FILL (new, random, range or"
        " a number), NAME=NUMBER, NAME=u32:7,f32:0.5 for a struct, or NAME=@FILE"
    )
