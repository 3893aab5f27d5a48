"""The metal engine: each launch is one `mx.fast.metal_kernel`, untouched, on an Apple GPU.

It cannot run in CI, so it is kept thin; the shipped contract tests cover it on a Mac.
"""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from foundry.engines.base import Call
from foundry.program import Arrays, BuildFailure, Device, Launch, Program, check_input
from ops.arrays import from_mlx, to_mlx

_BUILD_ERRORS = ("Unable to build metal library", "Unable to load kernel", "Thread group size")


class MetalEngine:
    """Runs Metal kernels on the GPU of an Apple silicon machine."""

    name = "metal"

    def unavailable(self) -> str | None:
        """None on a Mac whose GPU MLX can use."""
        import mlx.core as mx

        if mx.metal.is_available():
            return None
        return "MLX finds no Apple GPU here; use '--device cpu', or run on an Apple silicon Mac."

    def device(self) -> Device:
        """The GPU, with the versions that may change a timing."""
        import mlx.core as mx

        info = dict(mx.device_info())
        name = str(info.get("device_name", "Apple GPU"))
        return Device(
            "metal",
            name,
            {
                **{key: value for key, value in info.items() if isinstance(value, str | int)},
                "system": f"{platform.system()} {platform.mac_ver()[0]}",
                "mlx_version": importlib.metadata.version("mlx"),
            },
        )

    def build(self, program: Program) -> MetalExecutable | BuildFailure:
        """Compile every launch by running it once on zeros, as MLX compiles when it evaluates."""
        import mlx.core as mx

        executable = MetalExecutable(program)
        arrays = {s.name: mx.zeros(s.shape, getattr(mx, s.dtype)) for s in program.inputs}
        for number, launch in enumerate(program.launches):
            try:
                mx.eval(executable.launch(number, arrays, None))
            except (RuntimeError, ValueError) as error:
                if any(words in str(error) for words in _BUILD_ERRORS):
                    return BuildFailure(str(error), number)
                raise
            arrays.update((s.name, mx.zeros(s.shape, getattr(mx, s.dtype))) for s in launch.outputs)
        return executable


class MetalExecutable:
    """A program whose kernels are compiled."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @functools.cached_property
    def _kernels(self) -> list[Any]:
        return [_kernel(launch) for launch in self.program.launches]

    def launch(self, number: int, arrays: Mapping[str, Any], fill: float | None) -> list[Any]:
        """Lazily run one launch over MLX arrays; `fill` is used where no `init_value` is set.

        A grid without threads is never dispatched: its outputs hold what they were filled with.
        """
        import mlx.core as mx

        launch = self.program.launches[number]
        filled = launch.init_value if launch.init_value is not None else fill
        if 0 in launch.grid:
            return [mx.full(s.shape, filled or 0, getattr(mx, s.dtype)) for s in launch.outputs]
        template = [(n, getattr(mx, v) if isinstance(v, str) else v) for n, v in launch.template]
        results: list[Any] = self._kernels[number](
            inputs=[arrays[name] for name in launch.inputs],
            output_shapes=[spec.shape for spec in launch.outputs],
            output_dtypes=[getattr(mx, spec.dtype) for spec in launch.outputs],
            grid=launch.grid,
            threadgroup=launch.threadgroup,
            template=template,
            init_value=filled,
        )
        return results

    def bind(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        poison: bool = False,
        over: Call | None = None,
    ) -> MetalCall:
        """Copy the inputs to the GPU's memory; see `foundry.engines.base.Executable`.

        MLX decides what memory a result takes: that of results nobody holds any more.
        """
        import mlx.core as mx

        for spec in self.program.inputs:
            check_input(inputs[spec.name], spec)
        arrays = {spec.name: to_mlx(inputs[spec.name]) for spec in self.program.inputs}
        mx.eval(arrays)
        return MetalCall(self, arrays, poison)


class MetalCall:
    """A program bound to its input arrays."""

    def __init__(self, executable: MetalExecutable, arrays: dict[str, Any], poison: bool) -> None:
        self._executable = executable
        self._inputs = arrays
        self._fills = [
            _poison(launch) if poison else None for launch in executable.program.launches
        ]
        self._results: dict[str, Any] = {}

    def __call__(self) -> None:
        """Run every launch once and wait."""
        import mlx.core as mx

        program = self._executable.program
        arrays = dict(self._inputs)
        for number, launch in enumerate(program.launches):
            results = self._executable.launch(number, arrays, self._fills[number])
            arrays.update(zip((spec.name for spec in launch.outputs), results, strict=True))
        self._results = {name: arrays[name] for name in program.outputs}
        mx.eval(self._results)

    def outputs(self) -> Arrays:
        """Results of the latest call."""
        return {name: from_mlx(array) for name, array in self._results.items()}


def _poison(launch: Launch) -> float:
    """NaN where an output can hold it, else -1: all bits set."""
    floats = any("float" in spec.dtype or "complex" in spec.dtype for spec in launch.outputs)
    return float("nan") if floats else -1.0


def _kernel(launch: Launch) -> Any:
    import mlx.core as mx

    return mx.fast.metal_kernel(
        name=launch.name,
        input_names=list(launch.inputs),
        output_names=[spec.name for spec in launch.outputs],
        source=launch.source,
        header=launch.header,
        atomic_outputs=launch.atomic_outputs,
        compile_options={"math_mode": launch.math_mode},
    )
