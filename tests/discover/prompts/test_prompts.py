from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
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
from foundry.prompts import demands, differences, feedback, foci
from foundry.prompts.assignment import Assignment, Attempt
from foundry.prompts.build import build
from foundry.prompts.forms import FULL
from ops import registry as ops
from ops.matches import Ties

PARENT = Attempt(toy.kernel("out[0] = x[0] + x[0] + shift;"), passed(1.5))
COMPILER = Diagnostic(stage="build", message="use of undeclared identifier 'y'", line=7)
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


GPU = Device("metal", "Apple M4 Max")
LOADS = Traffic(2048, 65536, 262144, 65536, 2048, 32)
STORES = Traffic(2048, 65536, 262144, 2048, 2048, 1)


def counted(loads: Traffic = LOADS, operations: int = 0, simdgroups: int = 2048) -> Attempt:
    line = LineCount(0, "source", 1, "out[0] = x[0] + x[0];", "x", "device", "load", loads)
    arrays = (
        ArrayCount("x", "device", 262144, loads=loads),
        ArrayCount("out", "device", 262144, stores=STORES),
    )
    stage = LaunchCount(
        0, 2048, 64, 65536, simdgroups, 0, 0, operations, arrays, (line,)
    )  # fmt: skip
    summary = summarise(Counters((stage,)), 131072, 524288, lambda stage, part, at: at + 6)
    workload = toy.passed(1.5).timings[0].workload
    found = toy.passed(1.5).model_copy(update={"extra": {"counters": {workload: summary}}})
    return Attempt(PARENT.text, found)


def asked(parent: Attempt, device: Device = GPU, turn: int = 0) -> str:
    bare = dataclasses.replace(IMPROVE, failures=(), relatives=(), slower=(), repeated=())
    return build(dataclasses.replace(bare, parent=parent, device=device, turn=turn)).user


def test_counters_become_a_diagnosis(golden: Callable[[str, str], None]) -> None:
    text = asked(counted())
    golden("discover/improve_counted.txt", text)
    for row in ("32 transactions per SIMD-group load of x where 1 would do", "sampled 64 of 2,048"):
        assert row in text
    assert "line 7 (`out[0] = x[0] + x[0];`)" in text
    unknown = PARENT.evaluation.model_copy(
        update={"extra": {"counters": {"toy": {"uncounted": "no"}}}}
    )
    assert feedback.counted(unknown) == []


def test_a_processor_is_told_nothing_of_lines_and_banks(
    golden: Callable[[str, str], None],
) -> None:
    device = Device("cpu", "Toy CPU", {"vector_bits": 256})
    text = asked(counted(LOADS, operations=20480), device)
    golden("discover/improve_counted_cpu.txt", text)
    assert "256 bits, 8 floats" in text
    assert "transactions" not in text
    assert "switches between 32 threads" in text


@pytest.mark.parametrize(
    ("parent", "first"),
    [
        (counted(), foci.MEMORY),
        (counted(STORES, operations=20480), foci.SYNCHRONISATION),
        (counted(Traffic(8192, 262144, 2097152, 16384, 16384, 2)), foci.ALGORITHM),
        (counted(STORES, simdgroups=9), foci.LAUNCH),
    ],
)
def test_the_focus_follows_the_counters(parent: Attempt, first: str) -> None:
    assert f"Look this time at {first}" in asked(parent)
    turns = [asked(parent, turn=turn) for turn in range(10)]
    assert sum(first in text for text in turns) >= 3
    assert len({text.split("Look this time at")[1] for text in turns}) > 3


def test_a_kernel_that_never_waits_is_not_asked_about_barriers() -> None:
    assert all(foci.SYNCHRONISATION not in asked(counted(), turn=t) for t in range(12))


