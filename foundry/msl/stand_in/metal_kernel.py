"""`foundry.metal_kernel`: `mx.fast.metal_kernel` on any machine.

1. On a Mac it is `mx.fast.metal_kernel` itself.
2. Elsewhere MLX's own function checks the arguments and generates the source while exporting, so
   every check, error and name is MLX's; the kernel then runs on the cpu engine's runtime.
3. A call evaluates its inputs and returns arrays that hold their values: the CPU cannot take part
   in the tracing of `mx.compile` or `mx.vmap`, and says so. Gradients that would pass through a
   kernel raise what MLX raises, for the values alone would count as constants (`untransformed`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from foundry.errors import LaunchFailed
from foundry.msl.frontend.signature import Captured, capture
from foundry.msl.run.builder import Builder, Text, default_builder
from foundry.msl.run.memory import argument_buffers, filling, refuse_sizes
from foundry.msl.run.runtime import (
    MAX_STORAGE_BYTES,
    LaunchEnded,
    Launcher,
    LoadedKernel,
    launch_limit_s,
    worker_threads,
)
from foundry.msl.run.walled import walled
from foundry.msl.stand_in import untransformed
from foundry.msl.stand_in.ending import EndedLaunch
from foundry.program import BuildFailure, TensorSpec
from ops.dtypes import numpy_dtype


def metal_kernel(
    name: str,
    input_names: Sequence[str],
    output_names: Sequence[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    atomic_outputs: bool = False,
    compile_options: Mapping[str, Any] | None = None,
) -> Callable[..., list[Any]]:
    """A Metal kernel as a function of arrays; arguments and errors of `mx.fast.metal_kernel`.

    The function takes `inputs`, `output_shapes`, `output_dtypes`, `grid`, `threadgroup` (both in
    threads) and optionally `template`, `init_value`, `verbose` and `stream`, and returns a list of
    arrays.

    Raises:
        ValueError: as MLX does for arguments that do not fit.
        RuntimeError: when called, for a kernel that does not compile or deadlocks.
        EnvironmentUnusable: when called where the compiler is missing.
    """
    make, has_metal = mlx_metal()
    generator = make(
        name,
        input_names,
        output_names,
        source,
        header,
        ensure_row_contiguous,
        atomic_outputs,
        compile_options,
    )
    if has_metal:
        return generator
    math_mode = (compile_options or {}).get("math_mode", "safe")
    names = tuple(input_names), tuple(output_names)
    return _Kernel(generator, name, *names, source, header, ensure_row_contiguous, math_mode)


@functools.cache
def mlx_metal() -> tuple[Callable[..., Callable[..., Any]], bool]:
    """MLX's own `metal_kernel`, and whether Metal is here; asked before anything stands in."""
    import mlx.core as mx

    make = cast(Callable[..., Callable[..., Any]], mx.fast.metal_kernel)
    return make, bool(mx.metal.is_available())


on_first_library: list[Callable[[Any], None]] = []
"""Called once with the runtime when a kernel has been loaded; filled by who stands in for Metal."""


