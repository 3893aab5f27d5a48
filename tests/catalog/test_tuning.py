"""How kernels are timed on a user's machine: clocks, chains, middles, configurations."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from foundry.catalog.runtime import device
from foundry.catalog.runtime.arguments import dtype_name
from foundry.catalog.runtime.checking import verdict_of
from foundry.catalog.runtime.launching import with_rules
from foundry.catalog.runtime.learning import winning as at_work
from foundry.catalog.runtime.learning.regions import TimedPoint
from foundry.catalog.runtime.learning.winning import winning
from foundry.catalog.runtime.tuning import rivals as rivalry
from foundry.catalog.runtime.tuning import timing, tune
from foundry.catalog.runtime.tuning.from_model import read
from foundry.catalog.runtime.tuning.rivals import against
from foundry.catalog.runtime.tuning.sizes import of_file
from foundry.engines.metal import MetalEngine
from foundry.msl.build.cache import root_directory


class Machine:
    """A clock, and calls that take ten microseconds; what waits for them costs a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        self.now += 1e-3
        return self.now

    def side(self, after: mx.array | None) -> tuple[mx.array]:
        self.now += 1e-5
        return (mx.array(1.0),)


def test_the_wait_for_a_batch_is_no_part_of_a_call() -> None:
    machine = Machine()
    assert timing.call_s(machine.side, 4, machine.clock) == pytest.approx(1e-5)
    rules = timing.TimingRules(pairs=3, clock=machine.clock)
    for times in timing.times_in_turns([machine.side] * 3, rules):
        assert times == pytest.approx([1e-5] * 3)


def of_length(machine: Machine, seconds: float) -> timing.Side:
    """Calls that take so long."""

    def side(after: mx.array | None) -> tuple[mx.array]:
        machine.now += seconds
        return (mx.array(1.0),)

    return side


def test_every_other_turn_goes_backwards() -> None:
    machine, order = Machine(), []

    def side(name: str) -> timing.Side:
        def call(after: mx.array | None) -> tuple[mx.array]:
            machine.now += 0.01  # one call fills a batch
            order.append(name)
            return (mx.array(1.0),)

        return call

    timing.times_in_turns([side(n) for n in "abc"], timing.TimingRules(2, clock=machine.clock))
    turns = "".join(order)[-24:]
    assert turns == "aaaabbbbcccc" + "ccccbbbbaaaa"


@pytest.mark.parametrize(
    ("rivals", "hardest", "wins"),
    [
        ({"slow": 4e-5}, "slow", True),
        ({"slow": 4e-5, "fast": 1e-5}, "fast", False),
        ({"slow": 4e-5, "near": 2.2e-5, "nearer": 2.1e-5}, "nearer", True),
        ({"even": 2e-5, "slow": 4e-5}, "even", False),
    ],
)
def test_a_kernel_has_to_beat_every_rival(
    rivals: dict[str, float], hardest: str, wins: bool
) -> None:
    machine = Machine()
    rules = timing.TimingRules(pairs=8, clock=machine.clock)
    sides = {name: of_length(machine, seconds) for name, seconds in rivals.items()}
    times = against(sides, of_length(machine, 2e-5), rules)
    found = rivalry.hardest({"rows": 1}, {n: [t, t] for n, t in times.items()}, same_bits=True)
    assert (found.baseline, found.wins) == (hardest, wins)


def test_what_takes_long_is_looked_at_once() -> None:
    machine = Machine()
    calls = 0

    def side(after: mx.array | None) -> tuple[mx.array]:
        nonlocal calls
        calls += 1
        machine.now += 0.5
        return (mx.array(1.0),)

    assert rivalry.look_s(side, machine.clock) == pytest.approx(0.5, rel=0.01)
    assert calls == 2


def test_a_call_waits_for_the_one_before_and_reads_what_it_always_reads() -> None:
    seen: list[list[Any]] = []

    def run(*arrays: Any) -> tuple[mx.array]:
        seen.append(list(arrays))
        return (arrays[1] * 2,)

    large, small, index = mx.ones((4, 64)), mx.ones((64,), mx.float16), mx.array([3])
    side = timing.side_of(run, [large, small, None, index])
    side(side(None)[0])
    first, second = seen
    assert second[0] is large
    assert second[2] is None
    assert second[3] is index
    assert second[1] is not first[1]
    assert second[1].dtype == mx.float16
    assert mx.array_equal(second[1], small).item()
    alone = timing.side_of(run, [index, index])
    alone(alone(None)[0])
    assert seen[-1][1] is index


