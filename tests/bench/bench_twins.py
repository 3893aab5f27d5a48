"""Do times mean what they say? Twins of MLX's loops, and a kernel of every op; on an idle machine.

    .venv/bin/python tests/bench/bench_twins.py [--ops] [--device cpu]

A twin does what MLX's loop does, element by element, as a Metal kernel: it must read 0.8 to 1.25
wherever it is timed. With `--ops` the first template of every op follows, with whole times beside
those of the work: no reading above 1.5 may come from dispatch alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.judge.options import PRECISE
from foundry.judge.verdict import Evaluation
from ops import registry
from templates import registry as templates
from templates import space
from templates.render import render

LOW, HIGH = 0.8, 1.25
TWINS = {
    "add": "out[i] = x[i] + y[i];",
    "mul": "out[i] = x[i] * y[i];",
    "relu": "out[i] = isnan(x[i]) || x[i] > T(0) ? x[i] : T(0);",
}
FILE = """/*kernel
op = "{op}"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
{body}
"""


def kernels(with_ops: bool) -> Iterator[tuple[str, str, str]]:
    """Op, name and text of everything that is timed."""
    for op, body in TWINS.items():
        names = [t.name for t in registry.get(op).inputs]
        text = body.replace("x[", f"{names[0]}[").replace("y[", f"{names[-1]}[")
        yield op, "twin", FILE.format(op=op, body=text)
    for op in registry.all_ops() if with_ops else ():
        for template in templates.for_op(op)[:1]:
            yield op, template.name, render(template, space.default(template))


def show(name: str, evaluation: Evaluation) -> None:
    """One line for every workload."""
    for timing in evaluation.timings:
        facts = evaluation.extra["benchmark"][timing.workload]
        fits = LOW <= timing.speedup <= HIGH if name == "twin" else timing.speedup <= 1.5
        print(
            f"{'ok ' if fits else '-> '} {name} {timing.workload}: {timing.speedup:.2f}x"
            f" [{timing.speedup_low:.2f}, {timing.speedup_high:.2f}] against {timing.baseline};"
            f" work {timing.baseline_us:.1f} and {timing.kernel_us:.1f} us,"
            f" whole {facts['baseline_whole_us']:.1f} and {facts['kernel_whole_us']:.1f}",
            flush=True,
        )
    for diagnostic in evaluation.diagnostics:
        print(f"    {name} {diagnostic.workload}: {diagnostic.message[:110]}", flush=True)


def main() -> None:
    """Time everything, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", action="store_true", help="the first template of every op too")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    options = JudgeOptions(bench="full", plan=PRECISE, sanitizer=None, per_workload=1)
    with WorkerPool(arguments.device, 1) as pool:
        judge = Judge(pool, options)
        for op, name, text in kernels(arguments.ops):
            show(name, judge.evaluate(text, registry.get(op), "float32"))


if __name__ == "__main__":
    main()
