"""Which BLAS a training on a Linux processor multiplies by: MLX's wheel comes with a plain one."""

from __future__ import annotations

_TUNED = ("openblas", "mkl", "blis")


def advice(platform: str, device: str, preloaded: str) -> str | None:
    """What makes a training on this machine some twenty times faster, or none.

    The plain BLAS gives 4.4 GFLOP/s in float32 on two cores, OpenBLAS 107 to 200; a step of a LoRA
    on a model of 0.5 billion parameters took 10 s by the latter (docs/log.md).

    Args:
        platform: As `sys.platform` says it.
        device: What MLX computes on: cpu or gpu.
        preloaded: Libraries that are loaded before MLX's, the value of LD_PRELOAD.
    """
    if platform != "linux" or device != "cpu" or any(name in preloaded for name in _TUNED):
        return None
    return (
        "MLX multiplies by a plain BLAS here; a tuned one trains some twenty times faster: "
        "apt install libopenblas0-pthread, then LD_PRELOAD=libopenblas.so.0 before this command"
    )
