"""The metal engine over a stand-in for MLX on a Mac, for workers: `mac_engine:MacEngine`.

Kernels run on the cpu engine's runtime; fills and generated text are MLX's own. A comment in a
kernel orders an error: `// gpu InnocentVictim FILE` raises it as MLX does as long as FILE holds
lines, and takes one away each time. `// pipeline 512` allows so many threads.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from foundry.engines.metal import MetalEngine
from foundry.harness.measuring import calibration
from foundry.msl.stand_in import untransformed
from foundry.msl.stand_in.metal import metal
from foundry.msl.stand_in.metal_kernel import mlx_metal

_GPU = re.compile(r"// gpu (\w+) (\S+)")
_PIPELINE = re.compile(r"// pipeline (\d+)")
_CODES = {"InnocentVictim": 5, "SubmissionsIgnored": 4, "ImpactingInteractivity": 14, "Timeout": 2}
held = ExitStack()


def _ordered(make: Any) -> Any:
    """`metal_kernel` whose kernels also fail on order."""

    def metal_kernel(**given: Any) -> Any:
        generated, text = make(**given), given["header"] + given["source"]
        relaxed = (given.get("compile_options") or {}).get("math_mode") == "relaxed"

        def kernel(**arguments: Any) -> Any:
            if relaxed and "// macos 14" in text:
                raise RuntimeError("[metal::Device] Math mode needs macOS 15 or newer.")
            x, y, z = arguments["threadgroup"]
            if (limit := _PIPELINE.search(text)) and x * y * z > int(limit[1]):
                raise ValueError(
                    f"Thread group size ({x * y * z}) is greater than  the maximum allowed"
                    f" threads per threadgroup ({limit[1]})."
                )
            if found := _GPU.search(text):
                _stop(found[1], Path(found[2]))
            try:
                return generated(**arguments)
            except untransformed.NotTraceable:  # the sanitizer asks MLX what it would generate
                return mlx_metal()[0](**given)(**arguments)
            except RuntimeError as error:
                is_marked = given["source"].startswith("#line")
                raise RuntimeError(_as_metal_counts(str(error), is_marked)) from None

        return kernel

    return metal_kernel


def _as_metal_counts(log: str, is_marked: bool) -> str:
    """The compiler's words on lines of all that MLX hands on, but for text that counts anew."""

    def place(found: re.Match[str]) -> str:
        if is_marked:  # the mark is a line of its own
            return f"{found[1]}:{int(found[2]) - 1}:"
        return f"program_source:{1500 + int(found[2])}:"

    return re.sub(r"^(header|source):(\d+):", place, log, flags=re.MULTILINE)


def _stop(fault: str, orders: Path) -> None:
    left = orders.read_text().splitlines()
    if left:
        orders.write_text("".join(f"{line}\n" for line in left[1:]))
        code = f"{_CODES[fault]:08x}:kIOGPUCommandBufferCallbackError{fault}"
        raise RuntimeError(f"[METAL] Command buffer execution failed: stopped ({code})")


class MacEngine(MetalEngine):
    def __init__(self) -> None:
        import mlx.core as mx

        held.enter_context(metal())
        # What keeps a GPU busy for a moment takes a processor minutes.
        calibration._GPU_BYTES, calibration._GPU_SIDE = 32 << 20, 512
        if not hasattr(mx.fast.metal_kernel, "ordered"):
            wrapped = _ordered(mx.fast.metal_kernel)
            wrapped.ordered = True
            mx.fast.metal_kernel = wrapped
