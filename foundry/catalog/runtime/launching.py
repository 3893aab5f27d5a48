"""A kernel made ready for one set of sizes: all but the arrays is decided before it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx

from .arguments import Sizes, dtype_in, dtype_of, shape_of, value

Record = Mapping[str, Any]
Plain = Callable[..., Sequence[mx.array]]


@dataclass(frozen=True)
class ReadyLaunch:
    """One launch: who runs it, which arrays it reads, and everything else that MLX asks for."""

    run: Callable[..., list[mx.array]]
    reads: tuple[int, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class ReadyKernel:
    """All launches of a kernel at one set of sizes.

    Arrays have places: constants first, then the inputs that are present, then what launches give.
    """

    constants: tuple[mx.array, ...]
    launches: tuple[ReadyLaunch, ...]
    outputs: tuple[int, ...]

    @property
    def is_one_launch(self) -> bool:
        """Whether it is one launch over the inputs as they are, whose results are the outputs."""
        if self.constants or len(self.launches) > 1:
            return False
        reads, given = self.launches[0].reads, len(self.launches[0].settings["output_shapes"])
        after = range(len(reads), len(reads) + given)
        return reads == tuple(range(len(reads))) and self.outputs == tuple(after)

    def __call__(self, *arrays: mx.array) -> tuple[mx.array, ...]:
        """From the present inputs to the outputs, both in the op's order and folded."""
        known = [*self.constants, *arrays]
        for launch in self.launches:
            known += launch.run(inputs=[known[at] for at in launch.reads], **launch.settings)
        return tuple([known[at] for at in self.outputs])


@dataclass(frozen=True)
class LaunchPlan:
    """A kernel at one set of sizes; the values of its parameters are open."""

    defaults: Mapping[str, Any]
    """Of the parameters."""
    absent: tuple[mx.array, ...]
    """What stands for the inputs that are not given."""
    launches: tuple[ReadyLaunch, ...]
    outputs: tuple[int, ...]

    def ready(self, params: Mapping[str, Any]) -> Plain:
        """The kernel as a function of its present inputs."""
        numbers = [_parameter(params[name], like) for name, like in self.defaults.items()]
        made = ReadyKernel((*numbers, *self.absent), self.launches, self.outputs)
        return _launch_of(made) if made.is_one_launch else made


def planned(op: Record, kernel: Record, sizes: Sizes, absent: frozenset[str]) -> LaunchPlan:
    """Everything about the launches of a kernel that sizes decide.

    Args:
        op: The op.
        kernel: The kernel.
        sizes: Of the call.
        absent: Optional inputs that are not given.
    """
    missing = {t["name"]: _absent(t, sizes) for t in op["inputs"] if t["name"] in absent}
    present = [t["name"] for t in op["inputs"] if t["name"] not in absent]
    places = {name: at for at, name in enumerate([*op["params"], *missing, *present])}
    count, launches = len(places), []
    for index, launch in enumerate(kernel["launches"]):
        reads = tuple(places[name] for name in launch["inputs"])
        settings = _settings(op, kernel, launch, sizes, absent)
        launches.append(ReadyLaunch(_metal_kernel(op["name"], kernel, index), reads, settings))
        places |= {name: at for at, name in enumerate(launch["outputs"], count)}
        count += len(launch["outputs"])
    outputs = tuple(places[t["name"]] for t in op["outputs"])
    return LaunchPlan(op["params"], tuple(missing.values()), tuple(launches), outputs)


def with_rules(
    kernel: Plain, plain: Plain, gradient: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """A kernel whose derivative is that of a backward kernel, or of plain MLX where none serves."""

    def backward(primals: Any, cotangents: Any, outputs: Any) -> Any:
        many = isinstance(primals, list | tuple)
        inputs = list(primals) if many else [primals]
        duals = list(cotangents) if isinstance(cotangents, list | tuple) else [cotangents]
        found = gradient(inputs, outputs, duals) if gradient else None
        gradients = _gradients(plain, inputs, duals) if found is None else found
        return gradients if many else gradients[0]

    function = mx.custom_function(kernel)
    function.vjp(backward)
    run: Callable[..., Any] = function
    return run


def _gradients(
    plain: Plain, inputs: Sequence[mx.array], duals: Sequence[mx.array]
) -> list[mx.array]:
    """Gradients of a function by plain MLX; those of indices and packed codes are zeros."""
    moving = [at for at, array in enumerate(inputs) if mx.issubdtype(array.dtype, mx.inexact)]

    def of_moving(*moved: mx.array) -> Sequence[mx.array]:
        given = dict(zip(moving, moved, strict=True))
        return plain(*[given.get(at, array) for at, array in enumerate(inputs)])

    found = mx.vjp(of_moving, [inputs[at] for at in moving], list(duals))[1]
    gradients = dict(zip(moving, found, strict=True))
    return [gradients.get(at, mx.zeros_like(array)) for at, array in enumerate(inputs)]


def _launch_of(kernel: ReadyKernel) -> Plain:
    """A kernel that is one launch, without the look at what goes where."""
    launch = partial(kernel.launches[0].run, **kernel.launches[0].settings)
    return lambda *arrays: launch(inputs=list(arrays))


def _settings(
    op: Record, kernel: Record, launch: Record, sizes: Sizes, absent: frozenset[str]
) -> dict[str, Any]:
    """What MLX is told of a launch beside its arrays."""
    flags = {t["flag"]: t["name"] not in absent for t in op["inputs"] if t["flag"]}
    names = {**sizes.axes, **flags}
    template: list[tuple[str, Any]] = [(n, dtype_of(d)) for n, d in sizes.types.items()]
    template += flags.items()
    for name, expression in launch["constants"]:
        constant = expression if isinstance(expression, bool) else value(expression, names)
        names[name] = int(constant)
        template.append((name, constant))
    declared = {t["name"]: t for t in [*op["outputs"], *kernel["temporaries"]]}
    outputs = [declared[name] for name in launch["outputs"]]
    return {
        "template": template,
        "grid": tuple(value(e, names) for e in launch["grid"]),
        "threadgroup": tuple(value(e, names) for e in launch["threadgroup"]),
        "output_shapes": [tuple(shape_of(t, sizes)) for t in outputs],
        "output_dtypes": [dtype_in(t, sizes) for t in outputs],
        "init_value": launch["init_value"],
    }


_made: dict[tuple[str, int], Any] = {}
"""MLX's object for every launch, by the kernel's hash."""


def _metal_kernel(op: str, kernel: Record, index: int) -> Any:
    key = (kernel["hash"], index)
    if key not in _made:
        launch = kernel["launches"][index]
        _made[key] = mx.fast.metal_kernel(
            name=f"{op}_{kernel['hash'][:12]}_{index}",
            input_names=launch["inputs"],
            output_names=launch["outputs"],
            source=launch["body"],
            header=kernel["header"],
            atomic_outputs=launch["atomic_outputs"],
            compile_options={"math_mode": launch["math_mode"]},
        )
    return _made[key]


def _parameter(given: Any, default: Any) -> mx.array:
    if isinstance(default, bool):
        return mx.array(bool(given))
    return mx.array(given, mx.int32 if isinstance(default, int) else mx.float32)


def _absent(tensor: Record, sizes: Sizes) -> mx.array:
    return mx.zeros([1] * len(tensor["shape"]), dtype_in(tensor, sizes))
