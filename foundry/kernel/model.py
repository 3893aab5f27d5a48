"""The Kernel: Metal source, launch rule, content hash; and its canonical file as text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.texts.expressions import Expression

Triple = tuple[Expression, Expression, Expression]
Constant = int | bool | str

MAX_THREADS_PER_THREADGROUP = 1024
MATH_MODES = ("safe", "relaxed", "fast")


@dataclass(frozen=True)
class Temporary:
    """An array that one launch writes and a later one reads."""

    name: str
    shape: tuple[Expression, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class KernelLaunch:
    """One launch: the body exactly as `mx.fast.metal_kernel` takes it, and its launch rule."""

    body: str
    grid: Triple
    """In threads, as in `mx.fast.metal_kernel`; expressions over axes and constants."""
    threadgroup: Triple
    constants: tuple[tuple[str, Constant], ...] = ()
    inputs: tuple[str, ...] | None = None
    """None (single launch only): every input of the op, then every parameter."""
    outputs: tuple[str, ...] | None = None
    math_mode: str = "safe"
    init_value: float | None = None
    atomic_outputs: bool = False
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    """Line of each key, and of `body`, in the file this launch was parsed from."""


@dataclass(frozen=True)
class Kernel:
    """Metal source + launch rule + template arguments for one op."""

    op: str
    launches: tuple[KernelLaunch, ...]
    header: str = ""
    """Helpers of all launches; becomes `header` of `mx.fast.metal_kernel`."""
    temporaries: tuple[Temporary, ...] = ()

    @property
    def hash(self) -> str:
        """Identity: SHA-256 of the canonical file, 64 hexadecimal digits."""
        return text_hash(render(self))


def text_hash(text: str) -> str:
    """SHA-256 of a text that need be no kernel file; half surrogate pairs are text as well."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def render(kernel: Kernel) -> str:
    """The canonical kernel file of a kernel; `parse(render(k)) == k`."""
    parts = [
        _write_launch(kernel, launch, first=not index)
        for index, launch in enumerate(kernel.launches)
    ]
    return "\n".join(parts)


def _write_launch(kernel: Kernel, launch: KernelLaunch, *, first: bool) -> str:
    lines = ["/*kernel"]
    if first:
        lines.append(f"op = {_literal(kernel.op)}")
    lines += [f"{key} = {_literal(value)}" for key, value in _settings(launch)]
    if first:
        for t in kernel.temporaries:
            lines += [
                f"[temporaries.{t.name}]",
                f"shape = {_literal(t.shape)}",
                f"dtype = {_literal(t.dtype)}",
            ]
    if launch.constants:
        lines.append("[constants]")
        lines += [f"{name} = {_literal(value)}" for name, value in launch.constants]
    lines.append("*/")
    if first and kernel.header:
        lines.append(kernel.header)
    return "\n".join([*lines, "// --- body ---", launch.body, ""])


def _settings(launch: KernelLaunch) -> Iterator[tuple[str, Any]]:
    if launch.inputs is not None:
        yield "inputs", launch.inputs
    if launch.outputs is not None:
        yield "outputs", launch.outputs
    yield "grid", launch.grid
    yield "threadgroup", launch.threadgroup
    if launch.math_mode != "safe":
        yield "math_mode", launch.math_mode
    if launch.init_value is not None:
        yield "init_value", launch.init_value
    if launch.atomic_outputs:
        yield "atomic_outputs", True


def _literal(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case tuple() | list():
            return "[" + ", ".join(_literal(item) for item in value) + "]"
        case float():
            return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(repr(value), repr(value))
    return str(value)


def line_in_file(kernel: Kernel, launch: int, part: str, line: int) -> int | None:
    """Line of the kernel file, from a line of a launch's `header` or `source` as it is compiled."""
    if part == "header":
        start = kernel.launches[0].lines.get("header")
    else:
        start = kernel.launches[launch].lines.get("body")
    return None if start is None else start + line - 1