def test_children_no_faster_and_repeats_take_a_line_each(
    golden: Callable[[str, str], None],
) -> None:
    slower = Attempt(toy.kernel(threads=64), passed(1.2), {"label": "threads 32 -> 64"})
    silent = Attempt(toy.kernel("out[0] = 2 * x[0] + shift;"), passed(1.1))
    again = Attempt(toy.kernel(threads=128), passed(1.4), {"words": "One larger threadgroup."})
    known = dataclasses.replace(IMPROVE, failures=(), slower=(slower, silent), repeated=(again,))
    text = build(known).user
    golden("discover/improve_slower.txt", text)
    assert "- 16.7 us: threads 32 -> 64" in text
    assert "- 18.2 us: 2 lines changed, first `out[0] = 2 * x[0] + shift;`" in text
    assert "- 14.3 us: One larger threadgroup." in text


def test_only_near_relatives_are_shown() -> None:
    near, far = (Attempt(toy.kernel(threads=n), passed(s)) for n, s in ((64, 1.3), (96, 0.9)))
    text = build(dataclasses.replace(IMPROVE, relatives=(near, far))).user
    assert "threadgroup = [64, 1, 1]" in text
    assert "threadgroup = [96, 1, 1]" not in text
    broken = dataclasses.replace(REPAIR, relatives=(far,))
    assert "threadgroup = [96, 1, 1]" in build(broken).user


def test_what_is_worth_least_is_left_out_first() -> None:
    whole = build(IMPROVE)
    room = (len(whole.system) + len(whole.user)) // 3
    sizes = []
    for tokens in range(room + 1, room - 500, -25):
        prompt = build(IMPROVE, dataclasses.replace(FULL, tokens=tokens))
        sizes.append(len(prompt.user))
        fits = len(prompt.system) + len(prompt.user) <= 3 * tokens
        assert fits or "do not repeat" not in prompt.user
        assert PARENT.text in prompt.user
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == len(whole.user) > sizes[-1]


def test_a_diff_shows_the_line_that_failed() -> None:
    many = [f"int v{i} = {i};" for i in range(60)]
    changed = [line.replace("= ", "= 1 + ") if int(line[5:7].strip(" =;")) % 9 == 0 else line
               for line in many]  # fmt: skip
    parent, child = "\n".join(many), "\n".join(changed)
    for line in (1, 10, 30, 55):
        shown = differences.changes(parent, child, failed=line, lines=12)
        marked = [text for text in shown.splitlines() if text.endswith(f"<-- line {line}")]
        assert len(marked) == 1
        assert changed[line - 1] in marked[0]
        assert len(shown.splitlines()) <= 14
    assert "<--" not in differences.changes(parent, child, failed=900)


def test_a_line_is_told_once_as_the_file_counts_it() -> None:
    finding = Diagnostic(
        stage="sanitize", message="thread 3 reads beyond x [source:1: `out[0] = x[9];`]", line=7
    )
    told = feedback.reasons(failed(Status.SANITIZER_ERROR, finding))
    assert told == ["sanitize: line 7: thread 3 reads beyond x [`out[0] = x[9];`]"]


def test_the_demands_of_real_ops() -> None:
    softmax = build(Assignment(ops.get("softmax"), "float16", GPU)).system
    assert "mx.softmax(x, axis=-1, precise=True)" in softmax
    assert "sums of `cols` terms" in softmax
    assert "within 2.0e-03 of each element" in softmax
    assert "NaN and infinities in inputs must come out as the formula gives them" in softmax
    said = {op.name: list(demands.tolerances(op, op.dtypes[0])) for op in ops.all_ops().values()}
    assert all(said.values())
    ties = [
        line
        for name, lines in said.items()
        for tensor, line in zip(ops.get(name).outputs, lines, strict=True)
        if isinstance(tensor.compared, Ties)
    ]
    assert ties
    assert all("any index is right whose key equals" in line for line in ties)


def test_known_chips_are_told_with_their_figures() -> None:
    text = asked(counted())
    assert "40 GPU cores, 546 GB/s" in text
    assert "It has" not in asked(counted(), Device("metal", "Apple M99"))


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


def test_each_baseline_is_told_once_with_the_ways_it_is_run() -> None:
    texts = demands.baselines(ops.get("masked_softmax"))
    assert len(texts) == len(set(texts)) == 1
    assert texts[0].startswith("# as it stands, and under mx.compile\n")
