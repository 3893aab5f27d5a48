"""Fold sizes that are known at launch: `x_shape[1]` becomes a constant made from its axis."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import free_name, plain, taken_names
from foundry.kernel import Kernel, KernelLaunch
from ops.spec import Op


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each axis alone, and all axes at once."""
    used = [axis for axis in op.axis_names if _folded(kernel, op, (axis,)) is not None]
    choices = [(axis,) for axis in used] + ([tuple(used)] if len(used) > 1 else [])
    for axes in choices:
        changed = _folded(kernel, op, axes)
        if changed is not None:
            yield Variant(f"{' and '.join(axes)} known at compile time", changed)


def _folded(kernel: Kernel, op: Op, axes: tuple[str, ...]) -> Kernel | None:
    launches = tuple(_fold(kernel, launch, op, axes) for launch in kernel.launches)
    if launches == kernel.launches:
        return None
    return dataclasses.replace(kernel, launches=launches)


def _fold(kernel: Kernel, launch: KernelLaunch, op: Op, axes: tuple[str, ...]) -> KernelLaunch:
    body, constants = plain(launch.body), list(launch.constants)
    for axis in axes:
        known = next((name for name, value in constants if value == axis), None)
        name = known or free_name(axis.upper(), taken_names(kernel, launch))
        folded = body
        for tensor in op.inputs:
            for place, dimension in enumerate(tensor.shape):
                if dimension == axis:
                    pattern = rf"\b{re.escape(tensor.name)}_shape\s*\[\s*{place}[uU]?\s*\]"
                    folded = re.sub(pattern, name, folded)
        if folded != body and known is None:
            constants.append((name, axis))
        body = folded
    if body == plain(launch.body):
        return launch
    return dataclasses.replace(launch, body=body, constants=tuple(constants), lines={})
