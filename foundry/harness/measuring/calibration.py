"""What the device can do at most, measured inside the trusted worker.

Copies within the cache and beyond it give bandwidth, a matrix product gives arithmetic. They are
upper bounds for the physical floor, so every figure is the best of several tries.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from foundry.harness.measuring.baseline import EmptyRotation
from foundry.harness.measuring.jobs import Peaks, TimingPlan
from foundry.harness.measuring.loop import Side

_CACHED_BYTES = 128 << 10
_GPU_BYTES = 256 << 20
_GPU_CACHE_BYTES = 128 << 20
_UNKNOWN_CACHE_BYTES = 32 << 20
_SIDE = 96
"""So small that a BLAS stays on one thread, whatever else the machine does."""
_PRODUCTS = 50
_GPU_SIDE = 2048
_TRIES = 9


def calibrate(kind: str) -> Peaks:
    """Measure a device of this kind."""
    return _processor() if kind == "cpu" else _gpu()


def cache_bytes(kind: str) -> int:
    """Size of the last-level cache."""
    if kind != "cpu":
        return _GPU_CACHE_BYTES
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    sizes = [_kibibytes(p) for p in folder.glob("index*/size")]
    return max(sizes, default=0) * 1024 or _UNKNOWN_CACHE_BYTES


def _processor() -> Peaks:
    size = cache_bytes("cpu")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = cores or 1
    a = np.ones((_SIDE, _SIDE), np.float32)
    arithmetic = _best(lambda: [a @ a for _ in range(_PRODUCTS)])
    return Peaks(
        cached_gb_s=threads * _copy_rate(_CACHED_BYTES, 200, 1),
        memory_gb_s=_copy_rate(min(size, 256 << 20), 1, threads),
        cache_bytes=size,
        gflops=threads * _PRODUCTS * 2 * _SIDE**3 / arithmetic,
        mlx_dispatch_us=_mlx_dispatch_us(),
    )


def _copy_rate(size: int, repeats: int, threads: int) -> float:
    """Bytes read and written per nanosecond by copies of `size` bytes on each of some threads."""
    pairs = [(np.ones(size, np.uint8), np.zeros(size, np.uint8)) for _ in range(threads)]

    def copy(pair: tuple[Any, Any]) -> None:
        for _ in range(repeats):
            np.copyto(pair[1], pair[0])

    if threads == 1:
        return 2 * size * repeats / _best(lambda: copy(pairs[0]))
    with ThreadPoolExecutor(threads) as pool:
        return 2 * size * repeats * threads / _best(lambda: list(pool.map(copy, pairs)))


def _gpu() -> Peaks:
    import mlx.core as mx

    long = mx.ones((_GPU_BYTES // 4,), mx.float32)
    square = mx.ones((_GPU_SIDE, _GPU_SIDE), mx.float32)
    mx.eval(long, square)
    rate = 2 * _GPU_BYTES / _best(lambda: mx.eval(long + 1))
    arithmetic = _best(lambda: mx.eval(square @ square))
    # Caches of a GPU are faster by a factor that no copy through MLX shows.
    gflops = 2 * _GPU_SIDE**3 / arithmetic
    return Peaks(8 * rate, rate, _GPU_CACHE_BYTES, gflops, _mlx_dispatch_us())


def _mlx_dispatch_us() -> float:
    return Side(EmptyRotation(), TimingPlan().baseline_batch_us).dispatch_us()


def _best(work: Callable[[], Any]) -> float:
    """Shortest of several durations in nanoseconds."""
    work()
    times = []
    for _ in range(_TRIES):
        start = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - start)
    return float(max(min(times), 1))


def _kibibytes(path: Path) -> int:
    text = path.read_text().strip()
    unit = {"K": 1, "M": 1024}.get(text[-1:], 0)
    return int(text[:-1]) * unit if text[:-1].isdigit() else 0
