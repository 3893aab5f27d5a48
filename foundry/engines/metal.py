"""The metal engine: each launch is one `mx.fast.metal_kernel`, untouched, on an Apple GPU.

It never ran on Apple hardware: tests drive it over a stand-in with MLX's own fills and errors. What
MLX's interface cannot give (guard zones around arrays) its device says.
"""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from foundry import mac
from foundry.engines import gpu_faults
from foundry.engines.base import Call
from foundry.engines.links import linked, smallest
from foundry.errors import EnvironmentUnusable
from foundry.program import Arrays, BuildFailure, Device, Launch, Program, TensorSpec, check_input
from ops.arrays import from_mlx, to_mlx

_MOST_THREADS = 1024
_TOO_MANY = re.compile(r"Thread group size \((\d+)\) is greater than\s+the maximum .*?\((\d+)\)")
_PLACES = re.compile(r"^(header|source):\d+:\d+: ", re.MULTILINE)
_UNWRITTEN = float(0xFEFEFE)
"""An integer that no dtype of MLX turns into 0: what nobody wrote must not look like a result."""


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

        info = dict(mx.device_info(mx.gpu))
        name = str(info.get("device_name", "Apple GPU"))
        return Device(
            "metal",
            name,
            {
                **{key: value for key, value in info.items() if isinstance(value, str | int)},
                **mac.facts(),
                "system": f"{platform.system()} {platform.mac_ver()[0]}",
                "mlx_version": importlib.metadata.version("mlx"),
                "unguarded": "memory beside arrays, which MLX places",
            },
        )

    def build(self, program: Program) -> MetalExecutable | BuildFailure:
        """Compile every launch by running it once on zeros, as MLX compiles when it evaluates.

        Whatever is raised is the kernel's fault, unless the GPU was stopped or an empty kernel
        does not build either.

        Raises:
            RuntimeError: Metal stopped the GPU's work; the text names the error.
            EnvironmentUnusable: No kernel builds here.
        """
        executable = MetalExecutable(program)
        for number in range(len(program.launches)):
            said = _refusal(executable, number)
            if said is None:
                continue
            if (words := _refusal(MetalExecutable(_emptied(program)), number)) is not None:
                raise EnvironmentUnusable(
                    f"an empty kernel does not build: {words[:400]}", "Run `foundry doctor`."
                )
            return BuildFailure(_worded(_placed(program, number, said)), number)
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
        if min(launch.grid) <= 0:
            return [_full(spec, filled or 0.0) for spec in launch.outputs]
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
        return MetalCall(self, inputs, poison)

    def forget(self, calls: Sequence[object]) -> None:
        """Fill as much memory as the calls take, and give it back: MLX hands it out again."""
        import mlx.core as mx

        filled = [
            _full(spec, _poison(launch))
            for _ in calls
            for launch in self.program.launches
            for spec in launch.outputs
        ]
        mx.eval(filled)


