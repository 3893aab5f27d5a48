"""Where kernels run, by name. `auto` is the GPU of a Mac, else the cpu engine."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

from foundry.errors import EnvironmentUnusable, unknown

if TYPE_CHECKING:
    from foundry.engines.base import Engine

__all__ = ["get", "names"]

_NAMES = ("auto", "metal", "cuda", "cpu")
_CLASSES = {
    "metal": "foundry.engines.metal:MetalEngine",
    "cpu": "foundry.engines.cpu:CpuEngine",
}


def names() -> tuple[str, ...]:
    """Names that `get` takes, `auto` first."""
    return _NAMES


@functools.cache
def get(name: str) -> Engine:
    """The engine of this name.

    Raises:
        UsageError: for a name that does not exist.
        EnvironmentUnusable: when the engine does not work on this machine.
    """
    if name == "auto":
        return _first_usable()
    if name not in _NAMES:
        raise unknown("device", name, _NAMES)
    if name not in _CLASSES:
        raise EnvironmentUnusable(
            f"this version has no engine for device '{name}' yet.", "Use '--device cpu'."
        )
    engine = _make(name)
    reason = engine.unavailable()
    if reason is not None:
        raise EnvironmentUnusable(f"device '{name}':", reason)
    return engine


def _first_usable() -> Engine:
    metal = _make("metal")
    return metal if metal.unavailable() is None else get("cpu")


@functools.cache
def _make(name: str) -> Engine:
    module, _, attribute = _CLASSES[name].partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise EnvironmentUnusable(
            f"device '{name}':", "this version has no engine for it; use '--device cpu'."
        ) from None
    engine: Engine = getattr(found, attribute)()
    return engine
