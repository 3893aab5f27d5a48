"""Metal Foundry: search, prove, time and ship Metal kernels for MLX, on any machine."""

from __future__ import annotations

from typing import Any

__all__ = ["__version__", "metal_kernel"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "metal_kernel":
        from foundry.msl.stand_in.metal_kernel import metal_kernel

        return metal_kernel
    raise AttributeError(f"module 'foundry' has no attribute '{name}'")
