"""`patch(model)`: the kernels of the package in the place of a model's own code, layer by layer.

1. `families` says whether the model may be touched.
2. For each class of layers in the tree, every pattern of the mode is asked for a new `__call__`.
3. Layers of that class become a subclass that has it: weights, names and checks of their type stay
   as they are, other models are not touched, and `unpatch` gives every layer its class back.
"""

from __future__ import annotations

import copy
import copyreg
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType
from typing import Any

import mlx.nn as nn

from ..device import HERE
from ..dispatch import functions
from .families import check_module, family_of
from .pattern import MODES, Mode, ModelPattern, Serving
from .patterns import PATTERNS

# Named after the package: the layers of a model may have kernels of several.
_PLAIN = f"_plain_class_of_{HERE.name}"
_SHARED = f"_stands_for_in_{HERE.name}"
_BARE = {"_no_grad", "_training"}


@dataclass(frozen=True)
class PatchReport:
    """What `patch` did."""

    family: str
    mode: Mode
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Patterns by the path of a layer."""
    left: Mapping[str, str] = field(default_factory=dict)
    """What was left alone, and why."""

    @property
    def counts(self) -> dict[str, int]:
        """Layers by pattern."""
        names = [name for patterns in self.layers.values() for name in patterns]
        return {name: names.count(name) for name in dict.fromkeys(names)}

    def __str__(self) -> str:
        """One line for what was done, one for each thing that was left alone."""
        done = ", ".join(f"{name} x{count}" for name, count in self.counts.items()) or "nothing"
        said = [f"{self.family}, {self.mode}: {done}"]
        return "\n".join([*said, *(f"{name}: {why}" for name, why in self.left.items())])


@dataclass(frozen=True)
class _Patching:
    patterns: Sequence[ModelPattern]
    serving: Serving
    made: dict[type, tuple[type, tuple[str, ...]]] = field(default_factory=dict)
    """For every class that was met: the class with kernels, and the patterns in it."""


def patch(
    model: Any, mode: Mode = "stable", *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> PatchReport:
    """Put kernels into a model, in place.

    Args:
        model: An `mlx.nn.Module`, such as `mlx_lm.load` gives.
        mode: `stable`, `fast` or `edge`.
        only: Names of patterns; empty: all of the mode.
        without: Names of patterns that are left out.

    Returns:
        What was done, and what was left alone and why; print it.

    Raises:
        ValueError: No module, or a mode or pattern that does not exist.
    """
    family = family_of(model)
    wanted = _wanted(mode, only, without)
    if family.refused:
        return PatchReport(family.name, mode, left={"model": family.refused})
    unpatch(model)
    served = [p for p in wanted if any(op in functions() for op in p.ops)]
    left = {p.name: f"no {p.ops[0]} in this package" for p in wanted if p not in served}
    asked = _Patching(served, Serving(functions(), exactly=mode == "stable"))
    _own_shared(model)
    layers = {path: _patched(layer, asked) for path, layer in model.named_modules()}
    found = {path: names for path, names in layers.items() if names}
    used = {name for names in found.values() for name in names}
    left |= {p.name: "no such layer in this model" for p in served if p.name not in used}
    left |= _of_later_modes(mode, only)
    return PatchReport(family.name, mode, found, left)


def unpatch(model: Any) -> int:
    """Give every layer back the code that it had before this package.

    Where another package patched a layer after this one, take out that one first.

    Returns:
        How many layers had kernels.

    Raises:
        ValueError: It is no module.
    """
    check_module("unpatch", model)
    found = [layer for _, layer in model.named_modules() if _PLAIN in vars(type(layer))]
    for layer in found:
        # One layer may stand in several places.
        layer.__class__ = vars(type(layer)).get(_PLAIN, type(layer))
    for parent, name, layer in _children(model):
        if (shared := vars(layer).get(_SHARED)) is not None:
            setattr(parent, name, shared)
    return len(found)


def _own_shared(model: nn.Module) -> None:
    """Give a model layers of its own in the place of those that every model may share.

    A layer without any state, such as the default activation of mlx-lm's experts, is one object
    for all models; its class must not change for one of them.
    """
    for parent, name, layer in _children(model):
        if not layer and vars(layer).keys() <= _BARE:
            own = copy.copy(layer)
            vars(own)[_SHARED] = layer
            setattr(parent, name, own)


def _children(model: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    """Every layer that is an attribute of another, with that other and its name there."""
    return [
        (parent, name, layer)
        for _, parent in model.named_modules()
        for name, layer in parent.items()
        if isinstance(layer, nn.Module)
    ]


@contextmanager
def patched(
    model: Any, mode: Mode = "stable", *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> Iterator[PatchReport]:
    """A model with kernels for the duration of a block; after it with those it had before."""
    check_module("patched", model)
    kinds = [(layer, type(layer)) for _, layer in model.named_modules()]
    own = [child for child in _children(model) if _SHARED in vars(child[2])]
    report = patch(model, mode, only=only, without=without)
    try:
        yield report
    finally:
        unpatch(model)
        for layer, kind in kinds:
            layer.__class__ = kind
        for parent, name, layer in own:
            setattr(parent, name, layer)


def _wanted(mode: Mode, only: Sequence[str], without: Sequence[str]) -> list[ModelPattern]:
    if mode not in MODES:
        raise ValueError(f"mode is '{mode}'; give {', '.join(MODES)}")
    known = [pattern.name for pattern in PATTERNS]
    for given in (only, without):
        if isinstance(given, str) or not isinstance(given, Collection):
            like = given if isinstance(given, str) else known[0]
            raise ValueError(f"only and without take lists, as only=['{like}'], not {given!r}")
    for name in (*only, *without):
        if name not in known:
            raise ValueError(f"no pattern '{name}'; there are {', '.join(known)}")
    reach = MODES.index(mode)
    chosen = [p for p in PATTERNS if p.name in only] if only else list(PATTERNS)
    return [p for p in chosen if MODES.index(p.mode) <= reach and p.name not in without]


def _of_later_modes(mode: Mode, only: Sequence[str]) -> dict[str, str]:
    """Patterns that were asked for by name and that a mode has not."""
    asked = [pattern for pattern in PATTERNS if pattern.name in only]
    later = [p for p in asked if MODES.index(p.mode) > MODES.index(mode)]
    return {p.name: f"a pattern of mode {p.mode}; the mode is {mode}" for p in later}


def _patched(layer: nn.Module, asked: _Patching) -> tuple[str, ...]:
    """Give a layer its class with kernels; the patterns in it."""
    kind = type(layer)
    if kind not in asked.made:
        asked.made[kind] = _class_with_kernels(kind, asked)
    made, names = asked.made[kind]
    if names:
        layer.__class__ = made
        asked.made.setdefault(made, (made, names))
    return names


def _class_with_kernels(kind: type, asked: _Patching) -> tuple[type, tuple[str, ...]]:
    call, names = kind.__call__, []
    for pattern in asked.patterns:
        # What is compiled or otherwise wrapped cannot be looked into.
        new = pattern.swap(kind, call, asked.serving) if isinstance(call, FunctionType) else None
        if new is not None:
            call = new
            names.append(pattern.name)
    if not names:
        return kind, ()
    own = {"__call__": call, "__module__": kind.__module__, _PLAIN: kind}
    return _pickled_as_plain(type(kind))(kind.__name__, (kind,), own), tuple(names)


@cache
def _pickled_as_plain(kind: type[type]) -> Callable[..., type]:
    """A kind of classes that a pickle takes for the class that they stand for.

    A file then holds the plain model, and is read where this package is not; a copy in memory keeps
    its kernels.
    """
    made = type(kind.__name__, (kind,), {})
    copyreg.pickle(made, lambda layer: (operator.getitem, ((vars(layer)[_PLAIN],), 0)))
    return made
