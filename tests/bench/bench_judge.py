"""Figures of the judge on this machine: `bench_judge.py [PART ...] [--kernels N] [--trials N]`.

1. `rate`: evaluations per second, parse to timed verdict, of kernels never built before, warm, on
   all cores, with the time of each stage; without the sanitizer and with it; behind the best of a
   search, as most are, and proven wholly.
2. `full`: one small row-wise kernel at a time, judged fully (sanitizer, visible, hidden), by stage;
   untimed and timed.
3. `checks`: what each check adds to that, or would save if it were left out.
4. `death`: how long bad kernels live, and at which stage they die.
5. `start`: what a confined process for every kernel costs.
6. `memory`: processes, descriptors and memory after many evaluations.
7. `aa`: how many trials that time the baseline against itself have an interval with 1.00, while
   the other workers are kept busy.

Times are wall times; `cpu` is what all processes together used. Each part says how loaded the
machine was: above a load of the number of cores, wall times say little.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Evaluation, Judge, JudgeOptions
from foundry.judge.attacks import corpus
from foundry.judge.options import (
    NOBODY,
    QUICK_REACH_S,
    SANITIZER,
    WHOLE_REACH_S,
    Rivals,
    worth_timing,
)
from foundry.judge.oracle.references import op_file
from foundry.judge.time.itself import against_itself
from foundry.judge.time.pairs import Latencies
from foundry.judge.time.statistics import Speedup, speedup
from ops import registry
from ops.spec import Op
from templates import registry as templates
from templates import space
from templates.render import render

ROW_WISE = ("silu_elements", "softmax_thread", "softmax_simdgroup", "rms_norm_simdgroup")
SEED = 20261121
QUICK_DEATH_MS = 200.0
Kernels = Iterator[tuple[str, str]]


def kernels() -> Kernels:
    """Op and text of kernels without end, from the row-wise templates in turn.

    Points that differ in their launch alone have the same code; a statement without effect sets
    them apart, so that each is compiled.
    """
    found = [templates.get(name) for name in ROW_WISE]
    rows = [[(t.op, render(t, point)) for point in space.points(t)] for t in found]
    together = filter(None, itertools.chain.from_iterable(itertools.zip_longest(*rows)))
    for number, (op, text) in enumerate(itertools.cycle(list(together))):
        yield op, f"{text}\n(void){number}u;\n"


def rate(pool: WorkerPool, fresh: Kernels, count: int) -> None:
    """Judge `count` new kernels on all workers: as a search does most, and each wholly."""
    for sanitizer, best in itertools.product((None, SANITIZER), (math.inf, 1.0)):
        judge = Judge(pool, JudgeOptions(sanitizer=sanitizer))
        for op, text in itertools.islice(fresh, len(ROW_WISE)):
            judge.evaluate(text, registry.get(op), "float32", SEED)
        chosen = list(itertools.islice(fresh, count))
        used_s, start = cpu_s(), time.perf_counter()
        found = _judged_together(judge, chosen, pool.workers, Rivals(best))
        spent_s = time.perf_counter() - start
        passed = sum(e.status.passed for e in found)
        print(
            f"{len(found) / spent_s:.1f} evaluations/s {_sanitized(sanitizer)}, "
            f"{'all behind the best' if best > 1.0 else 'each proven wholly'} "
            f"({len(found)} in {spent_s:.1f} s, {passed} passed, "
            f"cpu {1e3 * (cpu_s() - used_s) / len(found):.0f} ms each)"
        )
        _print_stages(found)


def _judged_together(
    judge: Judge, chosen: list[tuple[str, str]], workers: int, rivals: Rivals = NOBODY
) -> list[Evaluation]:
    def judged(kernel: tuple[str, str]) -> Evaluation:
        op, text = kernel
        return judge.evaluate(text, registry.get(op), "float32", SEED, rivals=rivals)

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(judged, chosen))


def full(pool: WorkerPool, fresh: Kernels, count: int) -> None:
    """Judge new kernels one by one."""
    for timed in (False, True):
        judge = Judge(pool, JudgeOptions(timed=timed))
        for op, text in itertools.islice(fresh, len(ROW_WISE)):
            judge.evaluate(text, registry.get(op), "float32", SEED)
        used_s = cpu_s()
        found, lives = [], []
        for op, text in itertools.islice(fresh, count):
            start = time.perf_counter()
            found.append(judge.evaluate(text, registry.get(op), "float32", SEED))
            lives.append(1e3 * (time.perf_counter() - start))
        print(
            f"{'timed' if timed else 'untimed'}: {_spread(lives)} a kernel, "
            f"cpu {1e3 * (cpu_s() - used_s) / len(found):.0f} ms"
        )
        _print_stages(found)


PLAIN = JudgeOptions(timed=False)
_FEWER = 5
"""So many times fewer kernels for each check: large workloads take seconds."""
CHECKS = {
    "sanitizer": (replace(PLAIN, sanitizer=None), "left out"),
    "distributions beyond the first": (replace(PLAIN, per_workload=1), "left out"),
    "distributions beyond the fourth": (replace(PLAIN, per_workload=8), "added"),
    "large workloads, 2 s": (replace(PLAIN, reach_s=QUICK_REACH_S), "added"),
    "large workloads, 60 s": (replace(PLAIN, reach_s=WHOLE_REACH_S), "added"),
    "times": (replace(PLAIN, timed=True), "added"),
}


def checks(pool: WorkerPool, fresh: Kernels, count: int) -> None:
    """Judge new kernels one by one, each time with one check more or less."""
    count = -(-count // _FEWER)
    plain_ms, plain_cpu_ms = _judged_with(pool, fresh, PLAIN, count)
    print(f"untimed, no large workloads: {plain_ms:.0f} ms a kernel, cpu {plain_cpu_ms:.0f} ms")
    for name, (options, change) in CHECKS.items():
        found_ms, found_cpu_ms = _judged_with(pool, fresh, options, count)
        wall_ms, cpu_ms = found_ms - plain_ms, found_cpu_ms - plain_cpu_ms
        print(f"  {name:32} {change:8} {wall_ms:+8.0f} ms   cpu {cpu_ms:+8.0f} ms")


def _judged_with(
    pool: WorkerPool, fresh: Kernels, options: JudgeOptions, count: int
) -> tuple[float, float]:
    """Median wall time of a kernel, and the mean of its processor time, in milliseconds."""
    judge, lives = Judge(pool, options), []
    for op, text in itertools.islice(fresh, len(ROW_WISE)):
        judge.evaluate(text, registry.get(op), "float32", SEED)
    used_s = cpu_s()
    for op, text in itertools.islice(fresh, count):
        start_s = time.perf_counter()
        judge.evaluate(text, registry.get(op), "float32", SEED)
        lives.append(1e3 * (time.perf_counter() - start_s))
    return statistics.median(lives), 1e3 * (cpu_s() - used_s) / count


def death(pool: WorkerPool, fresh: Kernels, count: int) -> None:
    """Judge attacks of every kind, evenly chosen, after an honest kernel of each op."""
    attacks = [a for a in corpus() if not a.is_control]
    chosen = attacks[:: max(1, len(attacks) // count)]
    judge = Judge(pool, JudgeOptions())
    for op, dtype in {(a.op, a.dtype) for a in chosen}:
        first = templates.for_op(op)[0]
        judge.evaluate(render(first, space.default(first)), registry.get(op), dtype, SEED)
    lives: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    for attack in chosen:
        used_s, start = cpu_s(), time.perf_counter()
        found = judge.evaluate(attack.text, registry.get(attack.op), attack.dtype, SEED)
        stage = found.diagnostics[0].stage if found.diagnostics else "survived"
        lives.setdefault(stage, []).append(1e3 * (time.perf_counter() - start))
        used.setdefault(stage, []).append(1e3 * (cpu_s() - used_s))
    every = sorted(itertools.chain(*lives.values()))
    quick = sum(life <= QUICK_DEATH_MS for life in every)
    print(
        f"{100 * quick / len(every):.0f} % of {len(every)} bad kernels dead within "
        f"{QUICK_DEATH_MS:.0f} ms; {_spread(every)}"
    )
    for stage, times in lives.items():
        cpu_ms = statistics.median(used[stage])
        print(f"  at {stage:10} {len(times):4}  {_spread(times)}   cpu median {cpu_ms:.0f} ms")


def start(pool: WorkerPool, fresh: Kernels, count: int) -> None:
    """Take a prepared process, confine it, and give it back, as each evaluation does."""
    op = registry.get("softmax")
    module = SANITIZER.partition(":")[0]
    taken, given = [], []
    used_s = cpu_s()
    for number in range(count + 1):
        begin = time.perf_counter()
        with pool.lease() as worker, pool.turn(worker):
            worker.prepare(op.name, op_file(op), (module,))
            ready = time.perf_counter()
        if number:
            taken.append(1e3 * (ready - begin))
            given.append(1e3 * (time.perf_counter() - ready))
        else:
            used_s = cpu_s()
    print(f"level {pool.level}: until it is confined {_spread(taken)}; renewed {_spread(given)}")
    print(f"  cpu {1e3 * (cpu_s() - used_s) / count:.1f} ms an evaluation")


def memory(pool: WorkerPool, fresh: Kernels, count: int) -> None:
    """Evaluate many kernels, and print what grew."""
    judge = Judge(pool, JudgeOptions(timed=False, sanitizer=None))
    for part in range(4):
        _judged_together(judge, list(itertools.islice(fresh, count)), pool.workers)
        family = list(_family())
        kib = sum(_resident_kib(pid) for pid in family)
        own = len(os.listdir("/proc/self/fd"))
        print(
            f"  after {(part + 1) * count} evaluations: {len(family)} processes, "
            f"{own} descriptors, {_resident_kib(os.getpid()) / 1024:.1f} MiB, "
            f"{kib / 1024:.0f} MiB with workers"
        )


def aa(pool: WorkerPool, fresh: Kernels, count: int) -> None:
    """Time baselines against themselves while other candidates are proven, and stopped for it."""
    ops = [registry.get(name) for name in ("softmax", "rms_norm", "silu", "matmul")]
    held = 0
    ratios: list[float] = []
    widths: list[float] = []
    with _proving(pool, fresh) as proven:
        for trial in range(count):
            found = [_read(pool, ops[trial % len(ops)], seed) for seed in (trial, trial + count)]
            low, high = min(f.low for f in found), max(f.high for f in found)
            held += low <= 1.0 <= high
            ratios.append(found[1].median)
            widths.append(high / low - 1.0)
    print(
        f"A/A: 1.00 inside {held} of {count} intervals; "
        f"median ratio {statistics.median(ratios):.4f}, "
        f"interval width {100 * statistics.median(widths):.1f} % (median); "
        f"{len(proven)} kernels proven meanwhile"
    )


def _read(pool: WorkerPool, op: Op, seed: int) -> Speedup:
    """One of the two measurements that the judge makes of a kernel and states as one."""
    times = _timed_alone(pool, op, seed)
    return speedup(times.baseline_us, times.kernel_us)


def _timed_alone(pool: WorkerPool, op: Op, seed: int) -> Latencies:
    with pool.lease() as worker, pool.turn(worker) as turn:
        worker.prepare(op.name, op_file(op))
        with turn.alone():
            return against_itself(pool, op, worth_timing(op, "float32"), TimingPlan(), seed)


@contextmanager
def _proving(pool: WorkerPool, fresh: Kernels) -> Iterator[list[Evaluation]]:
    """Prove kernels in a thread, one after the other, until the block ends."""
    judge = Judge(pool, JudgeOptions(timed=False, sanitizer=None))
    found: list[Evaluation] = []
    done = threading.Event()

    def prove() -> None:
        while not done.is_set():
            op, text = next(fresh)
            found.append(judge.evaluate(text, registry.get(op), "float32", SEED))

    thread = threading.Thread(target=prove)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def cpu_s() -> float:
    """Seconds of processor time that this process and all below it used, the dead included."""
    ticks = sum(sum(map(int, _stat(pid)[11:15])) for pid in _family())
    return ticks / os.sysconf("SC_CLK_TCK")


def _family() -> Iterator[int]:
    """This process and all below it; nothing where there is no /proc."""
    parents = {pid: int(_stat(pid)[1]) for pid in _processes()}
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    yield from (pid for pid in family if pid in parents)


def _processes() -> list[int]:
    folder = Path("/proc")
    return [int(p.name) for p in folder.iterdir() if p.name.isdigit()] if folder.exists() else []


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended meanwhile
        return ["0"] * 50


def _resident_kib(pid: int) -> int:
    return int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _sanitized(sanitizer: str | None) -> str:
    return "with the sanitizer" if sanitizer else "without the sanitizer"


def _spread(times: list[float]) -> str:
    ordered = sorted(times)
    p90 = ordered[int(0.9 * (len(ordered) - 1))]
    return f"median {statistics.median(ordered):7.1f} ms   p90 {p90:7.1f} ms"


def _print_stages(found: list[Evaluation]) -> None:
    stages = dict.fromkeys(s for e in found for s in e.stage_ms)
    for stage in stages:
        print(f"  {stage:10} {_spread([e.stage_ms[stage] for e in found if stage in e.stage_ms])}")
    statuses = Counter(str(e.status) for e in found)
    print("  " + ", ".join(f"{count} {status}" for status, count in statuses.items()))


PARTS: dict[str, tuple[Callable[[WorkerPool, Kernels, int], None], str]] = {
    "rate": (rate, "kernels"),
    "full": (full, "kernels"),
    "checks": (checks, "kernels"),
    "death": (death, "bad"),
    "start": (start, "trials"),
    "memory": (memory, "kernels"),
    "aa": (aa, "trials"),
}


def main() -> None:
    """Print every figure that was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--kernels", type=int, default=40)
    parser.add_argument("--bad", type=int, default=80)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOUNDRY_CACHE_DIR"] = folder
        fresh = kernels()
        with WorkerPool("cpu", max(2, os.cpu_count() or 2), Path(folder)) as pool:
            for name in options.parts or PARTS:
                run, count = PARTS[name]
                run(pool, fresh, getattr(options, count))
                print(f"  [{name}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores]\n")


if __name__ == "__main__":
    main()
