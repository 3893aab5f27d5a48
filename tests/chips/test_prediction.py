"""The model: physics that must hold whatever the constants, and what is said of a kernel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from foundry.chips import fitted, registry
from foundry.chips.chip import Figure
from foundry.chips.constants import Constants
from foundry.chips.model import residency, seconds
from foundry.chips.prediction import predicted_on, predicted_over, tells_apart
from foundry.chips.speeds import Speeds, speeds
from foundry.errors import UsageError
from foundry.msl.gpu.profile import GpuProfile, LaunchProfile, Reuse, SharedWork, profile_from

STREAM = Reuse(32768, 32768, 131072, (1.0,) * 7, 1.0, 8, 8, 32768)
"""4 MiB of floats, each read once."""
LAUNCH = LaunchProfile(
    registers=16,
    scratch_bytes=0,
    threadgroups=4096,
    threads=256,
    threadgroup_bytes=0,
    work={"fp32": 1e5, "device_load": 32768, "device_wait": 32768},
    shared=SharedWork(),
    loads=(STREAM,),
    stores=(),
)


def chip(name: str = "m1-max") -> Speeds:
    found = speeds(registry.get(name))
    assert found is not None
    return found


def time(launch: LaunchProfile, name: str = "m1-max") -> float:
    return seconds(GpuProfile((launch,)), chip(name), Constants())


@pytest.mark.parametrize(
    "more",
    [
        {"work": {**LAUNCH.work, "fp32": 1e9}},
        {"work": {**LAUNCH.work, "sine": 1e8}},
        {"shared": SharedWork(1e7, 3.2e8, 1e7), "work": {**LAUNCH.work, "shared_load": 1e7}},
        {"loads": (replace(STREAM, sectors=1e9),)},
        {"loads": (replace(STREAM, size_lines=1e7, of_threadgroup=2e3, more=2e3, touches=1e7),)},
        {"work": {**LAUNCH.work, "spill": 1e8}, "scratch_bytes": 1024},
        {"threadgroup_bytes": 32768, "work": {**LAUNCH.work, "barrier": 1e6}},
        {"atomics": 1e8},
        {"work": {**LAUNCH.work, "multiply": 1e9, "shift_right": 1e9}},
    ],
    ids=[
        "arithmetic",
        "sine",
        "banks",
        "sectors",
        "memory",
        "spills",
        "occupancy",
        "atomics",
        "division",
    ],
)
def test_more_of_anything_never_takes_less_time(more: dict[str, object]) -> None:
    assert time(replace(LAUNCH, **more)) > time(LAUNCH)  # type: ignore[arg-type]


def test_a_stream_takes_no_less_than_its_bytes_over_the_bandwidth() -> None:
    big = replace(STREAM, touches=1e7, sectors=4e7, instructions=1e7, size_lines=1e7)
    launch = replace(LAUNCH, loads=(big,), threadgroups=1_250_000)
    assert time(launch) >= 1e7 * 128 / chip().dram_bytes_s


def test_no_fit_makes_memory_faster_than_it_is() -> None:
    assert all(family.constants.far >= 1 for family in fitted.built_in().families.values())


def test_registers_and_threadgroup_memory_limit_who_is_resident() -> None:
    few, many = LAUNCH, replace(LAUNCH, registers=128)
    assert residency(few, chip()) > residency(many, chip())
    assert residency(replace(LAUNCH, threadgroup_bytes=32768), chip()) == 1
    assert residency(replace(LAUNCH, threads=1024, registers=128), chip()) == 1
    smaller = replace(chip(), register_bytes=chip().register_bytes / 2)
    assert residency(few, smaller) < residency(few, chip())


def test_launches_add_up_and_none_take_nothing() -> None:
    one = seconds(GpuProfile((LAUNCH,)), chip(), Constants())
    assert seconds(GpuProfile((LAUNCH, LAUNCH)), chip(), Constants()) == pytest.approx(2 * one)
    assert seconds(GpuProfile(()), chip(), Constants()) == 0


def test_a_profile_survives_as_plain_data() -> None:
    profile = GpuProfile((LAUNCH,))
    assert profile_from(profile.document()) == profile


def test_a_prediction_says_what_bounds_it_and_is_told_from_a_measurement() -> None:
    work = {**LAUNCH.work, "shared_load": 1e7}
    launch = replace(LAUNCH, shared=SharedWork(1e7, 3.2e8, 1e7), work=work, scratch_bytes=64)
    said = predicted_on(GpuProfile((launch,)), registry.get("m1-max"), fitted.built_in())
    assert said.low_us < said.us < said.high_us
    assert said.bound == "threadgroup"
    assert "32.0 passes" in said.sentences[0]
    assert "64 bytes" in said.sentences[-1]
    assert said.document()["kind"] == "prediction"


def test_a_figure_that_nobody_published_is_said_to_be_assumed() -> None:
    said = predicted_on(GpuProfile((LAUNCH,)), registry.get("m4-max"), fitted.built_in())
    assert any("clock" in line for line in said.assumed)


@pytest.mark.parametrize(
    ("missing", "units", "wanted"),
    [
        (("dram_gb_s",), {"memory"}, "its memory bandwidth"),
        (("clock_mhz", "fp32_tflops"), {"arithmetic", "cache", "threadgroup", "l2"}, "the clock"),
        (("cores",), {"arithmetic", "cache", "threadgroup", "l2", "waiting"}, "number of its"),
    ],
)
def test_what_needs_a_missing_figure_is_left_out_and_said(
    missing: tuple[str, ...], units: set[str], wanted: str
) -> None:
    whole = registry.get("m1")
    lacking = replace(whole, **dict.fromkeys(missing))
    profile = GpuProfile((LAUNCH, replace(LAUNCH, threadgroups=1)))
    said = predicted_on(profile, lacking, fitted.built_in())
    assert set(said.left_out) == set(said.document()["left_out"]) == units
    assert not units & {unit for terms in said.launches for unit in terms.by_unit}
    assert wanted in said.sentences[-1]
    assert "it may take longer" in said.sentences[-1]
    assert 0 < said.us < predicted_on(profile, whole, fitted.built_in()).us


def test_of_a_chip_without_clock_and_bandwidth_nothing_is_said() -> None:
    unknown = replace(registry.get("m1"), cores=None, dram_gb_s=None)
    with pytest.raises(UsageError, match="neither the clock of its cores nor its memory"):
        predicted_on(GpuProfile((LAUNCH,)), unknown, fitted.built_in())


@pytest.mark.parametrize(
    ("figure", "value", "launch"),
    [
        ("dispatch_us", 50.0, LAUNCH),
        ("l2_gb_s", 1.0, LAUNCH),
        ("l2_latency_ns", 1e6, replace(LAUNCH, threadgroups=1, loads=(), stores=())),
        ("register_bytes_per_core", 4096.0, replace(LAUNCH, threadgroups=64)),
    ],
)
def test_the_figures_of_a_chip_are_what_counts(
    figure: str, value: float, launch: LaunchProfile
) -> None:
    known = registry.get("m2")
    other = replace(known, **{figure: Figure(value, "a test")})
    profile = GpuProfile((launch,))
    assert (
        predicted_on(profile, other, fitted.built_in()).us
        > predicted_on(profile, known, fitted.built_in()).us
    )


def test_atomic_operations_are_said_to_be_what_bounds() -> None:
    profile = GpuProfile((replace(LAUNCH, atomics=1e9),))
    said = predicted_on(profile, registry.get("m1-max"), fitted.built_in())
    assert said.bound == "l2"
    assert "1,000,000,000 atomic operations" in said.sentences[0]


def test_a_stream_from_the_cache_is_not_told_to_use_its_tiles_more_often() -> None:
    slow = replace(registry.get("m1-max"), l2_gb_s=Figure(1.0, "a test"), slc_gb_s=Figure(1, "me"))
    again = replace(STREAM, touches=8 * STREAM.touches, missed=(1.0,) * 7)
    for load, word in ((STREAM, "only fewer bytes"), (again, "tiles that are used more often")):
        profile = GpuProfile((replace(LAUNCH, loads=(load,)),))
        said = predicted_on(profile, slow, fitted.built_in())
        assert (said.bound, word in said.sentences[0]) == ("l2", True)


def test_near_times_are_no_ranking() -> None:
    assert not tells_apart(100, 120, fitted.built_in())
    assert tells_apart(100, 130, fitted.built_in())


def test_a_fit_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "fit.toml"
    fitted.write(fitted.built_in(), path)
    assert fitted.read(path) == fitted.built_in()
    path.write_text(path.read_text().replace("sector = ", "sector = -"))
    with pytest.raises(UsageError, match="negative"):
        fitted.read(path)


def test_what_depends_on_the_inputs_is_predicted_with_their_spread() -> None:
    works = [replace(LAUNCH, work={**LAUNCH.work, "fp32": count}) for count in (1e9, 4e9, 2e9)]
    chip, built_in = registry.get("m1-max"), fitted.built_in()
    profiles = [GpuProfile((work,)) for work in works]
    alone = [predicted_on(one, chip, built_in) for one in profiles]
    said = predicted_over(profiles, chip, built_in)
    assert said.us == alone[2].us
    assert said.low_us == alone[0].low_us
    assert said.high_us == alone[1].high_us
    assert said.drawn_us == tuple(sorted(one.us for one in alone))
    assert "over the 3 that were drawn" in said.sentences[-1]
    assert said.document()["drawn_us"] == list(said.drawn_us)
    same = predicted_over(profiles[:1], chip, built_in)
    assert same == alone[0]
    assert "drawn_us" not in same.document()