class MetalCall:
    """A program bound to its input arrays."""

    def __init__(
        self, executable: MetalExecutable, inputs: Mapping[str, NDArray[Any]], poison: bool
    ) -> None:
        self._executable = executable
        self.renew(inputs)
        self._fills = [
            _poison(launch) if poison else None for launch in executable.program.launches
        ]
        self._results: dict[str, Any] = {}

    def renew(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Copy other inputs to the GPU's memory."""
        import mlx.core as mx

        specs = self._executable.program.inputs
        for spec in specs:
            check_input(inputs[spec.name], spec)
        self._given = inputs
        self._inputs = {spec.name: to_mlx(inputs[spec.name]) for spec in specs}
        self._smallest = smallest(self._inputs)
        mx.eval(self._inputs)

    def __call__(self) -> None:
        """Run every launch once and wait."""
        import mlx.core as mx

        self._results = self.start(None)
        mx.eval(self._results)

    def link(self, after: Any) -> dict[str, Any]:
        """The input that waits for `after`."""
        if self._smallest is None:
            return {}
        return {self._smallest: linked(self._inputs[self._smallest], after)}

    def start(self, after: Any) -> dict[str, Any]:
        """The results of one call, not evaluated yet; it waits for `after`, if there is any."""
        program = self._executable.program
        arrays = self._inputs if after is None else self._inputs | self.link(after)
        arrays = dict(arrays)
        for number, launch in enumerate(program.launches):
            results = self._executable.launch(number, arrays, self._fills[number])
            arrays.update(zip((spec.name for spec in launch.outputs), results, strict=True))
        return {name: arrays[name] for name in program.outputs}

    def changed(self) -> str | None:
        """Name of an input that is no longer what it was given."""
        for name, array in self._inputs.items():
            if from_mlx(array).tobytes() != self._given[name].tobytes():
                return name
        return None

    def inputs(self) -> Arrays:
        """The inputs, from MLX's own memory."""
        return {name: from_mlx(array) for name, array in self._inputs.items()}

    def outputs(self) -> Arrays:
        """Results of the latest call."""
        return {name: from_mlx(array) for name, array in self._results.items()}


def _full(spec: TensorSpec, value: float) -> Any:
    import mlx.core as mx

    # Of a Python float `mx.full` makes floats, whatever dtype it is given.
    return mx.full(spec.shape, mx.array(value).astype(getattr(mx, spec.dtype)))


def _poison(launch: Launch) -> float:
    """NaN where all outputs can hold it, for it spoils whatever it gets into."""
    floats = all("float" in spec.dtype or "complex" in spec.dtype for spec in launch.outputs)
    return float("nan") if floats else _UNWRITTEN


def _refusal(executable: MetalExecutable, number: int) -> str | None:
    """What MLX says against one launch over zeros; None where it runs."""
    import mlx.core as mx

    program = executable.program
    earlier = (spec for launch in program.launches[:number] for spec in launch.outputs)
    specs = (*program.inputs, *earlier)
    zeros = {s.name: mx.zeros(s.shape, getattr(mx, s.dtype)) for s in specs}
    try:
        mx.eval(executable.launch(number, zeros, None))
    except (RuntimeError, ValueError) as error:
        if gpu_faults.fault_in(str(error)):
            raise
        return str(error)
    return None


def _placed(program: Program, number: int, said: str) -> str:
    """The compiler's words with places in the kernel's own text, where it names any.

    MLX puts its headers before the text, so what a compiler counts is no line of the kernel.
    """
    if _PLACES.search(said):
        return said
    launch = program.launches[number]
    marked = replace(
        launch,
        header=f'#line 1 "header"\n{launch.header}',
        source=f'#line 1 "source"\n{launch.source}',
    )
    launches = (*program.launches[:number], marked, *program.launches[number + 1 :])
    marked_said = _refusal(MetalExecutable(replace(program, launches=launches)), number)
    return marked_said if marked_said and _PLACES.search(marked_said) else said


def _worded(said: str) -> str:
    """The same, from its first place on; and what a limit means that is the kernel's own."""
    if place := _PLACES.search(said):
        return said[place.start() :]
    found = _TOO_MANY.search(said)
    if found is None or int(found[2]) >= _MOST_THREADS or int(found[1]) > _MOST_THREADS:
        return said
    return (
        f"this kernel needs so many registers that this GPU runs at most {found[2]} of its"
        f" threads together: take a threadgroup of at most {found[2]} threads, or keep fewer"
        f" values at a time.\n{said}"
    )


def _emptied(program: Program) -> Program:
    """The program with kernels that do nothing, one thread each."""
    return replace(
        program,
        launches=tuple(
            replace(
                launch, source=";", header="", grid=(1, 1, 1), threadgroup=(1, 1, 1), template=(),
                init_value=None, atomic_outputs=False, math_mode="safe",
            )
            for launch in program.launches
        ),
    )  # fmt: skip


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
