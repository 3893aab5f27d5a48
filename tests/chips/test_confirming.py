"""A shortlist is confirmed kernel by kernel, and goes on where it was cut short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from foundry.chips.confirming import Confirmation, Confirmed, confirm
from foundry.chips.judged import JudgeSeat
from foundry.chips.shortlist import ChosenKernel
from foundry.errors import UsageError
from foundry.judge.verdict import Evaluation, Status, Timing
from foundry.kernel import parse
from foundry.program import Device
from foundry.store import Store
from ops.spec import Op

MAC = Device("metal", "Apple M4 Max")
WORKLOAD = "silu[rows=8,cols=64]float32"


def text(number: int) -> str:
    return (
        '/*kernel\nop = "silu"\ngrid = ["rows * cols"]\nthreadgroup = [32]\n*/\n// --- body ---\n'
        f"uint i = thread_position_in_grid.x;\nout[i] = x[i] + T({number});\n"
    )


def chosen(number: int) -> ChosenKernel:
    found = parse(text(number)).hash
    return ChosenKernel("silu", "float32", WORKLOAD, found, text(number), 10.0 + number, "memory")


ASKED = Confirmation("list.json", [chosen(n) for n in range(3)], "quick", None, "foundry confirm")


class Judging:
    """Proves and times all it is given; the power fails before one of them."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.judged: list[str] = []
        self._fails_at = fails_at

    def evaluate(self, kernel: str, op: Op, dtype: str, seed: int | None) -> Evaluation:
        if len(self.judged) == self._fails_at:
            raise KeyboardInterrupt
        self.judged.append(kernel)
        other = "silu[rows=1,cols=1]float32"
        return Evaluation(
            kernel_hash=parse(kernel).hash,
            op=op.name,
            dtype=dtype,
            device_id=MAC.id,
            status=Status.CORRECT,
            timings=tuple(timing(name, us) for name, us in ((other, 99.0), (WORKLOAD, 12.0))),
        )


def timing(workload: str, us: float) -> Timing:
    return Timing(
        workload=workload, baseline="mx", baseline_us=us, kernel_us=us, speedup=1.0,
        speedup_low=0.9, speedup_high=1.1, bytes_moved=0, flops=0,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "d.db")) as opened:
        yield opened


def confirmed(
    store: Store, judge: Judging, asked: Confirmation = ASKED
) -> tuple[list[Confirmed], list[Confirmed]]:
    seat = cast(JudgeSeat, SimpleNamespace(device=MAC, judge=judge))
    heard: list[Confirmed] = []
    return confirm(asked, store, seat, heard.append), heard


def test_what_was_cut_short_goes_on_and_judges_nothing_twice(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        confirmed(store, Judging(fails_at=2))
    (run,) = store.runs()
    assert (run.outcome, run.evaluations) == ("interrupted", 2)
    again = Judging()
    found, heard = confirmed(store, again)
    assert again.judged == [text(2)]
    assert [one.fresh for one in found] == [False, False, True]
    assert heard == found
    (run,) = store.runs()
    assert (run.outcome, run.evaluations) == ("done", 3)


@pytest.mark.parametrize("changed", [{"seed": 0}, {"language": "3.1"}])
def test_what_was_cut_short_goes_on_with_the_same_inputs_and_language_alone(
    store: Store, changed: dict[str, Any]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        confirmed(store, Judging(fails_at=2))
    other = Judging()
    confirmed(store, other, replace(ASKED, **changed))
    assert len(other.judged) == 3
    assert [run.outcome for run in store.runs()].count("interrupted") == 1


def test_what_is_done_is_measured_anew_when_it_is_asked_for_again(store: Store) -> None:
    confirmed(store, Judging())
    again = Judging()
    found, _ = confirmed(store, again)
    assert len(again.judged) == 3
    assert all(one.fresh for one in found)
    assert [run.outcome for run in store.runs()] == ["done", "done"]


def test_the_time_beside_a_prediction_is_that_of_its_workload(store: Store) -> None:
    (one, *_), _ = confirmed(store, Judging())
    assert one.us == 12.0
    told = one.document(MAC)
    assert (told["predicted_us"], told["measured_us"]) == (10.0, 12.0)
    assert replace(one, candidate=replace(one.candidate, workload="another")).us is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("no kernel", "list.json, kernel"),
        (text(0).replace("silu", "siluu"), "unknown op 'siluu'"),
    ],
)
def test_a_text_that_is_no_kernel_stops_all_before_any_is_judged(
    store: Store, wrong: str, said: str
) -> None:
    bad = replace(ASKED, candidates=[chosen(0), replace(chosen(1), text=wrong)])
    judge = Judging()
    with pytest.raises(UsageError, match=said):
        confirmed(store, judge, bad)
    assert not judge.judged
    assert store.runs() == []
