from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from foundry.judge.attacks.operators import OPERATORS
from foundry.judge.options import bench_workloads
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.reward import KernelReward, RewardOptions, reward_function, tasks
from foundry.reward.kernels import text_of
from foundry.reward.options import Shares
from foundry.reward.score import score
from ops import registry
from ops.errors import UsageError
from templates import default, for_op, render

OP = "row_max"


@pytest.fixture(scope="module")
def reward() -> Iterator[KernelReward]:
    with KernelReward(RewardOptions(device="cpu", workers=2)) as found:
        yield found


def right() -> str:
    template = for_op(OP)[0]
    return render(template, default(template))


def fenced(text: str) -> str:
    return f"Here it is.\n```metal\n{text}```\n"


def test_a_right_kernel_earns_all_a_broken_one_little_and_rubbish_nothing(
    reward: KernelReward,
) -> None:
    wrong = next(o for o in OPERATORS if o.name == "max_to_min")(right())
    assert wrong is not None
    unbuilt = right().replace("// --- body ---\n", "// --- body ---\n__syncthreads();\n")
    answers = [fenced(right()), fenced(wrong), fenced(unbuilt), "I would rather not."]
    found = reward.scores(answers, [OP] * 4)
    assert found[0].is_right
    assert (found[0].value, found[0].reason) == (1.0, "")
    assert 0.0 < found[2].value < found[1].value < 0.5
    assert found[1].status == "wrong_result"
    assert "__syncthreads" in found[2].reason
    assert found[3].value == 0.0
    assert "no kernel file" in found[3].reason


class Hostile:
    """Fails however it is looked at."""

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]

    @property
    def content(self) -> str:
        raise ZeroDivisionError


HOLDS_ITSELF: list[Any] = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


