"""What transformations of MLX get from a kernel that ran on the CPU: a refusal, never zeros.

MLX gives `CustomKernel` no vjp, jvp or vmap, and raises. The values that the CPU computes are no
part of MLX's graph and would count as constants; `tied` makes them depend on the kernel's inputs
again, through a function whose derivatives raise the same words.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn, cast

_NOT_IMPLEMENTED = "[Primitive::{}] Not implemented for CustomKernel."


class NotTraceable(ValueError, RuntimeError):
    """A kernel inside `mx.vmap` or `mx.compile`, which look the same from here.

    MLX raises ValueError for `vmap`; `compile` works with Metal, and is an error of this run alone.
    """

    def __init__(self) -> None:
        super().__init__(
            f"{_NOT_IMPLEMENTED.format('vmap')} metal_kernel runs on the CPU here and needs the"
            " values of its inputs, so it cannot be inside mx.compile or mx.vmap; call it outside"
            " of them, or run pytest with -p foundry.msl.pytest_plugin, which turns compilation off"
        )


def tied(inputs: list[Any], outputs: list[Any]) -> list[Any]:
    """The outputs, as arrays that depend on the inputs and have no derivative."""
    return _tie()(inputs, outputs) if inputs else outputs


@functools.cache
def _tie() -> Callable[[list[Any], list[Any]], list[Any]]:
    import mlx.core as mx

    tie = cast(Any, mx.custom_function)(lambda inputs, outputs: outputs)
    tie.vjp(lambda *_: _refuse("vjp"))
    tie.jvp(lambda *_: _refuse("jvp"))
    return cast(Callable[[list[Any], list[Any]], list[Any]], tie)


def _refuse(transformation: str) -> NoReturn:
    raise ValueError(_NOT_IMPLEMENTED.format(transformation))
