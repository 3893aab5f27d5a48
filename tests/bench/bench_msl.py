"""The cpu engine in numbers: builds, cached builds, and ops side by side with MLX's CPU back end.

Run with: python tests/bench/bench_msl.py [--json]
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from foundry.engines.base import Call
from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure, Launch, Program, TensorSpec

ROWS, COLS = 4096, 1024
ELEMENTWISE = "uint i = thread_position_in_grid.x; {body}"
ROW = """
    uint row = threadgroup_position_in_grid.x, lane = thread_index_in_simdgroup;
    const device T* in = x + row * N;
    device T* to = out + row * N;
    {body}"""


@dataclass(frozen=True)
class Case:
    """One op: the kernel's body, its inputs besides `x`, and MLX's own way."""

    name: str
    body: str
    baseline: Callable[..., Any]
    weights: tuple[str, ...] = ()
    per_row: bool = False

    @property
    def program(self) -> Program:
        """The kernel over ROWS x COLS floats."""
        shapes = {"x": (ROWS, COLS), "y": (ROWS, COLS), "w": (COLS,), "b": (COLS,)}
        inputs = tuple(TensorSpec(n, shapes[n], "float32") for n in ("x", *self.weights))
        grid = (ROWS * 32, 1, 1) if self.per_row else (ROWS * COLS, 1, 1)
        source = (ROW if self.per_row else ELEMENTWISE).replace("{body}", self.body)
        launch = Launch(
            self.name,
            tuple(spec.name for spec in inputs),
            (TensorSpec("out", (ROWS, COLS), "float32"),),
            source,
            grid,
            (32, 1, 1) if self.per_row else (256, 1, 1),
            template=(("T", "float32"), ("N", COLS)),
        )
        return Program(inputs, ("out",), (launch,))


CASES = (
    Case("add", "out[i] = x[i] + y[i];", lambda x, y: x + y, ("y",)),
    Case("exp", "out[i] = exp(x[i]);", mx.exp),
    Case("silu", "out[i] = x[i] / (1 + exp(-x[i]));", lambda x: x * mx.sigmoid(x)),
    Case(
        "swiglu",
        "out[i] = x[i] / (1 + exp(-x[i])) * y[i];",
        lambda x, y: x * mx.sigmoid(x) * y,
        ("y",),
    ),
    Case(
        "softmax",
        """float top = -INFINITY, total = 0;
        for (uint i = lane; i < N; i += 32) top = max(top, in[i]);
        top = simd_max(top);
        for (uint i = lane; i < N; i += 32) { T e = exp(in[i] - top); to[i] = e; total += e; }
        T scale = 1 / simd_sum(total);
        for (uint i = lane; i < N; i += 32) to[i] *= scale;""",
        lambda x: mx.softmax(x, axis=-1),
        per_row=True,
    ),
    Case(
        "rms_norm",
        """float total = 0;
        for (uint i = lane; i < N; i += 32) total += in[i] * in[i];
        T scale = rsqrt(simd_sum(total) / N + 1e-5f);
        for (uint i = lane; i < N; i += 32) to[i] = in[i] * scale * w[i];""",
        lambda x, w: mx.fast.rms_norm(x, w, 1e-5),
        ("w",),
        per_row=True,
    ),
    Case(
        "layer_norm",
        """float total = 0, squares = 0;
        for (uint i = lane; i < N; i += 32) total += in[i];
        T mean = simd_sum(total) / N;
        for (uint i = lane; i < N; i += 32) squares += (in[i] - mean) * (in[i] - mean);
        T scale = rsqrt(simd_sum(squares) / N + 1e-5f);
        for (uint i = lane; i < N; i += 32) to[i] = (in[i] - mean) * scale * w[i] + b[i];""",
        lambda x, w, b: mx.fast.layer_norm(x, w, b, 1e-5),
        ("w", "b"),
        per_row=True,
    ),
    Case(
        "logsumexp_shift",
        """float top = -INFINITY, total = 0;
        for (uint i = lane; i < N; i += 32) top = max(top, in[i]);
        top = simd_max(top);
        for (uint i = lane; i < N; i += 32) total += exp(in[i] - top);
        T shift = log(simd_sum(total)) + top;
        for (uint i = lane; i < N; i += 32) to[i] = in[i] - shift;""",
        lambda x: x - mx.logsumexp(x, axis=-1, keepdims=True),
        per_row=True,
    ),
)


def measure(case: Case, rounds: int = 15) -> dict[str, float]:
    """Median times in ms of the kernel and of MLX, taken in turns, and their ratio."""
    rng = np.random.default_rng(0)
    arrays = {
        spec.name: rng.standard_normal(spec.shape).astype(np.float32)
        for spec in case.program.inputs
    }
    built = CpuEngine().build(case.program)
    if isinstance(built, BuildFailure):
        raise SystemExit(f"{case.name} does not build:\n{built.log}")
    call = built.bind(arrays)
    theirs = [mx.array(array) for array in arrays.values()]
    call()
    expected = np.array(case.baseline(*theirs))
    np.testing.assert_allclose(call.outputs()["out"], expected, rtol=1e-4, atol=1e-5)
    pairs = [(_ms(call), _ms(lambda: mx.eval(case.baseline(*theirs)))) for _ in range(rounds)]
    ours, mlx = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"kernel_ms": ours, "mlx_ms": mlx, "ratio": mlx / ours}


def builds(rounds: int = 9) -> dict[str, float]:
    """Median times in ms of a build from text, from the disk cache, and of a small launch."""
    case = CASES[4]
    fresh, cached = [], []
    for turn in range(rounds):
        launch = case.program.launches[0]
        source = f"{launch.source} // {time.time_ns()} {turn}"
        launch = Launch(**{**vars(launch), "source": source})
        what = Program(case.program.inputs, case.program.outputs, (launch,))
        CpuEngine().device()
        fresh.append(_ms(lambda: CpuEngine().build(what)))  # noqa: B023 - called at once
        again = CpuEngine()
        again.unavailable()
        cached.append(_ms(lambda: again.build(what)))  # noqa: B023
    return {
        "warm_build_ms": statistics.median(fresh[1:]),
        "cached_build_ms": statistics.median(cached[1:]),
        "launch_us": statistics.median(_ms(small_call()) * 1e3 for _ in range(50)),
    }


def small_call() -> Call:
    """A launch of 64 threads."""
    launch = Launch(
        "small", ("x",), (TensorSpec("out", (64,), "float32"),),
        "uint i = thread_position_in_grid.x; out[i] = x[i];", (64, 1, 1), (64, 1, 1),
    )  # fmt: skip
    built = CpuEngine().build(Program((TensorSpec("x", (64,), "float32"),), ("out",), (launch,)))
    if isinstance(built, BuildFailure):
        raise SystemExit(built.log)
    call = built.bind({"x": np.zeros(64, np.float32)})
    call()
    return call


def _ms(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    """Measure and print."""
    results = {case.name: measure(case) for case in CASES}
    mean = math.exp(statistics.fmean(math.log(r["ratio"]) for r in results.values()))
    numbers = {"builds": builds(), "ops": results, "geometric_mean": mean}
    if "--json" in sys.argv:
        print(json.dumps(numbers, indent=1))
        return
    for name, value in numbers["builds"].items():
        print(f"{name:18} {value:9.3f}")
    print(f"\n{'op':18} {'kernel ms':>9} {'mlx ms':>9} {'ratio':>6}")
    for name, r in results.items():
        print(f"{name:18} {r['kernel_ms']:9.2f} {r['mlx_ms']:9.2f} {r['ratio']:6.2f}")
    print(f"{'geometric mean':38} {mean:6.2f}")


if __name__ == "__main__":
    main()
