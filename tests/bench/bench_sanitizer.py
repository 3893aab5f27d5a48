"""The sanitizer in numbers: planted bugs caught, false alarms, slowdown against the plain run.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "msl"))

from planted_kernels import FILES, first_finding, planted

from foundry.engines.base import BuildFailure, Program
from foundry.engines.cpu import CpuEngine
from foundry.judge.inputs import make_inputs
from foundry.kernel import bind, parse
from foundry.msl.sanitizer import sanitize
from ops import registry as ops
from templates import registry, space
from templates.render import render

_REPEATS = 3
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


def slowdowns() -> dict[str, float]:
    """Sanitised over plain time of each op's first template, on its smallest bench workload."""
    ratios: dict[str, float] = {}
    engine = CpuEngine()
    for op in ops.all_ops().values():
        template = registry.for_op(op.name)[0]
        workload = op.workloads("bench", "float32")[0]
        program = bind(parse(render(template, space.default(template))), op, workload)
        inputs = dict(make_inputs(op, workload, "normal", 0))
        built = engine.build(program)
        if isinstance(built, BuildFailure):
            raise SystemExit(built.log)
        call = built.bind(inputs)
        plain_s = _best(call)
        ratios[op.name] = _best(lambda p=program, i=inputs: sanitize(p, i)) / plain_s
    return ratios


def _best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS + 1):
        start_s = time.perf_counter()
        run()
        times.append(time.perf_counter() - start_s)
    return min(times[1:])


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--points", type=int, default=8)
    asked = parser.parse_args()
    found, missed = caught()
    count, said = alarms(asked.points)
    ratios = slowdowns()
    mean = math.exp(statistics.mean(map(math.log, ratios.values())))
    if asked.json:
        document = {
            "planted": len(FILES),
            "caught": found,
            "missed": missed,
            "honest": count,
            "false_alarms": said,
            "slowdown": ratios,
            "slowdown_geometric_mean": mean,
        }
        print(json.dumps(document, indent=2))
        return
    print(f"planted bugs caught, right kind and line: {found} of {len(FILES)} {missed}")
    print(f"false alarms: {len(said)} of {count} honest kernels")
    print("\n".join(said))
    for name, ratio in ratios.items():
        print(f"  {name:<12} {ratio:6.1f}x the plain run")
    print(f"  geometric mean {mean:.1f}x")


if __name__ == "__main__":
    main()
