"""The sanitizer in numbers: planted bugs caught, false alarms, slowdown against the plain run.

A slowdown is told twice: of the launches alone, and of all of `sanitize`, which also copies the
arrays and sets up their checks (a tenth of a millisecond that a launch of a microsecond does not
need). Neither holds the build; that is `make bench-msl`'s and told apart here.

Run with: python tests/bench/bench_sanitizer.py [--json] [--points N]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "msl" / "sanitizer"))

from adversarial_kernels import GUILTY, examine
from innocent_kernels import INNOCENT
from planted_kernels import FILES, first_finding, planted

from foundry.engines.cpu import CpuEngine
from foundry.judge.oracle.inputs import make_inputs
from foundry.kernel import bind, parse
from foundry.msl.sanitizer import Report, sanitize
from foundry.program import BuildFailure, Program
from ops import registry as ops
from templates import registry, space
from templates.render import render

_REPEATS = 8
_DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Honest:
    """An honest kernel on one workload."""

    name: str
    program: Program
    inputs: dict[str, Any]


def caught() -> tuple[int, list[str]]:
    """How many planted bugs come first in their report, and the names of the others."""
    missed = []
    for path in FILES:
        case = planted(path)
        found = first_finding(case.kernel)
        if found is None or (str(found[0].kind), found[1]) not in case.places:
            missed.append(path.stem)
    return len(FILES) - len(missed), missed


def honest(most_points: int) -> Iterator[Honest]:
    """Points of all templates, spread over their knobs, each on one workload in one dtype."""
    number = 0
    for template in registry.all_templates().values():
        op = ops.get(template.op)
        points = list(space.points(template))
        step = max(1, len(points) // most_points)
        for point in points[::step][:most_points]:
            number += 1
            dtype = _DTYPES[number % len(_DTYPES)]
            workloads = op.workloads("visible", dtype if dtype in op.dtypes else "float32")
            workload = workloads[1 + number % (len(workloads) - 1)]
            program = bind(parse(render(template, point)), op, workload)
            inputs = dict(make_inputs(op, workload, "normal", number))
            yield Honest(f"{template.name} {dict(point)} {workload.id}", program, inputs)


def alarms(most_points: int) -> tuple[int, list[str]]:
    """Honest kernels that ran, and what was said of them all the same."""
    count, said = 0, []
    for case in honest(most_points):
        report = sanitize(case.program, case.inputs)
        count += 1
        wrong = report.build_log or "; ".join(f.message for f in report.findings)
        if wrong:
            said.append(f"{case.name}: {wrong}")
    return count, said


@dataclass(frozen=True)
class Slowdown:
    """A template on a workload: the plain run, and how many times as long the sanitised one is."""

    op: str
    workload: str
    plain_us: float
    launch: float
    whole: float


def slowdowns() -> Iterator[Slowdown]:
    """The first template of ten ops on a small, a decode and a large workload."""
    engine = CpuEngine()
    for op in (ops.all_ops()[name] for name in LARGE):
        template = registry.for_op(op.name)[0]
        decode = op.workloads("bench", "float32")[0]
        large = replace(decode, axes={**decode.axes, **LARGE[op.name]})
        for workload in (op.workloads("visible", "float32")[3], decode, large):
            program = bind(parse(render(template, space.default(template))), op, workload)
            inputs = dict(make_inputs(op, workload, "normal", 0))
            built = engine.build(program)
            if isinstance(built, BuildFailure):
                raise SystemExit(built.log)
            plain_s = _best(built.bind(inputs))[0]
            whole_s, launch_s = _best(partial(sanitize, program, inputs, time_limit_s=60.0))
            yield Slowdown(
                op.name, workload.id, plain_s * 1e6, launch_s / plain_s, whole_s / plain_s
            )


LARGE: dict[str, dict[str, int]] = {
    "silu": {"rows": 1024, "cols": 1024},
    "swiglu": {"rows": 1024, "cols": 1024},
    "softmax": {"rows": 512, "cols": 1024},
    "rms_norm": {"rows": 512, "cols": 1024},
    "layer_norm": {"rows": 512, "cols": 1024},
    "rope": {"batch": 1, "heads": 8, "seq": 512, "head_dim": 128},
    "cumsum": {"rows": 256, "cols": 1024},
    "topk": {"rows": 128, "cols": 1024, "k": 8},
    "matmul": {"m": 64, "n": 256, "k": 256},
    "attention": {"heads": 4, "kv_heads": 4, "q_len": 64, "kv_len": 256, "head_dim": 64},
}


def _best(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the fastest call, and of the fastest launch in one."""
    times, launches = [], []
    for _ in range(_REPEATS + 1):
        start_s = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start_s)
        launches.append(result.run_s if isinstance(result, Report) else 0.0)
    return min(times[1:]), min(launches[1:])


def hidden() -> tuple[list[str], list[str]]:
    """Faults of `adversarial_kernels` that get no finding, innocents that get one."""
    missed = [name for name, case in GUILTY.items() if not examine(case).findings]
    blamed = [name for name, case in INNOCENT.items() if examine(case).findings]
    return missed, blamed


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--points", type=int, default=8)
    asked = parser.parse_args()
    found, missed = caught()
    count, said = alarms(asked.points)
    unseen, blamed = hidden()
    slow = list(slowdowns())
    launch = math.exp(statistics.mean(math.log(each.launch) for each in slow))
    if asked.json:
        document = {
            "planted": len(FILES),
            "caught": found,
            "missed": missed,
            "honest": count,
            "false_alarms": said,
            "hidden_faults": len(GUILTY),
            "hidden_faults_missed": unseen,
            "innocents": len(INNOCENT),
            "innocents_blamed": blamed,
            "slowdowns": [asdict(each) for each in slow],
            "launch_geometric_mean": launch,
        }
        print(json.dumps(document, indent=2))
        return
    print(f"planted bugs caught, right kind and line: {found} of {len(FILES)} {missed}")
    print(f"false alarms: {len(said)} of {count} honest kernels")
    print("\n".join(said))
    print(f"hidden faults found: {len(GUILTY) - len(unseen)} of {len(GUILTY)} {unseen}")
    print(f"innocent tricks blamed: {len(blamed)} of {len(INNOCENT)} {blamed}")
    for each in slow:
        print(
            f"  {each.op:<11} plain {each.plain_us:9.1f} us, launch {each.launch:5.1f}x,"
            f" all of sanitize {each.whole:6.1f}x  {each.workload}"
        )
    print(f"  launch, geometric mean {launch:.1f}x, worst {max(s.launch for s in slow):.1f}x")


if __name__ == "__main__":
    main()
