"""What the device can do at most, measured inside the trusted worker.

Passes over bytes within each cache and beyond them give bandwidth, a matrix product gives
arithmetic. They are upper bounds for the physical floor, so every figure is the best of several
tries. Of a processor it is what one core can do, since times are taken on one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from foundry.harness.measuring.jobs import Peaks, Reach

_GPU_BYTES = 256 << 20
_GPU_CACHE_BYTES = 128 << 20
_UNKNOWN_CACHE_BYTES = 32 << 20
_LEAST_CACHE_BYTES = 16 << 10
_TOUCHED_BYTES = 4 << 20
_BEYOND_BYTES = 128 << 20
_SIDE = 96
"""So small that a BLAS stays on one thread, whatever else the machine does."""
_PRODUCTS = 50
_GPU_SIDE = 2048
_TRIES = 9


def calibrate(kind: str) -> dict[str, Any]:
    """Measure a device of this kind."""
    return asdict(_processor() if kind == "cpu" else _gpu())


def cache_sizes() -> tuple[int, ...]:
    """Sizes in bytes of the caches that one core of this machine has, smallest first."""
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    found = {_kibibytes(p / "size") * 1024 for p in folder.glob("index*") if _holds_data(p)}
    return tuple(sorted(s for s in found if s >= _LEAST_CACHE_BYTES)) or (_UNKNOWN_CACHE_BYTES,)


def _processor() -> Peaks:
    a = np.ones((_SIDE, _SIDE), np.float32)
    arithmetic = _best(lambda: [a @ a for _ in range(_PRODUCTS)], time.thread_time_ns)
    sizes = cache_sizes()
    # All that is touched fills half of a cache: the rest is for whatever else there is.
    caches = tuple(Reach(size, _rate(size // 4)) for size in sizes)
    return Peaks(
        caches=_falling(caches),
        memory_gb_s=_rate(max(_BEYOND_BYTES, sizes[-1])),
        gflops=_PRODUCTS * 2 * _SIDE**3 / arithmetic,
    )


def _falling(caches: tuple[Reach, ...]) -> tuple[Reach, ...]:
    """No cache is slower than a larger one, whatever disturbed the measurement."""
    most = [max(c.gb_s for c in caches[at:]) for at in range(len(caches))]
    return tuple(Reach(c.size, gb_s) for c, gb_s in zip(caches, most, strict=True))


def _rate(size: int) -> float:
    """Bytes per nanosecond that are read, or read and written, whichever is faster.

    By vector instructions; those that copy may be slow for a few kilobytes.
    """
    repeats = max(1, _TOUCHED_BYTES // size)
    source, target = (_repeated(np.ones(size, np.uint8), repeats) for _ in range(2))
    read_ns = _best(source.max, time.thread_time_ns)
    added_ns = _best(lambda: np.add(source, 1, out=target), time.thread_time_ns)
    return size * repeats * max(1 / read_ns, 2 / added_ns)


def _repeated(array: Any, times: int) -> Any:
    """The same bytes as many rows, so that one call goes over them many times."""
    return as_strided(array, (times, array.size), (0, 1))


def _gpu() -> Peaks:
    import mlx.core as mx

    long = mx.ones((_GPU_BYTES // 4,), mx.float32)
    square = mx.ones((_GPU_SIDE, _GPU_SIDE), mx.float32)
    mx.eval(long, square)
    rate = 2 * _GPU_BYTES / _best(lambda: mx.eval(long + 1))
    arithmetic = _best(lambda: mx.eval(square @ square))
    # Caches of a GPU are faster by a factor that no copy through MLX shows.
    gflops = 2 * _GPU_SIDE**3 / arithmetic
    return Peaks((Reach(_GPU_CACHE_BYTES, 8 * rate),), rate, gflops)


def _best(work: Callable[[], Any], clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Shortest of several durations in nanoseconds."""
    work()
    times = []
    for _ in range(_TRIES):
        start = clock()
        work()
        times.append(clock() - start)
    return float(max(min(times), 1))


def _holds_data(cache: Path) -> bool:
    try:
        return (cache / "type").read_text().strip() != "Instruction"
    except OSError:
        return False


def _kibibytes(path: Path) -> int:
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    unit = {"K": 1, "M": 1024}.get(text[-1:], 0)
    return int(text[:-1]) * unit if text[:-1].isdigit() else 0
