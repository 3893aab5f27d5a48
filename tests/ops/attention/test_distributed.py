"""Context parallelism as it runs: several processes of `mx.distributed` on this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

PROGRAM = Path(__file__).with_name("ring_attention.py")
ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.skipif(
    not mx.distributed.is_available("ring"), reason="this MLX is built without the ring backend"
)
@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_together_give_the_whole(ranks: int) -> None:
    launch = Path(sys.executable).with_name("mlx.launch")
    command = [
        launch,
        "--backend",
        "ring",
        "-n",
        str(ranks),
        "--cwd",
        ROOT,
        sys.executable,
        PROGRAM,
    ]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, cwd=ROOT, check=False
    )
    said = re.search(r"(\d+) ranks, (\S+) apart", done.stdout)
    assert said, done.stdout + done.stderr
    assert int(said[1]) == ranks
    assert float(said[2]) < 1e-5
