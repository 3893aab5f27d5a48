"""Which path each op of the package takes on this machine, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .dispatch import DISPATCH_VARIABLE, MODE, CatalogFunction, chip, unfit

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
    if MODE == "off":
        return "baseline", f"{DISPATCH_VARIABLE}=off"
    if chip() is None:
        return "baseline", "Metal is not available on this machine"
    if MODE == "all":
        return "kernel", f"{DISPATCH_VARIABLE}=all; kernel {kernels[0]['hash'][:12]}"
    reasons = []
    for kernel in kernels:
        sizes = [{a: low for a, (low, _) in r.items()} for r in kernel["record"]["regions"]]
        reason = unfit(kernel, sizes[0] if sizes else {})
        if not reason:
            return "kernel", f"kernel {kernel['hash'][:12]} at {sizes}; baseline elsewhere"
        reasons.append(reason)
    return "baseline", reasons[0]


def _shown(kernel: Any) -> Row:
    record = kernel["record"]
    return {
        "hash": kernel["hash"],
        "device": record["device_name"],
        "status": record["status"],
        "timings": record["timings"],
    }