@pytest.mark.parametrize(
    ("answer", "op", "dtype"),
    [
        (Hostile(), OP, "float32"),
        ([Hostile()], OP, "float32"),
        ("```metal\nhi\n```", Hostile(), "float32"),
        ("```metal\nhi\n```", OP, Hostile()),
        (HOLDS_ITSELF, OP, "float32"),
        (10**5000, OP, "float32"),
        ("```metal\nhi\n```", 10**5000, "float32"),
        (b"bytes", OP, "float32"),
        (None, OP, "float32"),
        (7, OP, "float32"),
        ("", OP, "float32"),
        ([], OP, "float32"),
        ({}, OP, "float32"),
        ([{"role": "assistant", "content": None}], OP, "float32"),
        ([{"role": "assistant"}], OP, "float32"),
        ("\ud800 \0 ```metal\n/*kernel\n*/\n```", OP, "float32"),
        ("```metal\n/*kernel\nop = 'row_max'\n" * 3, OP, "float32"),
        ("x" * 500_000, OP, "float32"),
        ("```metal\nhi\n```", "no_such_op", "float32"),
        ("```metal\nhi\n```", None, "float32"),
        ("```metal\nhi\n```", OP, "float8"),
        ("```metal\nhi\n```", OP, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rubbish_is_answered_and_never_raised(
    reward: KernelReward, answer: Any, op: Any, dtype: Any
) -> None:
    found = reward.score(answer, op, dtype)
    assert found.value == 0.0
    assert found.reason


@pytest.mark.parametrize("answers", [None, 7, "a text", b"bytes", {"content": "no"}, Hostile()])
def test_what_is_no_list_of_answers_is_one_that_earns_nothing(
    reward: KernelReward, answers: Any
) -> None:
    (found,) = reward.scores(answers, [OP])
    assert (found.value, bool(found.reason)) == (0.0, True)
    assert reward_function(reward)(completions=answers, op=[OP]) == [0.0]


def test_answers_and_their_ops_may_come_one_by_one(reward: KernelReward) -> None:
    found = reward.scores(iter([fenced(right()), "no"]), iter([OP, OP]))  # type: ignore[arg-type]
    assert [one.value for one in found] == [1.0, 0.0]


def test_a_row_without_an_element_type_asks_for_float32(reward: KernelReward) -> None:
    found = reward.scores([fenced(right())] * 2, [OP] * 2, [None, "float16"])
    assert [one.is_right for one in found] == [True, True]


def test_a_fault_of_ours_costs_the_answer_and_not_the_training_run(
    reward: KernelReward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reward._judge, "evaluate", broken)
    found = reward.score(fenced(right()), OP)
    assert (found.value, found.reason) == (0.0, "the answer could not be scored: ZeroDivisionError")


def test_what_is_late_earns_nothing() -> None:
    with KernelReward(RewardOptions(device="cpu", workers=1, limit_s=0.0)) as reward:
        (found,) = reward.scores([fenced(right())], [OP])
    assert (found.value, found.reason) == (0.0, "not judged within 0 s")


def test_equal_answers_that_wait_when_time_is_up_earn_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with KernelReward(RewardOptions(device="cpu", workers=1, limit_s=0.2)) as reward:
        begun = threading.Event()

        def slow(*_: Any, **__: Any) -> None:
            begun.wait(10.0)

        monkeypatch.setattr(reward._judge, "evaluate", slow)
        found = reward.scores([fenced(right()), "no", "no", fenced(right())], [OP] * 4)
        begun.set()
    assert {(one.value, one.reason) for one in found} == {(0.0, "not judged within 0.2 s")}


def test_a_closed_reward_earns_nothing_and_says_so() -> None:
    reward = KernelReward(RewardOptions(device="cpu", workers=1))
    reward.close()
    reward.close()
    found = reward.scores([fenced(right()), "no"], [OP] * 2)
    assert {(one.value, one.reason) for one in found} == {(0.0, "the reward was closed")}


def test_a_forked_process_hears_at_once_that_it_has_no_judge(
    reward: KernelReward, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as forked:
        forked.setattr("os.getpid", lambda: -1)
        found = reward.score(fenced(right()), OP)
    assert (found.value, "made in another process" in found.reason) == (0.0, True)
    assert reward.score(fenced(right()), OP).is_right


@pytest.fixture(scope="module")
def predicting() -> Iterator[KernelReward]:
    with KernelReward(RewardOptions(device="cpu", workers=1, speed="predicted")) as found:
        yield found


def test_a_kernel_that_does_nothing_at_the_predicted_size_is_wrong(
    predicting: KernelReward,
) -> None:
    (workload,) = bench_workloads(registry.get(OP), "float32", "quick")
    rows, cols = workload.axes["rows"], workload.axes["cols"]
    body = "// --- body ---\n"
    skips = f"if (x_shape[0] == {rows}u && x_shape[1] == {cols}u) {{\n  return;\n}}\n"
    honest, cheat = predicting.scores(
        [fenced(right()), fenced(right().replace(body, body + skips))], [OP] * 2
    )
    assert (honest.value, honest.speedup) == (pytest.approx(0.8), pytest.approx(1.0))
    assert not cheat.is_right
    assert cheat.value <= Shares().clean


ONE_WORKS = """
/*kernel
op = "row_max"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint rows = x_shape[0];
const uint cols = x_shape[1];
if (thread_position_in_grid.y == (rows > 20 ? 20 : 0)) {
  for (uint row = 0; row < rows; ++row) {
    float found = -INFINITY;
    for (uint c = lane; c < cols; c += 32) {
      found = max(found, float(x[size_t(row) * cols + c]));
    }
    found = simd_max(found);
    if (lane == 0) {
      out[row] = T(found);
    }
  }
}
""".lstrip()


def test_work_that_hides_from_the_profiled_threadgroups_earns_nothing_for_speed(
    predicting: KernelReward,
) -> None:
    found = predicting.score(fenced(ONE_WORKS), OP)
    assert found.is_right
    assert (found.value, found.speedup) == (Shares().right, None)


def test_nobody_knows_what_a_prediction_is_made_on(predicting: KernelReward) -> None:
    forecaster = predicting._forecaster
    assert forecaster is not None
    assert forecaster._profiler.seed == predicting._judge.seed


def test_trl_calls_it_with_columns_and_chats_and_hears_why(reward: KernelReward) -> None:
    call = reward_function(reward)
    logged: dict[str, list[str]] = {}
    chats = [
        [{"role": "assistant", "content": fenced(right())}],
        [{"role": "assistant", "content": "no"}],
    ]
    found = call(
        prompts=["a", "b"],
        completions=chats,
        completion_ids=[[1], [2]],
        op=[OP, OP],
        dtype=["float32", "float32"],
        trainer_state=None,
        log_extra=lambda name, values: logged.update({name: values}),
    )
    assert found == [1.0, 0.0]
    assert logged["kernel_status"] == ["correct", "invalid"]
    assert call.__name__ == "kernel_reward"
    assert call(completions=["text only"], op=[]) == [0.0]


def test_the_text_of_an_answer() -> None:
    class Message:
        content = "said"

    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert text_of("x") == "x"
    assert text_of([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]) == "a"
    assert text_of([{"role": "assistant", "content": parts}]) == "ab"
    assert text_of([Message()]) == "said"


def test_a_reason_tells_nothing_of_what_is_hidden() -> None:
    op = registry.get(OP)
    hidden = op.workloads("hidden", "float32")[0].id
    told = Diagnostic(stage="verify", message=f"wrong on {hidden}", workload=hidden, hidden=True)
    evaluation = Evaluation(
        kernel_hash="a" * 64,
        op=OP,
        dtype="float32",
        device_id="cpu",
        status=Status.WRONG_RESULT,
        diagnostics=(told,),
    )
    found = score(evaluation, Shares(), None, timed=False)
    assert "hidden workload" in found.reason
    assert not re.search(r"\d{2,}|\[", found.reason)


@pytest.mark.parametrize("status", list(Status))
def test_only_a_proven_kernel_is_worth_much(status: Status) -> None:
    said = () if status.passed else (Diagnostic(stage="verify", message="no"),)
    common: dict[str, Any] = {"op": OP, "dtype": "float32", "device_id": "cpu"}
    evaluation = Evaluation.model_construct(
        kernel_hash="a" * 64, status=status, diagnostics=said, timings=(), **common
    )
    value = score(evaluation, Shares(), 1e9, timed=True).value
    assert value > 0.99 if status.passed else value <= Shares().clean
    if status in (Status.REJECTED, Status.INVALID, Status.TIMEOUT, Status.CRASH):
        assert value == 0.0
    if status.passed:
        slow = score(evaluation, Shares(), 0.5, timed=True).value
        assert Shares().right < slow < value
        assert score(evaluation, Shares(), None, timed=True).value == Shares().right


def test_tasks_ask_as_a_search_does_and_leave_held_out_ops_alone() -> None:
    rows = tasks(["softmax", "silu"], ["float32", "float16"], hold_out=["silu"])
    assert [(row["op"], row["dtype"]) for row in rows] == [
        ("softmax", "float32"),
        ("softmax", "float16"),
    ]
    assert [m["role"] for m in rows[0]["prompt"]] == ["system", "user"]
    assert "softmax" in rows[0]["prompt"][0]["content"]
    ops = registry.all_ops().values()
    assert {row["op"] for row in tasks()} == {op.name for op in ops if "float32" in op.dtypes}
    with pytest.raises(UsageError, match="did you mean softmax"):
        tasks(["softmex"])


def test_tasks_for_a_chip_say_that_its_times_are_predicted() -> None:
    (here,), (there,) = tasks(["softmax"]), tasks(["softmax"], chip="m4-max")
    assert "timed against MLX" in here["prompt"][0]["content"]
    assert "timed against MLX" not in there["prompt"][0]["content"]
    assert "is predicted" in there["prompt"][0]["content"]
    assert "m4-max" in there["prompt"][1]["content"]
    with pytest.raises(UsageError, match="m4-max"):
        tasks(["softmax"], chip="m4-maks")


def test_no_op_asks_for_nothing() -> None:
    assert tasks(ops=[]) == []
    assert [row["op"] for row in tasks(ops=["softmax"])] == ["softmax"]
