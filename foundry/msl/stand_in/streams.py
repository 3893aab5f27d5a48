"""Lets MLX's operations take the GPU's devices and streams by name: they run on the CPU.

`mx.add(a, b, stream=mx.gpu)` fails in an MLX without a GPU, however the default device is set.
While Metal stands in, every function that takes a stream is asked through `on_cpu`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

_SUBMODULES = ("fast", "fft", "linalg", "random")
_ABOUT_STREAMS = {
    "default_stream",
    "new_stream",
    "new_thread_local_stream",
    "new_thread_unsafe_stream",
    "stream",
    "synchronize",
}


def replacements(mx: Any) -> Iterator[tuple[Any, str, Any]]:
    """What to set while Metal stands in: module, name, function."""
    for module in (mx, *(getattr(mx, name) for name in _SUBMODULES)):
        for name, function in vars(module).items():
            takes_stream = "stream: Stream" in (function.__doc__ or "") or name in _ABOUT_STREAMS
            if type(function).__name__ == "nb_func" and takes_stream:
                yield module, name, _with_cpu_streams(mx, function)


def on_cpu(mx: Any, place: Any) -> Any:
    """A device or stream, the CPU for what names the GPU."""
    device = place.type if isinstance(place, mx.Device) else place
    return mx.cpu if isinstance(device, mx.DeviceType) and device == mx.gpu else place


def _with_cpu_streams(mx: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        for name in ("stream", "device"):
            if name in named:
                named[name] = on_cpu(mx, named[name])
        if arguments and isinstance(arguments[-1], mx.Device | mx.DeviceType):
            arguments = (*arguments[:-1], on_cpu(mx, arguments[-1]))
        return function(*arguments, **named)

    return call
