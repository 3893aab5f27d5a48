"""What `foundry doctor` tries, beside what it looks at: each part of the way of a kernel, once.

A kernel is linked plain and with checks; one that reads beyond its input is caught; one goes
through the whole judge, ghosts included; one says which functions the plain names are; one baseline
is timed against itself. Together they say whether the way of a kernel is proven on this machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

import numpy as np

from foundry.cli.machine.checks import DoctorCheck
from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Build, Crash, Examine, Results, Run, Timeout
from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.processes.pool import WorkerPool
from foundry.program import BuildFailure, Device, Launch, Program, TensorSpec

TRIED = ("compiler", "sanitizer", "kernel", "clock")
_REPORT = "Report it with the output of --json."
_DOUBT = 0.1
"""How far from 1 a baseline timed against itself may read before a machine is too busy to time."""
_PLAN = TimingPlan(blocks=12, min_blocks=8, budget_s=0.5)
_LIMIT_S = 120.0
_TELLING = 1000.5
"""Where `tanh` and `sin` of `fast::` are far from right."""
_LITTLE = 1e-6
_SPEC = TensorSpec("x", (64,), "float32")
_OUT = TensorSpec("out", (64,), "float32")


def try_all(device: str) -> Iterator[DoctorCheck]:
    """Every trial, one after another, as each is done."""
    try:
        yield try_compiler()
        with WorkerPool(device, workers=1) as pool:
            pool.device()
            yield try_sanitizer(pool)
            yield try_kernel(pool)
            yield try_plain_names(pool)
            yield try_clock(pool)
    except EnvironmentUnusable as error:
        yield DoctorCheck("kernel", "broken", error.what, error.fix)


def conclude(checks: Sequence[DoctorCheck], device: str) -> DoctorCheck:
    """Whether the way of a kernel is proven here, or the first reason why not."""
    from foundry import engines

    tried = {check.name: check for check in checks if check.name in TRIED}
    for name in TRIED:
        check = tried.get(name)
        if check is None:
            return DoctorCheck("proof", "broken", f"not proven: {name}: not tried")
        if check.state != "ok":
            return DoctorCheck("proof", check.state, f"not proven: {name}: {check.found}")
    return DoctorCheck(
        "proof", "ok", f"proven on this machine: {engines.get(device).device().name}"
    )


def device_of(device: str) -> Device | None:
    """The device with all that is known of it, for a report; None where there is none."""
    from foundry import engines

    try:
        return engines.get(device).device()
    except EnvironmentUnusable:
        return None


def try_compiler() -> DoctorCheck:
    """Link a kernel, load it and run it."""
    from foundry.engines.cpu import CpuEngine

    start_s = time.monotonic()
    x = np.arange(64, dtype=np.float32)
    built = CpuEngine().build(_program("out[i] = x[i] + 1;"))
    if isinstance(built, BuildFailure):
        return DoctorCheck("compiler", "broken", f"it does not build: {built.log[:300]}", _REPORT)
    call = built.bind({"x": x})
    call()
    if not np.array_equal(call.outputs()["out"], x + 1):
        return DoctorCheck("compiler", "broken", "a kernel computes something else", _REPORT)
    spent = f"clang of ziglang links and runs a kernel in {time.monotonic() - start_s:.1f} s"
    return DoctorCheck("compiler", "ok", spent)


def try_sanitizer(pool: WorkerPool) -> DoctorCheck:
    """Two stack overflows and a read beyond an array are caught, a right kernel is not."""
    from foundry.judge.options import SANITIZER

    x = {"x": np.ones(64, np.float32)}
    deep = _program(
        "out[i] = down(x[i], 1 << 30);",
        "float down(float v, int n) { volatile float k[999]; k[n % 999] = v;"
        " return n ? down(v, n - 1) + k[n % 7] : v; }\n",
    )
    found: list[int] = []
    for program in (deep, deep, _program("out[i] = x[i + 9];"), _program("out[i] = x[i];")):
        with pool.lease() as lease:
            answer = lease.ask(Examine(SANITIZER, program, x), _LIMIT_S)
        if isinstance(answer, Timeout | Crash):
            return DoctorCheck("sanitizer", "broken", f"it does not survive: {answer}", _REPORT)
        found.append(len(answer))
    if all(found[:3]) and not found[3]:
        return DoctorCheck("sanitizer", "ok", "it catches what it must, and nothing else")
    return DoctorCheck("sanitizer", "broken", f"findings {found}, not some, some, some, 0", _REPORT)


def try_kernel(pool: WorkerPool) -> DoctorCheck:
    """A small kernel through the whole judge, in a worker, compared with its oracle."""
    from foundry.judge import Judge
    from foundry.judge.options import JudgeOptions
    from ops import registry as ops
    from templates import registry, space
    from templates.render import render

    template = registry.for_op("silu")[0]
    text = render(template, space.default(template))
    start_s = time.monotonic()
    judge = Judge(pool, JudgeOptions(timed=False))
    evaluation = judge.evaluate(text, ops.get("silu"), "float32", 0)
    spent_s, name = time.monotonic() - start_s, pool.device().name
    spent = f"{template.name} on {name}: {evaluation.status} in {spent_s:.1f} s"
    if evaluation.status.passed:
        return DoctorCheck("kernel", "ok", spent)
    return DoctorCheck("kernel", "broken", f"{spent}: {evaluation.why}", _REPORT)


def try_plain_names(pool: WorkerPool) -> DoctorCheck:
    """Which functions `tanh` and `sin` are here: MLX leaves that to Metal from macOS 15 on."""
    name, program = "plain names", _program("out[i] = i & 1 ? tanh(x[i]) : sin(x[i]);")
    x = {"x": np.full(64, _TELLING, np.float32)}
    with pool.lease() as lease:
        built = lease.ask(Build((program,), (0,)), _LIMIT_S)
        answer = lease.ask(Run(0, (x,), (_OUT,)), _LIMIT_S)
    if isinstance(built, Timeout | Crash) or any(built) or not isinstance(answer, Results):
        return DoctorCheck(name, "broken", f"no answer: {built}, {answer}", _REPORT)
    sine, tanh = answer.outputs[0]["out"][:2]
    said = f"tanh({_TELLING:g}) is {tanh:g}, sin({_TELLING:g}) is {sine:.7f}"
    is_precise = abs(tanh - 1.0) < _LITTLE and abs(sine - np.sin(_TELLING)) < _LITTLE
    if is_precise:
        return DoctorCheck(name, "ok", f"precise: {said}")
    return DoctorCheck(name, "ok", f"those of `fast::`, so write `precise::`: {said}")


def try_clock(pool: WorkerPool) -> DoctorCheck:
    """A baseline against itself, which reads 1 where times mean something."""
    from foundry.judge.options import worth_timing
    from foundry.judge.time.itself import against_itself
    from ops import registry as ops

    op = ops.get("softmax")
    try:
        found = against_itself(pool, op, worth_timing(op, "float32"), _PLAN)
    except EnvironmentUnusable as error:
        return DoctorCheck("clock", "broken", error.what, _REPORT)
    pairs = zip(found.baseline_us, found.kernel_us, strict=True)
    ratio = statistics.median(a / b for a, b in pairs)
    said = f"a baseline against itself reads {ratio:.3f}"
    if abs(ratio - 1) > _DOUBT:
        return DoctorCheck("clock", "warning", said, "Close what else runs, and try again.")
    return DoctorCheck("clock", "ok", said)


def _program(body: str, header: str = "") -> Program:
    source = f"uint i = thread_position_in_grid.x;\n{body}"
    launch = Launch("doctor", ("x",), (_OUT,), source, (64, 1, 1), (32, 1, 1), header)
    return Program((_SPEC,), ("out",), (launch,))
