"""Makes MLX on this machine answer as if Metal were here, for code that asks before it uses it.

1. `mx.fast.metal_kernel` becomes `foundry.metal_kernel`; everything else computes on the CPU.
2. Questions (`mx.metal.is_available`, the default device, device information) are answered for a
   GPU; streams and devices of the GPU are taken as the CPU's.
3. `mx.compile` is turned off, since a kernel that runs on the CPU cannot be traced.
4. Integer divisions by zero, which a GPU passes over, end no process.
5. Packages that use MLX find themselves on a Mac (`mac`).

Where Metal is real nothing is changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from foundry.msl.stand_in import mac, streams
from foundry.msl.stand_in.metal_kernel import (
    metal_kernel,
    mlx_metal,
    on_first_library,
    survive_divisions,
)


@contextmanager
def metal() -> Iterator[None]:
    """Metal stands in for the duration of the block."""
    import mlx.core as mx

    if mlx_metal()[1]:
        yield
        return
    with ExitStack() as stack:
        for holder, name, value in _replacements(mx):
            stack.callback(setattr, holder, name, getattr(holder, name))
            setattr(holder, name, value)
        on_first_library.append(survive_divisions)
        mx.disable_compile()
        stack.callback(mx.enable_compile)
        yield


def _replacements(mx: Any) -> list[tuple[Any, str, Any]]:
    devices = _Devices(mx)
    return [
        *streams.replacements(mx),
        *mac.replacements(),
        (mx.fast, "metal_kernel", metal_kernel),
        (mx.metal, "is_available", lambda: True),
        (mx.metal, "device_info", _device_info),
        (mx, "device_info", _device_info),
        (mx, "is_available", lambda device: True),
        (mx, "device_count", lambda device: 1),
        (mx, "default_device", devices.default),
        (mx, "set_default_device", devices.set_default),
    ]


class _Devices:
    """The default device as a program sees it; MLX itself stays on the CPU."""

    def __init__(self, mx: Any) -> None:
        self._mx = mx
        self._chosen = mx.Device(mx.gpu, 0)

    def default(self) -> Any:
        """The device a program set last; the GPU at first, as on a Mac."""
        return self._chosen

    def set_default(self, device: Any) -> None:
        """Remember a device."""
        mx = self._mx
        self._chosen = mx.Device(device, 0) if isinstance(device, mx.DeviceType) else device


def _device_info(device: Any = None) -> dict[str, Any]:
    """What MLX tells of the smallest Apple GPU that runs every kernel; memory is this machine's."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "architecture": "applegpu_g13g",
        "device_name": "Apple M1 (foundry cpu engine)",
        "max_buffer_length": memory // 2,
        "max_recommended_working_set_size": memory * 2 // 3,
        "memory_size": memory,
        "resource_limit": 499000,
    }


def announce() -> str:
    """One line for a log: what runs where."""
    if mlx_metal()[1]:
        return "Metal kernels run on the GPU"
    return "Metal kernels run on the foundry cpu engine; mx.compile is off"
