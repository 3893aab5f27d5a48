"""Does a kernel read the same tomorrow? `bench_sessions.py [--sessions N]`, on an idle machine.

Kernels of a few ops are timed in so many sessions, each with a pool of workers of its own. Printed
are the speedups, and in how many pairs of sessions their intervals overlap.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from pathlib import Path

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.judge.verdict import Timing
from ops import registry
from templates import registry as templates
from templates import space
from templates.render import render

KERNELS = ("softmax_simdgroup", "rms_norm_simdgroup", "silu_elements", "cumsum_simdgroup")


def session(names: tuple[str, ...], cache: Path, seed: int) -> dict[str, Timing]:
    """Every timing, by kernel and workload."""
    found: dict[str, Timing] = {}
    with WorkerPool("cpu", max(2, os.cpu_count() or 2), cache) as pool:
        judge = Judge(pool, JudgeOptions(sanitizer=None))
        for name in names:
            template = templates.get(name)
            text = render(template, space.default(template))
            evaluation = judge.evaluate(text, registry.get(template.op), "float32", seed)
            found |= {f"{name} {t.workload}": t for t in evaluation.timings}
    return found


def main() -> None:
    """Print every session, and how many pairs overlap."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOUNDRY_CACHE_DIR"] = folder
        found = [session(KERNELS, Path(folder), seed) for seed in range(options.sessions)]
    held = pairs = 0
    for name in sorted(set().union(*found)):
        seen = [s[name] for s in found if name in s]
        for a, b in itertools.combinations(seen, 2):
            pairs += 1
            held += a.speedup_low <= b.speedup_high and b.speedup_low <= a.speedup_high
        print(name, "  ".join(f"{t.speedup:.2f}" for t in seen))
    print(f"intervals overlap in {held} of {pairs} pairs; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
