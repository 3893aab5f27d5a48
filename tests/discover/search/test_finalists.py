from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from toy import failed, passed

from discover.selection.finalists import finalists
from foundry.judge.verdict import Evaluation, Status


def timed(score: float, kernel_us: float) -> Evaluation:
    made = passed(score)
    timing = made.timings[0].model_copy(update={"kernel_us": kernel_us})
    return made.model_copy(update={"timings": (timing,)})


def test_score_and_plain_time_take_turns_and_the_start_comes_along() -> None:
    found = {
        0: timed(1.0, 20.0),
        1: timed(9.0, 15.0),  # drawn in a slow moment of the baseline
        2: timed(3.0, 2.0),
        3: timed(2.5, 3.0),
        4: timed(4.0, 9.0),
    }
    assert finalists(found, 0, 4) == [1, 2, 4, 0]
    assert finalists(found, 0, 1) == [1]
    assert finalists(found, 0, 0) == []
    assert finalists(found, None, 2) == [1, 2]


def test_kernels_without_times_are_no_finalists() -> None:
    untimed = passed(2.0).model_copy(update={"timings": (), "status": Status.CORRECT})
    assert finalists({0: untimed, 1: failed(Status.CRASH)}, 0, 3) == []


@given(
    st.dictionaries(
        st.integers(0, 20), st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)), max_size=12
    ),
    st.integers(0, 20),
    st.integers(0, 8),
)
def test_places_are_distinct_and_never_more_than_asked(
    rows: dict[int, tuple[float, float]], start: int, count: int
) -> None:
    found = {node: timed(score, us) for node, (score, us) in rows.items()}
    chosen = finalists(found, start, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(found))
    assert set(chosen) <= set(found)
    if start in found and count > 1:
        assert start in chosen
