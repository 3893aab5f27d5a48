"""Which path each op of the package takes on this machine, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import choice
from .arguments import Record
from .choice import DISPATCH_VARIABLE, key_of
from .dispatch import CatalogFunction, here, known
from .learning.regions import TunedRegion

Row = dict[str, Any]


def rows(functions: Mapping[str, CatalogFunction]) -> list[Row]:
    """One row per op and dtype."""
    return [
        {"op": name, "dtype": dtype, **_path(function, dtype)}
        for name, function in functions.items()
        for dtype in function.op["dtypes"]
    ]


def _path(function: CatalogFunction, dtype: str) -> Row:
    kernels = [k for k in function.op["kernels"] if k["dtype"] == dtype]
    path, why = _choice(kernels, dtype)
    return {"path": path, "why": why, "kernels": [_shown(kernel) for kernel in kernels]}


def _choice(kernels: list[Any], dtype: str) -> tuple[str, str]:
    if not kernels:
        return "baseline", f"no kernel for {dtype}"
    if said := choice.nowhere():
        return "baseline", said
    reasons = [_off(kernel) or _nowhere(kernel) for kernel in kernels]
    serving = [k for k, reason in zip(kernels, reasons, strict=True) if not reason]
    if not serving:
        return "baseline", reasons[0]
    if choice.MODE == "all":
        return "kernel", f"{DISPATCH_VARIABLE}=all; {_named(serving)}"
    return "kernel", "; ".join(_where(kernel) for kernel in serving) + "; baseline elsewhere"


def _off(kernel: Record) -> str:
    """Why a kernel is off, as far as it was verified here; empty else."""
    verdict = here().verdicts.get(key_of(kernel))
    is_off = verdict is not None and not verdict.passed
    return f"kernel {kernel['hash'][:12]} is off: {verdict.detail}" if is_off and verdict else ""


def _nowhere(kernel: Record) -> str:
    """Why a kernel answers at no sizes at all; empty when it does at some."""
    where = known().winning(kernel)
    return "" if choice.MODE == "all" or where.regions else where.elsewhere


def _where(kernel: Record) -> str:
    regions = map(_told, known().winning(kernel).regions)
    return f"kernel {kernel['hash'][:12]} at " + " and ".join(regions)


def _told(region: TunedRegion) -> str:
    return f"{region.text} ({region.speedup:.2f}x, confidence {region.confidence:.2f})"


def _named(kernels: Sequence[Record]) -> str:
    return "kernel " + ", ".join(kernel["hash"][:12] for kernel in kernels)


def _shown(kernel: Record) -> Row:
    record, verdict = kernel["record"], here().verdicts.get(key_of(kernel))
    points = here().points.get(key_of(kernel), [])
    return {
        "hash": kernel["hash"],
        "device": record["device_name"],
        "status": record["status"],
        "timings": record["timings"],
        "verified_here": None if verdict is None else verdict.passed,
        "points_here": len(points),
        "against_here": sorted({point.baseline for point in points}),
        "wins_here": sum(point.wins for point in points),
    }
