"""Predictions beside verdicts: which kernels are told apart, what a search sees, what is kept."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from foundry.chips import fitted, registry
from foundry.chips.device import chip_named, device_of
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.kernel import parse, render
from foundry.program import Device
from foundry.report.forecast import PREDICTED_COLUMNS, PredictedRow
from foundry.report.predicted import (
    MODEL,
    front,
    predicted_gain,
    predicted_times,
    predicted_us,
    tells_apart,
    worth,
)
from foundry.store import Store
from foundry.store.records import PREDICTIONS, Origin
from foundry.store.shortest import shortest
from foundry.store.tables import models
from ops import registry as ops
from ops.workload import Case

HERE = Device("cpu", "Test CPU")
CHIP = device_of(registry.get("m4-max"), fitted.built_in(), HERE)
SILU = ops.get("silu")
WORKLOADS = tuple(SILU.workload(Case({"rows": rows, "cols": 64}), "float32") for rows in (8, 4096))
WORKLOAD, LARGE = (workload.id for workload in WORKLOADS)
TIMES = st.lists(st.floats(0.5, 1e6), min_size=1, max_size=12)


def said(us: float, template_us: float | None = 100.0) -> dict[str, object]:
    return {
        "kind": "prediction",
        "chip": "m4-max",
        "predicted_us": us,
        "low_us": us / 2,
        "high_us": us * 2,
        "bound": "memory",
        "launches": [{"us": us, "by_unit_us": {"memory": us}}],
        "sentences": ["bound by memory: fewer bytes"],
        "assumed": [],
        "template_us": template_us,
        "apart": 1.25,
    }


def kernel_text(number: int) -> str:
    return (
        '/*kernel\nop = "silu"\ngrid = ["rows * cols"]\nthreadgroup = [32]\n*/\n// --- body ---\n'
        f"uint i = thread_position_in_grid.x;\nout[i] = x[i] + T({number});\n"
    )


def predicted(
    us: float, number: int = 0, template_us: float | None = 100.0, large_us: float | None = None
) -> Evaluation:
    """Of a kernel, on one workload or on two."""
    on = {WORKLOAD: us} | ({} if large_us is None else {LARGE: large_us})
    return Evaluation(
        kernel_hash=parse(kernel_text(number)).hash,
        op="silu",
        dtype="float32",
        device_id=CHIP.id,
        status=Status.CORRECT,
        extra={PREDICTIONS: {id_: {"m4-max": said(one, template_us)} for id_, one in on.items()}},
    )


def test_a_prediction_is_no_score_and_no_speedup() -> None:
    one = predicted(10)
    assert one.score is None
    assert not one.timings
    assert predicted_us(one) == pytest.approx(10)
    assert predicted_gain(one) == pytest.approx(10)
    assert predicted_times(one)[0].words == "predicted 10.0 us (5.00 to 20.0), bound by memory"


@given(TIMES)
def test_the_shorter_is_worth_more_though_nobody_can_tell_it(times: Sequence[float]) -> None:
    for one, other in pairs([predicted(us) for us in times]):
        first, second = (predicted_us(each) or 0 for each in (one, other))
        assert (worth(one) or 0) * first == pytest.approx((worth(other) or 0) * second)


def pairs(found: Sequence[Evaluation]) -> list[tuple[Evaluation, Evaluation]]:
    return list(itertools.combinations(found, 2))


@given(TIMES)
def test_the_front_is_the_shortest_and_all_that_cannot_be_told_from_it(
    times: Sequence[float],
) -> None:
    found = [predicted(us, number) for number, us in enumerate(times)]
    kept = front(found)
    assert kept == sorted(kept, key=lambda e: e.kernel_hash)
    hashes = {one.kernel_hash for one in kept}
    for one, us in zip(found, times, strict=True):
        assert (one.kernel_hash in hashes) == (us <= 1.25 * min(times))


def test_a_gain_is_one_over_the_best_template() -> None:
    assert [worth(predicted(us)) for us in (100, 50, 200)] == pytest.approx([1, 2, 0.5])


def test_what_is_not_known_of_a_chip_stands_beside_what_bounds_a_kernel() -> None:
    lacking = said(10) | {"left_out": ["arithmetic", "cache"]}
    one = predicted(10).model_copy(update={"extra": {PREDICTIONS: {WORKLOAD: {"x1": lacking}}}})
    assert predicted_times(one)[0].words.endswith("bound by memory (arithmetic, cache not known)")
    assert (
        "memory (arithmetic, cache not known)" in PredictedRow("silu", "float32", [one], {}).cells()
    )


def test_without_a_template_the_shorter_is_still_worth_more() -> None:
    fast, slow = predicted(10, template_us=None), predicted(100, template_us=None)
    assert predicted_gain(fast) is None
    assert (worth(fast) or 0) > (worth(slow) or 0)


def test_what_failed_is_in_no_front_and_worth_nothing() -> None:
    wrong = Evaluation(
        kernel_hash="h",
        op="silu",
        dtype="float32",
        device_id=CHIP.id,
        status=Status.WRONG_RESULT,
        diagnostics=(Diagnostic(stage="verify", message="no"),),
        extra=predicted(1).extra,
    )
    assert worth(wrong) is None
    assert front([wrong]) == []


def test_a_table_names_all_that_are_not_told_apart_and_no_speedup() -> None:
    kept = front([predicted(10, 1), predicted(11, 2), predicted(40, 3)])
    cells = PredictedRow("silu", "float32", kept, {"correct": 3}).cells()
    told = dict(zip((column.title for column in PREDICTED_COLUMNS), cells, strict=True))
    assert told["predicted us"] == "10.0 to 11.0"
    assert told["over best template"] == "9.09x to 10.00x"
    assert len(told["kernels, not told apart"].split()) == 2
    assert not any("speedup" in column.title for column in PREDICTED_COLUMNS)
    assert PredictedRow("silu", "float32", [], {}).cells()[3] == "-"


def test_predictions_are_rows_of_their_own_and_rank_no_kernel(tmp_path: Path) -> None:
    origin = Origin("template", "silu/rows")
    times = {0: 40.0, 1: 10.0, 2: 20.0}
    with Store.open(str(tmp_path / "d.db")) as store:
        run = store.begin_run("run", "test", {}, 0, CHIP)
        for number, us in times.items():
            kernel = parse(kernel_text(number))
            store.save(run, kernel, render(kernel), predicted(us, number), origin)
        assert store.best("silu", CHIP.id, "float32", None) == []
        kept = shortest(store, "silu", CHIP.id, WORKLOADS[:1], 2)
        found = [predicted_us(one.evaluation) for one in kept]
        assert found == [pytest.approx(10), pytest.approx(20)]
        assert kept[0].evaluation.extra == predicted(10, 1).extra
        assert all(entry.best_hash is None for entry in store.overview())
        with store.connected(writing=False) as connection:
            rows = connection.execute(select(models.predictions)).mappings().all()
            (extra,) = set(
                map(str, connection.execute(select(models.evaluations.c.extra)).scalars())
            )
        assert {row["predicted_us"] for row in rows} == set(times.values())
        assert {row["chip"] for row in rows} == {"m4-max"}
        assert extra == "{}"


def test_the_shortest_are_those_of_all_workloads_together(tmp_path: Path) -> None:
    kept = [predicted(1, 0, large_us=900), predicted(20, 1, large_us=20), predicted(2, 2)]
    with Store.open(str(tmp_path / "d.db")) as store:
        run = store.begin_run("run", "test", {}, 0, CHIP)
        for number, evaluation in enumerate(kept):
            kernel = parse(kernel_text(number))
            store.save(run, kernel, render(kernel), evaluation, Origin("file", "k"))
        both = shortest(store, "silu", CHIP.id, WORKLOADS, 5)
        small = shortest(store, "silu", CHIP.id, WORKLOADS[:1], 5)
    assert [one.evaluation.kernel_hash for one in both] == [kept[n].kernel_hash for n in (1, 0)], (
        "20 and 20 before 1 and 900; what lacks a workload has no mean"
    )
    assert [one.evaluation.kernel_hash for one in small] == [kept[n].kernel_hash for n in (0, 2, 1)]


def test_a_front_takes_time_that_does_not_grow_with_what_ties(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def counted(one: Evaluation, other: Evaluation) -> bool:
        asked.append(one)
        return tells_apart(one, other)

    monkeypatch.setattr("foundry.report.predicted.tells_apart", counted)
    found = [
        predicted(1000 - n / 10).model_copy(update={"kernel_hash": f"{n:04d}"}) for n in range(300)
    ]
    assert len(front(found)) == 300
    assert len(asked) <= 3 * len(found)


def test_a_chip_that_is_not_here_is_a_device_of_its_own() -> None:
    assert CHIP.kind == MODEL
    assert "predicted" in CHIP.name
    assert CHIP.fingerprint["cores"] == 40
    built_in = fitted.built_in()
    refitted = dataclasses.replace(built_in, apart=1.5)
    assert device_of(registry.get("m4-max"), refitted, HERE).id != CHIP.id
    assert chip_named("model:m4-max") == "m4-max"
    assert chip_named("cpu") is None
    assert chip_named("my_engine:Engine") is None
