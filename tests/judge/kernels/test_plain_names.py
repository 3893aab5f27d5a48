"""A kernel that is right with precise functions and wrong with those of `fast::`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from foundry.cli.machine import proving
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from foundry.program import Program
from ops import registry
from ops.texts.metal import plain_calls, with_fast_calls
from templates import default, for_op, render

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    with WorkerPool("cpu", 1, tmp_path_factory.mktemp("locks")) as made:
        yield made


def plain(op: str) -> str:
    return render(for_op(op)[0], default(for_op(op)[0])).replace("precise::", "")


@pytest.mark.parametrize("op", ["tanh", "rope"])
def test_a_kernel_that_a_mac_takes_for_another_says_so(pool: WorkerPool, op: str) -> None:
    found = Judge(pool, JudgeOptions(timed=False, reach_s=0.0)).evaluate(
        plain(op), registry.get(op), "float32", 1
    )
    assert found.status is Status.CORRECT
    (said,) = (d.message for d in found.diagnostics)
    assert said.startswith("right where plain `")
    assert "`fast::`, and with those: output 'out' is wrong" in said
    assert "Call `precise::" in said


@pytest.mark.parametrize("op", ["softmax", "gelu_tanh"])
def test_a_kernel_that_is_right_either_way_says_nothing(pool: WorkerPool, op: str) -> None:
    judge = Judge(pool, JudgeOptions(timed=False, reach_s=0.0))
    assert judge.evaluate(plain(op), registry.get(op), "float32", 1).diagnostics == ()


def test_calls_of_plain_names() -> None:
    text = "y = tanh(x) + metal::sin (x) + precise::cos(x); // pow(x)\nsincos(x, c); exp(x);"
    assert plain_calls(text) == ("tanh", "sin", "sincos", "exp")
    assert with_fast_calls(text) == (
        "y = metal::fast::tanh(x) + metal::fast::sin (x) + precise::cos(x); // pow(x)\n"
        "metal::fast::sincos(x, c); metal::fast::exp(x);"
    )
    assert plain_calls(with_fast_calls(text)) == ()


def test_the_doctor_tells_which_they_are(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    precise = proving.try_plain_names(pool)
    assert (precise.state, precise.found[:9]) == ("ok", "precise: ")
    made = proving._program

    def fast(*texts: str) -> Program:
        program = made(*texts)
        return replace(program, launches=(replace(program.launches[0], math_mode="fast"),))

    monkeypatch.setattr(proving, "_program", fast)
    assert proving.try_plain_names(pool).found.startswith("those of `fast::`, so write `precise::`")
