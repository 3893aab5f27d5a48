"""Kernel text from MLX itself, taken apart.

1. `capture` traces a call of `mx.fast.metal_kernel` while exporting and keeps what MLX generated:
   the exact Metal source and every argument that reaches the launch.
2. `parse` splits that source at the places MLX put together: header, template line, parameters,
   body, instantiation. Nothing about the generator is guessed; what does not fit is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from foundry.errors import FoundryError
from foundry.program import Launch, Size3, TensorSpec

_PARAMETER = re.compile(
    r"  (?P<declaration>.*?)(?P<separator>[*&]? )(?P<name>\S+) \[\[(?P<slot>[^\]]*)\]\],?"
)
STORAGES = 256
"""In threadgroup memory, at most, declared and handed in (`prelude/target_cpu.h`)."""
_END_OF_PARAMETERS = ") {\n"
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class Captured:
    """One traced call: the generated source and the launch arguments beside it."""

    kernel: str
    source: str
    grid: Size3
    threadgroup: Size3
    shape_info: tuple[tuple[bool, bool, bool], ...]
    """Per input: whether its shape, strides and ndim are arguments."""
    facts: str = ""
    """What a whole function's unit says of it to the host, as C++."""
    threadgroup_bytes: tuple[int, ...] = ()
    """Of each argument in threadgroup memory."""
    may_overlap: bool = False
    """Whether two of its buffers may be the same memory."""

    @property
    def argument_bytes(self) -> dict[int, int]:
        """The same by number of the storage."""
        return {storage_of(n): size for n, size in enumerate(self.threadgroup_bytes)}


@dataclass(frozen=True)
class Parameter:
    """One parameter of the generated kernel function.

    `type` is the C++ type with its pointer or reference sign. One of the others says where its
    value comes from.
    """

    type: str
    name: str
    buffer: int | None = None
    """Index among the buffers."""
    attribute: str = ""
    """Name of a thread attribute."""
    storage: int | None = None
    """Number of its memory among the kernel's threadgroup storages."""


@dataclass(frozen=True)
class Signature:
    """The generated source, split."""

    kernel: str
    header: str
    template: str
    parameters: tuple[Parameter, ...]
    body: str
    arguments: str
    """Template arguments in angle brackets, or an empty string."""
    facts: str = ""
    """As in `Captured`."""
    may_overlap: bool = False
    """As in `Captured`."""

    @property
    def is_call(self) -> bool:
        """Whether its body is the host's call of a whole function."""
        return bool(self.facts)

    @property
    def attributes(self) -> frozenset[str]:
        """Names of the thread attributes the kernel takes."""
        return frozenset(p.attribute for p in self.parameters if p.attribute)


class SignatureError(FoundryError):
    """MLX's generated source has a form that does not compile on any machine."""


def capture(call: Callable[..., Any], arrays: Sequence[Any]) -> Captured:
    """Trace `call(*arrays)`, which must call one metal kernel, and keep what MLX generated.

    Raises:
        Exception: whatever `mx.fast.metal_kernel` raises for wrong arguments.
    """
    import mlx.core as mx

    seen: list[dict[str, Any]] = []
    cast(Any, mx.export_function)(seen.append, call, *arrays)
    found = [e for e in seen if e.get("type") == "primitive" and e["name"] == "CustomKernel"]
    if len(found) != 1:
        raise FoundryError(f"expected one metal kernel in the traced call, found {len(found)}")
    kernel, source, gx, gy, gz, tx, ty, tz, info = found[0]["arguments"][:9]
    return Captured(
        kernel, source, (gx, gy, gz), (tx, ty, tz), tuple((a, b, c) for a, b, c in info)
    )


def capture_launch(launch: Launch, inputs: Sequence[TensorSpec]) -> Captured:
    """What MLX generates for a launch over contiguous inputs of these shapes and dtypes."""
    import mlx.core as mx

    make = cast(Callable[..., Callable[..., Any]], mx.fast.metal_kernel)
    kernel = make(
        name=launch.name,
        input_names=list(launch.inputs),
        output_names=[spec.name for spec in launch.outputs],
        source=launch.source,
        header=launch.header,
        atomic_outputs=launch.atomic_outputs,
        compile_options={"math_mode": launch.math_mode},
    )
    template = [
        (name, getattr(mx, value) if isinstance(value, str) else value)
        for name, value in launch.template
    ]

    def call(*arrays: Any) -> Any:
        return kernel(
            inputs=list(arrays),
            output_shapes=[spec.shape for spec in launch.outputs],
            output_dtypes=[getattr(mx, spec.dtype) for spec in launch.outputs],
            grid=launch.grid,
            threadgroup=launch.threadgroup,
            template=template,
        )

    with mx.stream(mx.cpu):
        arrays = [mx.zeros(spec.shape, getattr(mx, spec.dtype)) for spec in inputs]
    return capture(call, arrays)


def parse(captured: Captured, header: str, source: str) -> Signature:
    """Split a generated source, given the header and body that went into it.

    Raises:
        SignatureError: when MLX's text is malformed (see the message).
    """
    if odd := _NO_NAME.search(captured.kernel):
        raise SignatureError(
            f"the kernel's name holds {odd[0]!r}: it becomes part of the name of a Metal function,"
            " which may hold letters, digits and underscores alone"
        )
    rest = captured.source.removeprefix(header)
    template = ""
    if rest.startswith("template"):
        template, _, rest = rest.partition("\n")
    start = f"[[kernel]] void {captured.kernel}(\n"
    parameters, _, tail = rest.removeprefix(start).partition(_END_OF_PARAMETERS)
    if not tail.startswith(source):
        raise SignatureError(
            "MLX generates a malformed signature for a kernel with two or more outputs that uses"
            " the shape, strides or ndim of an input and no thread attribute; name a thread"
            " attribute in the source, in a comment if need be"
        )
    instantiation = tail[len(source) :].removeprefix("\n}\n").strip()
    return Signature(
        kernel=captured.kernel,
        header=header,
        template=template,
        parameters=tuple(map(_parameter, filter(str.strip, parameters.split("\n")))),
        body=source,
        arguments=_arguments(instantiation, captured.kernel),
        facts=captured.facts,
        may_overlap=captured.may_overlap,
    )


def _parameter(line: str) -> Parameter:
    match = _PARAMETER.fullmatch(line)
    if match is None:
        raise SignatureError(f"MLX generated a parameter of an unknown form: '{line.strip()}'")
    kind, _, number = match["slot"].rstrip(")").partition("(")
    type_name = match["declaration"] + match["separator"].strip()
    if kind == "buffer":
        return Parameter(type_name, match["name"], buffer=int(number))
    if kind == "threadgroup":
        return Parameter(type_name, match["name"], storage=storage_of(int(number)))
    return Parameter(type_name, match["name"], attribute=kind)


def storage_of(argument: int) -> int:
    """The number of the storage that an argument in threadgroup memory is; from the end."""
    return STORAGES - 1 - argument


def _arguments(instantiation: str, kernel: str) -> str:
    match = re.search(r"decltype\(" + re.escape(kernel) + r"(<.*>)\)", instantiation)
    return match[1] if match else ""