def test_middles_come_to_an_end() -> None:
    op = {"rules": [], "params": {}}
    points = [TimedPoint({"rows": rows}, 1.5, 1.4, 1.6, 1.0) for rows in (1, 2, 8)]
    (middle,) = tune._middles(op, points)
    assert middle["axes"] == {"rows": 4}
    more = TimedPoint(middle["axes"], 1.5, 1.4, 1.6, 1.0)
    assert not tune._middles(op, [*points, more])


RECORD = {
    "device_kind": "metal", "device_name": "this", "status": "faster",
    "regions": [{"axes": {"rows": 8}, "speedup": 1.4}],
}  # fmt: skip


def test_what_is_on_record_counts_where_nothing_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "chip", lambda: "this")
    kernel = {"record": RECORD}

    def wins(points: list[TimedPoint]) -> bool:
        found = winning(kernel, points, lambda _: True)
        return found.index.covering({"rows": 8}) is not None

    assert wins([])
    assert wins([TimedPoint({"rows": 1}, 0.5, 0.5, 0.5, 0.0)])
    assert not wins([TimedPoint({"rows": 8}, 0.5, 0.5, 0.5, 0.0)])
    kernel = {"record": {**RECORD, "status": "correct"}}
    assert not wins([])
    assert "not faster" in winning(kernel, [], lambda _: True).elsewhere
    kernel = {"record": {**RECORD, "device_name": "another"}}
    assert "run tune" in winning(kernel, [], lambda _: True).elsewhere


def test_gradients_pass_by_indices_and_packed_codes() -> None:
    def plain(index: mx.array, x: mx.array) -> tuple[mx.array, mx.array]:
        return mx.take(x, index, axis=0) * 2, index + 1

    kernel = with_rules(plain, plain)
    x, index = mx.ones((3, 2)), mx.array([2, 0], mx.uint32)
    got = mx.grad(lambda v: kernel(index, v)[0].sum())(x)
    assert got.tolist() == [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0]]


def configuration(folder: Path, **given: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(given))
    return folder


def test_a_configuration_may_hold_lists_and_stand_around_its_text(tmp_path: Path) -> None:
    text = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": [128, 256]}
    found = read(configuration(tmp_path, text_config=text, quantization={"group_size": 32}))
    assert (found.inner, found.head_dim, found.group) == (256, 16, 32)


@pytest.mark.parametrize(
    "given",
    [
        {"num_attention_heads": 0},
        {"num_attention_heads": 0, "head_dim": 64},
        {"num_attention_heads": 4, "intermediate_size": {}, "quantization": 3},
        {"num_attention_heads": 4, "intermediate_size": ["many"]},
        {},
    ],
)
def test_a_configuration_of_nothing_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no configuration of a transformer"):
        read(configuration(tmp_path, hidden_size=64, **given))


@pytest.mark.parametrize(
    "row",
    [
        '{"op": ["softmax"]}',
        '{"op": "softmax", "rows": true}',
        '{"op": "softmax", "rows": -1}',
        "[3]",
    ],
)
def test_a_list_of_sizes_with_rubbish_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "shapes.json").write_text(f"[{row}]")
    op = {"axes": ["rows"], "params": {}}
    with pytest.raises(ValueError, match="names no op|needs a whole number above 0 for rows"):
        of_file(tmp_path / "shapes.json", {"softmax": op})


def test_a_home_that_nobody_knows_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    for variable in ("XDG_CACHE_HOME", "FOUNDRY_CACHE_DIR", device.CACHE_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    assert Path(tempfile.gettempdir()) in device._cache_folder().parents
    assert Path(tempfile.gettempdir()) in root_directory().parents


@pytest.mark.parametrize("default", [mx.cpu, mx.gpu])
def test_a_machine_stays_itself_whatever_the_default_device_is(
    monkeypatch: pytest.MonkeyPatch, default: mx.DeviceType
) -> None:
    """As on a Mac, where MLX tells of the default device unless it is asked for one."""
    names = {mx.cpu: "arm64", mx.gpu: "Apple M4"}
    monkeypatch.setattr(mx, "device_info", lambda asked=default: {"device_name": names[asked]})
    monkeypatch.setattr(mx.metal, "is_available", lambda: True)
    assert device.chip.__wrapped__() == "Apple M4"
    assert MetalEngine().device().name == "Apple M4"


def test_of_bool_alone_the_name_has_a_stroke() -> None:
    names = [dtype_name(one) for one in (mx.bool_, "bool_", "bool", mx.float32)]
    assert names == ["bool_", "bool_", "bool_", "float32"]


def test_a_kernel_without_a_check_is_off() -> None:
    found = verdict_of({"checks": []}, None, {"dtype": "float32"})  # type: ignore[arg-type]
    assert not found.passed
    assert "nothing to hold it to" in found.detail
