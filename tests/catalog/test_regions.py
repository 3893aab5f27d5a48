"""Where a kernel may be called, learnt from points: pure, on made-up times."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry.catalog.runtime.learning.learnt import KernelVerdict, Learnt, read
from foundry.catalog.runtime.learning.regions import RegionIndex, TimedPoint, TunedRegion, learn
from foundry.catalog.runtime.learning.statistics import PairedTimes, outer_rank, point_of
from foundry.judge.time import statistics as of_judge


def point(rows: int, cols: int = 64, speedup: float = 1.5, chance: float = 1.0) -> TimedPoint:
    axes = {"rows": rows, "cols": cols}
    return TimedPoint(axes, speedup, speedup * 0.99, speedup * 1.01, chance)


def covering(regions: Sequence[TunedRegion], axes: Mapping[str, int]) -> TunedRegion | None:
    return RegionIndex(regions).covering(axes)


def at(rows: int, cols: int = 64) -> dict[str, int]:
    return {"rows": rows, "cols": cols}


def test_between_two_neighbours_that_win_a_kernel_may_be_called() -> None:
    found = learn([point(8), point(32)])
    assert covering(found, at(8))
    assert covering(found, at(17))
    assert covering(found, at(32))
    assert not covering(found, at(7))
    assert not covering(found, at(33))
    assert not covering(found, at(17, cols=65))


def test_a_point_that_loses_divides_what_lies_around_it() -> None:
    found = learn([point(8), point(16, speedup=0.9), point(32)])
    assert covering(found, at(8))
    assert covering(found, at(32))
    assert not covering(found, at(12))
    assert not covering(found, at(24))


def test_neighbours_that_are_far_apart_say_nothing_of_what_lies_between() -> None:
    assert not covering(learn([point(8), point(64)]), at(20))


def test_a_point_that_is_not_sure_is_no_win() -> None:
    assert learn([point(8, chance=0.9)]) == ()
    assert learn([point(8, speedup=0.999)]) == ()


def test_a_box_over_two_axes_needs_all_of_its_corners() -> None:
    corners = [point(8, 64), point(16, 64), point(8, 128), point(16, 128)]
    assert covering(learn(corners), at(12, 100))
    assert not covering(learn(corners[:3]), at(12, 100))


def test_a_corner_that_an_op_does_not_have_is_not_asked() -> None:
    """Along a diagonal: no more rows than cols."""
    corners = [point(64, 64), point(64, 128), point(128, 128)]
    found = learn(corners, lambda axes: axes["rows"] <= axes["cols"])
    assert covering(found, at(100, 100))
    assert not covering(learn(corners), at(100, 100))


def test_of_two_boxes_the_better_kernel_is_told() -> None:
    found = covering(learn([point(8), point(16, speedup=2.0), point(32, speedup=3.0)]), at(20))
    assert found is not None
    assert found.speedup == 2.0
    assert found.text == "rows 16 to 32, cols 64"


@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0.5, 2.0)), max_size=12))
def test_no_kernel_is_called_outside_of_what_was_timed(given: list[tuple[int, float]]) -> None:
    points = [point(rows, speedup=speedup) for rows, speedup in given]
    found = learn(points)
    sizes = dict(given)
    for rows in range(1, 302):
        if covering(found, at(rows)):
            below = max(size for size in sizes if size <= rows)
            above = min(size for size in sizes if size >= rows)
            assert sizes[below] > 1
            assert sizes[above] > 1
            assert above <= 4 * below


@given(
    st.lists(
        st.tuples(st.integers(1, 64), st.sampled_from([64, 128]), st.floats(0.9, 2.0)), max_size=20
    ),
    st.integers(1, 70),
)
def test_the_index_finds_the_best_of_the_boxes_that_hold_sizes(
    given: list[tuple[int, int, float]], rows: int
) -> None:
    regions = learn([point(n, cols, speedup) for n, cols, speedup in given])
    for cols in (64, 100, 128):
        held = [region for region in regions if region.holds(at(rows, cols))]
        found = covering(regions, at(rows, cols))
        assert (found is None) is (not held)
        assert found is None or found.speedup == max(region.speedup for region in held)


def test_many_points_of_many_axes_are_learnt_while_nobody_waits() -> None:
    sweep = (1, 2, 4, 8, 32, 128, 512, 2048)
    names = ("batch", "heads", "kv_heads", "q_len", "kv_len", "head_dim")
    sizes = itertools.product((1, 2), (8, 16), (8,), sweep, sweep, (64, 128))
    points = [TimedPoint(dict(zip(names, s, strict=True)), 1.5, 1.4, 1.6, 1.0) for s in sizes]
    begun = time.process_time()
    found = learn(points)
    assert time.process_time() - begun < 5.0
    assert covering(found, dict(zip(names, (2, 8, 8, 3, 20, 64), strict=True)))


def times(drawn: random.Random, gain: float, pairs: int = 15) -> PairedTimes:
    return PairedTimes(
        [drawn.gauss(10, 0.1) for _ in range(pairs)],
        [drawn.gauss(10, 0.1) / gain for _ in range(pairs)],
    )


def test_a_speedup_lies_in_its_interval_and_noise_wins_nothing() -> None:
    drawn = random.Random(3)
    won = point_of(at(1), [times(drawn, 1.3), times(drawn, 1.3)], same_bits=True)
    assert won.wins
    assert won.low <= won.speedup <= won.high
    assert abs(won.speedup - 1.3) < 0.03
    for gain in (0.96, 1.0):
        even = [
            point_of(at(1), [times(drawn, gain), times(drawn, gain)], same_bits=True)
            for _ in range(100)
        ]
        assert not any(p.wins for p in even)
    with pytest.raises(ValueError, match="no pair"):
        point_of(at(1), [PairedTimes([], [])], same_bits=True)


def test_an_interval_spans_what_every_placement_says() -> None:
    """A kernel that wins in one place of memory alone does not win."""
    drawn = random.Random(4)
    found = point_of(at(1), [times(drawn, 1.2), times(drawn, 0.98)], same_bits=True)
    assert found.low < 1.0 < 1.15 < found.high
    assert not found.wins


def test_ends_of_intervals_are_those_of_the_judge() -> None:
    assert [outer_rank(n) for n in range(2, 60)] == [
        of_judge.outer_rank(n, 0.95) for n in range(2, 60)
    ]


def learnt(file: Path) -> Learnt:
    made = Learnt(file, {"chip": "a"})
    made.judge("k", KernelVerdict(passed=False, detail="wrong", same_bits=False))
    made.add("k", [point(8), point(16)])
    made.add("k", [point(8, speedup=0.5)])
    return made


def test_what_was_learnt_is_read_back_for_its_identity_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "cache.json"
    made = learnt(file)
    made.keep()
    found = read(file, {"chip": "a"})
    assert found.verdicts == made.verdicts
    assert found.points == made.points
    assert [p.speedup for p in found.points["k"]] == [0.5, 1.5]
    assert not read(file, {"chip": "b"}).points


def test_what_another_process_learnt_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "cache.json"
    one, other = read(file, {"chip": "a"}), read(file, {"chip": "a"})
    one.add("k", [point(8), point(16)])
    one.keep()
    other.judge("j", KernelVerdict(passed=True, detail=""))
    other.add("k", [point(16, speedup=2.0)])
    other.keep()
    found = read(file, {"chip": "a"})
    assert [p.speedup for p in found.points["k"]] == [1.5, 2.0]
    assert set(found.verdicts) == {"j"}
    assert other.points == found.points
    one.doubt("j")
    one.keep()
    assert read(file, {"chip": "a"}).points == one.points
    assert not one.verdicts
    assert not read(file, {"chip": "a"}).verdicts


def test_threads_learn_at_once(tmp_path: Path) -> None:
    made = Learnt(tmp_path / "cache.json", {"chip": "a"})
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for rows in range(1, 9):
                made.add(f"{name}{rows}", [point(rows)])
                made.keep()
        except RuntimeError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(read(made.file, {"chip": "a"}).points) == 4 * 8


def test_a_kernel_without_points_has_no_key(tmp_path: Path) -> None:
    made = Learnt(tmp_path / "cache.json", {"chip": "a"})
    made.add("k", [])
    assert not made.points


BEGIN = '{"form": 3, "identity": {"chip": "a"}, "verdicts": {}, "points": {"k": ['
POINT = (
    '{"axes": {"rows": 1}, "speedup": 2.0, "low": 1.5, "high": 2.5, "chance": 1.0,'
    ' "same_bits": true, "baseline": "b"}'
)


def test_a_whole_cache_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cache.json"
    file.write_text(BEGIN + POINT + "]}}")
    assert read(file, {"chip": "a"}).points["k"][0].wins


@pytest.mark.parametrize(
    "broken",
    [
        "", "{", "[]", "null", '{"form": 3}', '{"form": 9, "identity": {"chip": "a"}}', "\0\0",
        '{"form": 3, "identity": {"chip": "a"}, "verdicts": {"k": 3}, "points": {}}',
        '{"form": 3, "identity": {"chip": "a"}, "verdicts": {}, "points": {"k": [{"axes": 3}]}}',
        '{"form": 3, "identity": {"chip": "a"}, "points": {},'
        ' "verdicts": {"k": {"passed": "no", "detail": ""}}}',
        BEGIN + POINT.replace('"rows": 1', '"rows": Infinity') + "]}}",
        BEGIN + POINT.replace("2.0", "NaN") + "]}}",
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_broken_cache_is_built_anew(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "cache.json"
    file.write_text(broken)
    found = read(file, {"chip": "a"})
    assert not found.points
    assert not found.verdicts
    learnt(file).keep()
    assert read(file, {"chip": "a"}).points


def a_folder(file: Path) -> None:
    file.mkdir()
    (file / "of somebody").write_text("kept")


def an_unreadable_file(file: Path) -> None:
    file.write_text(BEGIN + POINT + "]}}")
    file.chmod(0)


def a_dead_link(file: Path) -> None:
    file.symlink_to(file.with_name("nowhere"))


@pytest.mark.parametrize(
    "put",
    [
        lambda file: file.write_bytes(bytes(range(256)) * 40),
        lambda file: file.write_bytes((BEGIN + POINT).encode("utf-16")),
        a_folder,
        lambda file: a_folder(file.with_suffix(".part")),
        lambda file: a_folder(file.with_suffix(".lock")),
        os.mkfifo,
        a_dead_link,
        an_unreadable_file,
    ],
    ids=["binary", "utf-16", "folder", "part", "lock", "pipe", "link", "unreadable"],
)
def test_whatever_lies_in_its_place_a_cache_is_built_anew(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    file = tmp_path / "cache.json"
    put(file)
    learnt(file).keep()
    assert {p.axes["rows"] for p in read(file, {"chip": "a"}).points["k"]} >= {8, 16}
    assert all((found / "of somebody").is_file() for found in tmp_path.glob("*.folder"))


@pytest.mark.parametrize("axes", ['{"cols": 1}', "{}", '{"rows": 1, "cols": 1}'])
def test_times_of_sizes_that_the_op_does_not_have_are_no_times(tmp_path: Path, axes: str) -> None:
    file = tmp_path / "cache.json"
    file.write_text(BEGIN + POINT + ", " + POINT.replace('{"rows": 1}', axes) + "]}}")
    assert len(read(file, {"chip": "a"}).points["k"]) == 2
    found = read(file, {"chip": "a"}, {"k": ["rows"], "another": ["cols"]})
    assert not found.points
    found.add("k", [TimedPoint({"rows": 3}, 2.0, 1.9, 2.1, 1.0)])
    found.keep()
    assert [p.axes for p in read(file, {"chip": "a"}).points["k"]] == [{"rows": 3}]


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    learnt(tmp_path / "file" / "cache.json").keep()
