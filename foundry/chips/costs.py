"""What an instruction costs a scheduler of Apple's GPUs: cycles a SIMD-group, measured on the M1.

Throughputs are of philipturner/metal-benchmarks (M1 Max and A14). Left shifts are cheaper here than
measured there, because a load scales its index itself; `address` is what AMD's loads need and
Apple's do not.
"""

from __future__ import annotations

from collections.abc import Mapping

CYCLES: Mapping[str, float] = {
    "fp32": 1.0,
    "fp16": 1.0,
    "fp64": 32.0,
    "integer": 1.0,
    "compare": 1.0,
    "bitwise": 1.0,
    "convert": 4.0,
    "exp2": 4.0,
    "reciprocal": 6.0,
    "rsqrt": 8.0,
    "sine": 14.3,
    "multiply": 4.0,
    "wide_multiply": 8.0,
    "shift_left": 1.0,
    "shift_right": 4.0,
    "count": 4.0,
    "branch": 1.0,
    "shuffle": 2.0,
    "matrix": 17.5,
    "address": 0.0,
    "uniform_load": 0.0,
    "barrier": 2.0,
    "simd_barrier": 1.0,
    "device_load": 1.0,
    "device_store": 1.0,
    "device_atomic": 1.0,
    "shared_load": 1.0,
    "shared_store": 1.0,
    "shared_atomic": 1.0,
    "spill": 1.0,
}


def cycles(work: Mapping[str, float]) -> float:
    """Cycles of one scheduler, of work summed over SIMD-groups."""
    return sum(CYCLES.get(kind, 0.0) * count for kind, count in work.items())
