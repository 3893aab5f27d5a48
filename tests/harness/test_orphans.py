"""Workers do not outlive their judge."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from test_pool import gone

HUNG_KERNEL = """
import sys
from pathlib import Path
from foundry.harness.jobs import Build
from foundry.harness.processes import pool as pools
from foundry.harness.processes.start import Spawner
from test_pool import program, run_of
pools.starter = Spawner
pool = pools.WorkerPool("directive_engine:DirectiveEngine", 1, Path(sys.argv[1]))
with pool.lease() as worker:
    worker.ask(Build((program("late 60"),), (0,)), 60)
    print(worker.pid, flush=True)
    worker.ask(run_of(), 120)
"""


def test_a_kernel_that_never_ends_does_not_outlive_a_killed_judge(tmp_path: Path) -> None:
    """Of a worker that was started afresh, as on a Mac, where no system ends it."""
    left = tmp_path / "left"
    left.mkdir()
    folder = str(Path(__file__).parent)
    judge = subprocess.Popen(
        [sys.executable, "-c", HUNG_KERNEL, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": folder, "TMPDIR": str(left)},
    )
    with judge:
        assert judge.stdout is not None
        pid = int(judge.stdout.readline())
        time.sleep(0.2)
        judge.kill()
    until = time.monotonic() + 20
    while not (gone(pid) and not list(left.glob("foundry-worker-*"))) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(pid)
    assert not list(left.glob("foundry-worker-*"))
