"""What a catalog function costs over the direct call, in microseconds of this processor.

`python tests/bench/bench_catalog.py`: the fallback path beside MLX's own function, and the kernel
path beside a launch written by hand, `mx.custom_function` with a rule for its gradient around
`mx.fast.metal_kernel`, which does nothing here. Calls alternate in rounds; the median of their
differences is shown with its quartiles.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "catalog"))

from softmax_package import install

ROUNDS, CALLS = 200, 200


def cost_us(call: Callable[[], object]) -> float:
    begin = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - begin) / CALLS * 1e6


def compared(name: str, direct: Callable[[], object], ours: Callable[[], object]) -> None:
    pairs = [(cost_us(direct), cost_us(ours)) for _ in range(ROUNDS)]
    low, median, high = statistics.quantiles([b - a for a, b in pairs])
    alone = statistics.median(a for a, _ in pairs)
    least = min(b for _, b in pairs) - min(a for a, _ in pairs)
    print(f"{name}: {median:.2f} us [{low:.2f}, {high:.2f}] over a direct call of {alone:.2f} us")
    print(f"{name}: {least:.2f} us between the shortest of both")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, str(install(Path(folder))))
        import fast_ops
        import mlx.core as mx

        x = mx.zeros((4, 64))
        compared(
            "fallback",
            lambda: mx.softmax(x, axis=-1, precise=True),
            lambda: fast_ops.softmax(x),
        )
        compared("kernel", *kernel_calls(fast_ops, mx, x))


def kernel_calls(fast_ops: Any, mx: Any, x: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The same launch with the same rule for its gradient, written by hand and by the catalog."""
    result = mx.zeros((4, 64))
    fast_ops.dispatch._HAS_METAL = True  # keys as on a Mac
    fast_ops.softmax(x)
    mx.fast.metal_kernel = lambda **_: lambda **_: [result]
    function = fast_ops.FUNCTIONS["softmax"]
    (kernel,) = function.op["kernels"]
    call = fast_ops.arguments.match(function.op, (x,), {})
    function.kept.update(dict.fromkeys(function.kept, function.with_kernel(kernel, call)))
    (launch,) = kernel["launches"]
    made, sizes = fast_ops.launching, call.sizes
    settings = made._settings(function.op, kernel, launch, sizes, frozenset())
    launched = made._metal_kernel(function.op["name"], kernel, 0)
    direct = mx.custom_function(lambda v: launched(inputs=[v], **settings)[0])
    direct.vjp(lambda primals, cotangents, _: cotangents)
    return lambda: direct(x), lambda: fast_ops.softmax(x)


if __name__ == "__main__":
    main()
