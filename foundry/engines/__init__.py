"""Where kernels run, by name. `auto` is the GPU of a Mac, else the cpu engine.

Other packages add engines through the entry point group `metal_foundry.engines`: the entry's name
is the device's, its value a class that keeps the promises of `foundry.engines.base.Engine`. An
engine that is not installed is named `module:Class`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import cast

from foundry.engines.base import Engine
from foundry.errors import EnvironmentUnusable, unknown
from ops import plugins

__all__ = ["get", "names"]

ENTRY_POINT_GROUP = "metal_foundry.engines"
_CLASSES = {
    "metal": "foundry.engines.metal:MetalEngine",
    "cpu": "foundry.engines.cpu:CpuEngine",
}
_NAMES = ("auto", *_CLASSES)


def names() -> tuple[str, ...]:
    """Names that `get` takes, `auto` first, those of other packages last.

    Raises:
        EnvironmentUnusable: A package uses a name that exists.
    """
    return (*_NAMES, *plugins.points(ENTRY_POINT_GROUP, "engine", _NAMES))


@functools.cache
def get(name: str) -> Engine:
    """The engine of this name, or of this `module:Class`.

    Raises:
        UsageError: for a name that does not exist.
        EnvironmentUnusable: when the engine does not load, or does not work on this machine.
    """
    if name == "auto":
        return _first_usable()
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
    if name in _CLASSES:
        return _imported(_CLASSES[name])
    if ":" in name:
        return _named(name)
    return _installed(name)


def _installed(name: str) -> Engine:
    points = plugins.points(ENTRY_POINT_GROUP, "engine", _NAMES)
    if name not in points:
        raise unknown("device", name, (*_NAMES, *points))
    made = cast(Callable[[], object], plugins.load(points[name], "engine"))()
    if not isinstance(made, Engine):
        fault = "lacks members of foundry.engines.base.Engine"
        raise plugins.broken(points[name], "engine", fault)
    return made


def _named(path: str) -> Engine:
    try:
        return _imported(path)
    except Exception as error:
        raise EnvironmentUnusable(
            f"engine '{path}' does not load: {type(error).__name__}: {error}.",
            "Name a module that Python finds here, and its class: --device my_engine:MyEngine.",
        ) from error


def _imported(path: str) -> Engine:
    module, _, attribute = path.partition(":")
    made: object = getattr(importlib.import_module(module), attribute)()
    if not isinstance(made, Engine):
        raise TypeError("it lacks members of foundry.engines.base.Engine")
    return made
