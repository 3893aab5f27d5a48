from __future__ import annotations

import dataclasses
from collections.abc import Callable

import toy
from toy import DEVICE, OP, failed, passed

from discover.protocol import Context
from discover.selection.reward import Yardstick
from foundry.judge.verdict import Diagnostic, Status
from foundry.msl.counters import (
    ArrayCount,
    Counters,
    LaunchCount,
    LineCount,
    Traffic,
    summarise,
)
from foundry.program import Device
from foundry.prompts import feedback
from foundry.prompts.assignment import Attempt
from foundry.prompts.build import build

PARENT = Attempt(toy.kernel("out[0] = x[0] + x[0] + shift;"), passed(1.5))
COMPILER = Diagnostic(stage="build", message="use of undeclared identifier 'y'", line=8)
VISIBLE = Diagnostic(
    stage="verify",
    message="out[1, 2] is 3, expected 4 within 1e-6",
    workload="twice[rows=2,cols=3,shift=0.5]float32",
)
HIDDEN = Diagnostic(
    stage="verify",
    message="out[6, 12] is nan, expected 4",
    workload="twice[rows=7,cols=13,shift=0.5]float32",
    hidden=True,
)

FROM_SCRATCH = Context(OP, "float32", DEVICE, parent=None)
IMPROVE = Context(
    OP,
    "float32",
    DEVICE,
    parent=PARENT,
    failures=(
        Attempt(toy.kernel("out[0] = y[0];"), failed(Status.BUILD_ERROR, COMPILER)),
        Attempt(toy.kernel("out[0] = 2;"), failed(Status.WRONG_RESULT, VISIBLE, HIDDEN, HIDDEN)),
    ),
    relatives=(Attempt(toy.kernel(threads=256), passed(3.0)),),
)
REPAIR = Context(
    OP,
    "float16",
    Device("metal", "Apple M4 Max"),
    parent=Attempt(toy.kernel("out[0] = y[0];"), failed(Status.BUILD_ERROR, COMPILER)),
)


def test_the_prompt_from_scratch(golden: Callable[[str, str], None]) -> None:
    prompt = build(FROM_SCRATCH)
    golden("discover/system.txt", prompt.system)
    golden("discover/from_scratch.txt", prompt.user)


def test_the_prompt_to_improve(golden: Callable[[str, str], None]) -> None:
    golden("discover/improve.txt", build(IMPROVE).user)


def test_the_prompt_tells_what_was_counted(golden: Callable[[str, str], None]) -> None:
    loads = Traffic(2048, 65536, 262144, 65536, 2048, 32)
    stores = Traffic(2048, 65536, 262144, 2048, 2048, 1)
    line = LineCount(0, "source", 1, "out[0] = x[0] + x[0];", "x", "device", "load", loads)
    arrays = (
        ArrayCount("x", "device", 262144, loads=loads),
        ArrayCount("out", "device", 262144, stores=stores),
    )
    stage = LaunchCount(0, 2048, 64, 65536, 2048, 4096, 0, 2048, arrays, (line,))
    summary = summarise(Counters((stage,)), 131072, 524288, lambda stage, part, at: at + 6)
    counted = toy.passed(1.5).model_copy(update={"extra": {"counters": {"toy": summary}}})
    parent = Attempt(PARENT.text, counted)
    text = build(dataclasses.replace(IMPROVE, parent=parent, failures=(), relatives=())).user
    golden("discover/improve_counted.txt", text)
    for row in ("32 transactions per SIMD-group load of x where 1 would do", "sampled 64 of 2,048"):
        assert row in text
    unknown = counted.model_copy(update={"extra": {"counters": {"toy": {"uncounted": "no"}}}})
    assert feedback.counted(unknown) == []


def test_the_prompt_to_repair(golden: Callable[[str, str], None]) -> None:
    golden("discover/repair.txt", build(REPAIR).user)


def test_the_system_part_is_the_same_for_a_whole_search() -> None:
    assert build(FROM_SCRATCH).system == build(IMPROVE).system


def test_hidden_workloads_stay_hidden() -> None:
    prompt = build(IMPROVE).user
    assert "wrong on a hidden workload" in prompt
    assert "cols=13" not in prompt
    assert "out[6, 12]" not in prompt
    only_hidden = dataclasses.replace(
        REPAIR, parent=Attempt(toy.kernel(), failed(Status.WRONG_RESULT, HIDDEN))
    )
    assert "13" not in build(only_hidden).user
    sizes = {case.axes["cols"] for case in OP.hidden}
    assert not any(f"cols={size}" in build(IMPROVE).system for size in sizes)


def test_a_kernel_text_cannot_reach_into_the_prompt_template() -> None:
    hostile = toy.kernel("// {{ device.name }} {% for x in y %}\nout[0] = x[0];")
    prompt = build(dataclasses.replace(IMPROVE, parent=Attempt(hostile, passed())))
    assert "{{ device.name }} {% for x in y %}" in prompt.user


def test_long_words_of_a_compiler_are_cut() -> None:
    noisy = failed(Status.BUILD_ERROR, Diagnostic(stage="build", message="error: " + "x" * 9000))
    reasons = feedback.reasons(noisy, characters=400)
    assert sum(map(len, reasons)) < 420
    assert reasons[0].endswith("...")


def test_the_same_reason_is_told_once() -> None:
    assert len(feedback.reasons(failed(Status.WRONG_RESULT, HIDDEN, HIDDEN, VISIBLE))) == 2


def test_failures_earn_nothing_and_the_untimed_least() -> None:
    yardstick = Yardstick()
    assert yardstick.reward(passed(2.0), here=True) == 2.0
    assert yardstick.reward(failed(Status.CRASH), here=True) is None
    untimed = passed(2.0).model_copy(update={"timings": (), "status": Status.CORRECT})
    assert yardstick.reward(untimed, here=True) == 0.0


def test_what_bounds_a_kernel_follows_from_its_intensity() -> None:
    timing = passed(2.0).timings[0]
    assert feedback.bound(timing, DEVICE).startswith("memory bound (0.25 FLOP per byte)")
    heavy = timing.model_copy(update={"flops": timing.bytes_moved * 100})
    assert feedback.bound(heavy, DEVICE).startswith("compute bound")
    assert "2.0 times its physical floor" in feedback.bound(timing, DEVICE)
