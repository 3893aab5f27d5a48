"""A script that is watched: every call that it makes of `mx.fast.metal_kernel` is written down.

The script runs as it is, with Metal or with what stands in for it, and its calls give what they
always give. It is the user's own and runs as such: with his rights, in this process.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.errors import UsageError

Number = bool | int | float


@dataclass(frozen=True)
class RecordedArray:
    """An array of a call."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class MadeKernel:
    """What `metal_kernel` was given when the kernel was made."""

    name: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    source: str
    header: str
    atomic_outputs: bool
    math_mode: str
    is_row_contiguous: bool = True
    """Whether inputs are laid out in rows before it is called."""


@dataclass(frozen=True)
class RecordedCall:
    """One call of a kernel."""

    kernel: MadeKernel
    inputs: tuple[RecordedArray | Number, ...]
    outputs: tuple[RecordedArray, ...]
    grid: tuple[int, int, int]
    threadgroup: tuple[int, int, int]
    template: tuple[tuple[str, Number | str], ...]
    init_value: float | None


@dataclass(frozen=True)
class Recording:
    """What a script did."""

    calls: tuple[RecordedCall, ...]
    names: dict[str, Any]
    """Its global names, where a reference may be found."""


def record(script: Path) -> Recording:
    """Run a script as `python script` does, without arguments, and write its calls down.

    Raises:
        UsageError: It cannot be read, ends in an error, or calls no kernel.
    """
    calls: list[RecordedCall] = []
    with _as_the_program(script), _watched(calls), redirect_stdout(sys.stderr):
        try:
            names = runpy.run_path(str(script), run_name="__main__")
        except SystemExit as error:
            names = _names_where_it_ended(error, script)
            if error.code not in (None, 0):
                raise UsageError(f"{script} ended with exit code {error.code}") from None
        except Exception as error:
            raise UsageError(f"{script}{_line(error, script)}: {_first_line(error)}") from error
    if not calls:
        raise UsageError(
            f"{script} called no kernel; it must make one with mx.fast.metal_kernel and call it"
        )
    return Recording(tuple(calls), names)


@contextmanager
def _as_the_program(script: Path) -> Iterator[None]:
    """Let a script find its own arguments, of which there are none, and modules beside it."""
    arguments, places = sys.argv, list(sys.path)
    sys.argv = [str(script)]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        yield
    finally:
        sys.argv = arguments
        sys.path[:] = places


def _names_where_it_ended(error: SystemExit, script: Path) -> dict[str, Any]:
    """Global names of a script that ended itself: `runpy` gives none then."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    own = (frame for frame in frames if frame.f_code.co_filename == str(script))
    return next((dict(frame.f_globals) for frame in own), {})


@contextmanager
def _watched(calls: list[RecordedCall]) -> Iterator[None]:
    """Let every kernel that is made be one that is watched."""
    import mlx.core as mx

    import foundry.msl.stand_in.metal_kernel as own
    from foundry.msl.stand_in.metal import metal

    with metal():
        places = [(mx.fast, mx.fast.metal_kernel), (own, own.metal_kernel)]
        for holder, make in places:
            setattr(holder, "metal_kernel", _watching(make, calls))  # noqa: B010
        try:
            yield
        finally:
            for holder, make in places:
                setattr(holder, "metal_kernel", make)  # noqa: B010


def _watching(make: Callable[..., Any], calls: list[RecordedCall]) -> Callable[..., Any]:
    def metal_kernel(
        name: str,
        input_names: Sequence[str],
        output_names: Sequence[str],
        source: str,
        header: str = "",
        ensure_row_contiguous: bool = True,
        atomic_outputs: bool = False,
        **more: Any,
    ) -> Callable[..., Any]:
        kernel = make(
            name, input_names, output_names, source, header, ensure_row_contiguous,
            atomic_outputs, **more,
        )  # fmt: skip
        mode = (more.get("compile_options") or {}).get("math_mode", "safe")
        names = tuple(input_names), tuple(output_names)
        made = MadeKernel(name, *names, source, header, atomic_outputs, mode, ensure_row_contiguous)

        def call(**arguments: Any) -> Any:
            results = kernel(**arguments)
            calls.append(_call(made, arguments))
            return results

        return call

    return metal_kernel


def _call(kernel: MadeKernel, arguments: dict[str, Any]) -> RecordedCall:
    shapes, dtypes = arguments["output_shapes"], arguments["output_dtypes"]
    outputs = [RecordedArray(tuple(s), _dtype(d)) for s, d in zip(shapes, dtypes, strict=True)]
    return RecordedCall(
        kernel,
        tuple(map(_input, arguments["inputs"])),
        tuple(outputs),
        _triple(arguments["grid"]),
        _triple(arguments["threadgroup"]),
        tuple((n, _template(v)) for n, v in arguments.get("template") or ()),
        arguments.get("init_value"),
    )


def _input(value: Any) -> RecordedArray | Number:
    if isinstance(value, bool | int | float):
        return value
    if value.ndim == 0:
        number: Number = value.item()
        return number
    return RecordedArray(tuple(value.shape), _dtype(value.dtype))


def _template(value: Any) -> Number | str:
    return value if isinstance(value, bool | int) else _dtype(value)


def _dtype(dtype: Any) -> str:
    name = str(dtype).rpartition(".")[2]
    return "bool_" if name == "bool" else name


def _triple(sizes: Sequence[int]) -> tuple[int, int, int]:
    if not 1 <= len(sizes) <= 3:
        raise ValueError(f"a grid and a threadgroup have one to three sizes, not {len(sizes)}")
    x, y, z = [*map(int, sizes), 1, 1][:3]
    return x, y, z


def _line(error: BaseException, script: Path) -> str:
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(script)
    ]
    return f", line {lines[-1]}" if lines else ""


def _first_line(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