@dataclass(frozen=True)
class _Kernel:
    """What `metal_kernel` returns where there is no Metal."""

    generator: Callable[..., Any]
    """MLX's own."""
    name: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    source: str
    header: str
    ensure_row_contiguous: bool
    math_mode: str

    def __call__(self, **arguments: Any) -> list[Any]:
        import mlx.core as mx

        captured = self._capture(arguments)
        inputs = [
            _row_contiguous(array) if self.ensure_row_contiguous else array
            for array in map(_values, arguments["inputs"])
        ]
        text = Text(captured, self.header, self.source, self.math_mode)
        library = self._library(text)
        specs = self._output_specs(arguments)
        with walled(specs) as outputs:
            _fill(outputs, arguments.get("init_value"))
            addresses, kept = argument_buffers(inputs, outputs, captured)
            sizes = captured.grid, captured.threadgroup
            launcher = Launcher(library, *sizes, addresses, strict=False)
            try:
                launcher.run(worker_threads(), launch_limit_s())
            except LaunchEnded as error:
                named = dict(zip(self.input_names, inputs, strict=True))
                init_value = arguments.get("init_value")
                ended = EndedLaunch(self.name, text, named, tuple(specs), init_value, error)
                raise RuntimeError(f"[metal_kernel] {ended.sentence}") from error
            except LaunchFailed as error:
                raise RuntimeError(f"[metal_kernel] {error}") from error
            del kept  # until here the kernel may use what it holds
            results = [mx.array(array) for array in outputs]
        return untransformed.tied([v for v in arguments["inputs"] if _is_array(v)], results)

    def _output_specs(self, arguments: Mapping[str, Any]) -> list[TensorSpec]:
        given = zip(
            self.output_names,
            arguments["output_shapes"],
            arguments["output_dtypes"],
            strict=True,
        )
        specs = [TensorSpec(n, tuple(s), str(d).rpartition(".")[2]) for n, s, d in given]
        for spec in specs:
            if any(size < 0 for size in spec.shape):
                raise ValueError(
                    f"[metal_kernel] output '{spec.name}' has the shape {spec.shape}: no size may "
                    "be negative"
                )
        return specs

    def _capture(self, arguments: dict[str, Any]) -> Captured:
        """MLX's checks and text for these arguments; arrays are traced, scalars are not."""
        import mlx.core as mx

        stand_ins = list(arguments.get("inputs") or ())
        traced = [at for at, value in enumerate(stand_ins) if isinstance(value, mx.array)]
        rest = {key: value for key, value in arguments.items() if key != "inputs"}
        if "stream" in rest and _is_gpu(rest["stream"]):
            rest["stream"] = None

        def call(*arrays: Any) -> Any:
            for at, array in zip(traced, arrays, strict=True):
                stand_ins[at] = array
            given = {"inputs": stand_ins} if "inputs" in arguments else {}
            return self.generator(**given, **rest)

        with mx.stream(mx.cpu):
            blanks = [mx.zeros(stand_ins[at].shape, stand_ins[at].dtype) for at in traced]
        return capture(call, blanks)

    def _library(self, text: Text) -> LoadedKernel:
        captured = text.captured
        refusal = refuse_sizes(captured)
        if refusal:
            raise ValueError(refusal)
        result = _builder().build(text)
        if isinstance(result, BuildFailure):
            raise RuntimeError(
                f"[metal::Device] Unable to build metal library from source\n{result.log}\n"
            )
        if result.storage_bytes > MAX_STORAGE_BYTES:
            raise RuntimeError(
                f"[metal::Device] Unable to load kernel {captured.kernel}\nThreadgroup memory size"
                f" ({result.storage_bytes}) exceeds the maximum threadgroup memory allowed"
                f" ({MAX_STORAGE_BYTES})\n"
            )
        while on_first_library:
            on_first_library.pop()(result.runtime)
        return result


@functools.cache
def _builder() -> Builder:
    return default_builder()


def survive_divisions(runtime: Any) -> None:
    """From now on no integer division ends this process, in MLX's own operations either.

    Where Metal stands in they are a GPU's, which goes on after a division by zero.
    """
    runtime.mf_survive_all_divisions()


def _values(value: Any) -> NDArray[Any]:
    """The elements of an input, in place, with its own strides."""
    import mlx.core as mx

    array = value if isinstance(value, mx.array) else mx.array(value)
    if array.dtype == mx.float64:
        raise ValueError("float64 is not supported on the GPU")
    try:
        mx.eval(array)
    except ValueError as error:
        if "function transformations" in str(error):
            raise untransformed.NotTraceable from error
        raise
    if array.dtype == mx.bfloat16:
        return np.array(array.view(mx.uint16), copy=False).view(numpy_dtype("bfloat16"))
    return np.array(array, copy=False)


def _row_contiguous(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _fill(outputs: Sequence[NDArray[Any]], value: float | None) -> None:
    """What outputs hold before the launch, when the caller says so."""
    if value is None:
        return
    for array in outputs:
        array[...] = filling(value, array.dtype)


def _is_array(value: Any) -> bool:
    import mlx.core as mx

    return isinstance(value, mx.array)


def _is_gpu(stream: Any) -> bool:
    """Whether a stream argument names the GPU, which is all a Metal kernel takes."""
    import mlx.core as mx

    if isinstance(stream, mx.Stream):
        stream = stream.device
    if isinstance(stream, mx.Device):
        stream = stream.type
    return isinstance(stream, mx.DeviceType) and stream == mx.DeviceType.gpu
