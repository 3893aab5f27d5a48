"""The order in which `foundry run` judges variants: complete, without repeats, reproducible."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry.errors import UsageError
from foundry.run.plan import LAG, Plan, Schedule, Slot, narrow
from foundry.run.session import RunRequest, make_plans, options_of, turns_of
from foundry.run.strategies import STRATEGIES
from ops import registry as ops
from ops.dtypes import FLOAT_DTYPES
from templates import space
from templates.registry import for_op
from templates.template import Template

_KERNEL = """/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
*/
// --- body ---
out[thread_position_in_grid.x] = x[thread_position_in_grid.x] * {{ a }};{{ "// b" if b else "" }}
"""


def _template(name: str = "small", **knobs: tuple[int | bool, ...]) -> Template:
    chosen = knobs or {"threads": (32, 64), "a": (1, 2, 3), "b": (False, True)}
    return Template(name, "silu", "a small one", MappingProxyType(chosen), (), _KERNEL)


def _plan(strategy: str, seed: int = 0, *templates: Template) -> Plan:
    return Plan(ops.get("silu"), "float32", templates or (_template(),), strategy, seed)


def _score(text: str) -> float | None:
    digest = hashlib.sha256(text.encode()).digest()
    return None if digest[0] < 60 else digest[1] / 128


def _everything(strategy: str, seed: int, in_flight: int, shuffle: int) -> list[str]:
    """Texts in the order taken, when up to `in_flight` land in a random order."""
    schedule = Schedule([_plan(strategy, seed)], None)
    rng = random.Random(shuffle)
    flying: list[Slot] = []
    taken: list[str] = []
    while True:
        while len(flying) < in_flight and schedule.ready:
            if (slot := schedule.take()) is None:
                break
            taken.append(slot.variant.text)
            flying.append(slot)
        if not flying:
            return taken
        slot = flying.pop(rng.randrange(len(flying)))
        schedule.learn(slot, _score(slot.variant.text))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_takes_every_point_once(strategy: str) -> None:
    taken = _everything(strategy, 0, 1, 0)
    assert len(taken) == len(set(taken)) == len(list(space.points(_template())))


@given(
    strategy=st.sampled_from(sorted(STRATEGIES)),
    seed=st.integers(0, 5),
    in_flight=st.integers(1, LAG),
    shuffle=st.integers(0, 1000),
)
@settings(max_examples=40)
def test_the_order_does_not_depend_on_who_finishes_first(
    strategy: str, seed: int, in_flight: int, shuffle: int
) -> None:
    assert _everything(strategy, seed, in_flight, shuffle) == _everything(strategy, seed, 1, 0)


def test_seeds_differ() -> None:
    assert _everything("random", 1, 1, 0) != _everything("random", 2, 1, 0)


def test_a_plan_waits_for_the_scores_it_depends_on() -> None:
    plan = _plan("mix")
    taken = [plan.take() for _ in range(LAG)]
    assert not plan.ready
    for found in reversed(taken):
        assert found is not None
        assert not plan.ready
        plan.learn(found[0], None)
    assert plan.ready


def test_coverage_starts_at_the_starting_points_and_uses_every_value() -> None:
    first, second = _template("first"), _template("second", threads=(128, 256), a=(4,), b=(False,))
    plan = _plan("coverage", 0, first, second)
    taken = [plan.take() for _ in range(8)]
    choices = [found[1].choice for found in taken if found is not None]
    assert [c.template.name for c in choices[:2]] == ["first", "second"]
    assert choices[0].point == space.default(first)
    used = {(c.template.name, *pair) for c in choices for pair in c.knobs}
    every = {(t.name, k, v) for t in (first, second) for k, vs in t.knobs.items() for v in vs}
    assert used == every


def _lessons(scores: dict[int, list[float]], lessons: list[int]) -> list[int]:
    """The plans in the order of their turns, where each position of a plan has a known score."""
    wide = _template(threads=(32, 64, 128, 256), a=tuple(range(12)), b=(False, True))
    schedule = Schedule([_plan("random", n, wide) for n in range(len(lessons))], 200, lessons)
    order: list[int] = []
    while (slot := schedule.take()) is not None:
        order.append(slot.plan)
        known = scores[slot.plan]
        schedule.learn(slot, known[min(slot.position, len(known) - 1)])
    return order


def test_a_lesson_ends_where_nothing_more_is_won_and_the_next_begins() -> None:
    rising = [1.1**n for n in range(40)]
    order = _lessons({0: [1.0], 1: rising, 2: [2.0]}, [1, 1, 2])
    easy = [n for n, plan in enumerate(order) if plan < 2]
    assert order[: len(easy)] == [plan for plan in order if plan < 2], "the harder comes last"
    assert order.count(0) < order.count(1), "a flat plan ends before one that still rises"
    assert order.count(1) > 40
    assert order.count(2) > LAG


def test_the_cross_entropy_method_keeps_to_what_the_best_have_in_common() -> None:
    wide = _template(threads=(32, 64, 128, 256), a=tuple(range(12)), b=(False, True))
    plan = _plan("cross-entropy", 0, wide)
    drawn = []
    while (found := plan.take()) is not None:
        position, variant = found
        point = variant.choice.point
        plan.learn(position, float(point["a"]) + (10.0 if point["b"] else 0.0))
        drawn.append(point)
    late = drawn[24:40]
    assert sum(bool(p["b"]) for p in late) > 10


def test_mutation_climbs() -> None:
    """A mutation plan finds the top of a hill in a space of 4,096 points within 60 positions."""
    values = (1, 2, 4, 8, 16, 32, 64, 128)
    hill = _template("hill", threads=values, a=values, b=values, c=values)

    def height(point: dict[str, int]) -> float:
        return 20.0 - sum(abs(values.index(int(v)) - 5) for v in point.values())

    source = _KERNEL + "// {{ c }} {{ b }}\n"
    hill = Template("hill", "silu", "", hill.knobs, (), source)
    plan = _plan("mutation", 3, hill)
    best = 0.0
    for _ in range(60):
        found = plan.take()
        assert found is not None
        score = height(found[1].choice.point)  # type: ignore[arg-type]
        plan.learn(found[0], score)
        best = max(best, score)
    assert best >= 17


def test_points_that_render_to_one_kernel_take_one_position() -> None:
    same = Template(
        "same", "silu", "", MappingProxyType({"threads": (32,), "a": (1,), "b": (1, 2, 3)}), (),
        _KERNEL,
    )  # fmt: skip
    plan = _plan("coverage", 0, same)
    assert plan.take() is not None
    assert plan.take() is None


def test_a_text_that_is_no_kernel_is_a_variant_all_the_same() -> None:
    plan = _plan("coverage", 0, Template("broken", "silu", "", MappingProxyType({}), (), "nothing"))
    found = plan.take()
    assert found is not None
    assert found[1].kernel is None
    assert found[1].hash == hashlib.sha256(found[1].text.encode()).hexdigest()


def test_a_schedule_takes_turns_and_keeps_to_its_budget() -> None:
    small = Template("one", "silu", "", MappingProxyType({"threads": (32,), "a": (1,), "b": (1,)}),
                     (), _KERNEL)  # fmt: skip
    schedule = Schedule([_plan("coverage"), _plan("coverage", 0, small)], 6)
    turns = Counter[int]()
    while not schedule.exhausted:
        slot = schedule.take()
        assert slot is not None
        schedule.learn(slot, None)
        turns[slot.plan] += 1
    assert turns == {0: 5, 1: 1}
    assert schedule.take() is None


def test_the_templates_of_every_op_start_with_its_starting_template() -> None:
    for op in ops.all_ops().values():
        if not for_op(op.name):
            continue
        found = Plan(op, "float32", for_op(op.name), "mix", 1).take()
        assert found is not None
        assert found[1].choice.template == for_op(op.name)[0]
        assert found[1].kernel is not None


def test_narrow_holds_knobs_and_names() -> None:
    (kept,) = narrow((_template(), _template("other", a=(1, 2))), (), {"threads": "64"})
    assert kept.name == "small"
    assert {p["threads"] for p in space.points(kept)} == {64}
    assert narrow((_template(),), (), {"b": "true"})[0].knobs["b"] == (True,)


@pytest.mark.parametrize(
    ("names", "knobs", "said"),
    [
        (("smal",), {}, "unknown template of these ops 'smal': did you mean small?"),
        ((), {"thread": "32"}, "unknown knob 'thread': did you mean threads?"),
        ((), {"threads": "33"}, "unknown value of knob threads '33': did you mean 32?"),
    ],
)
def test_narrow_names_the_nearest(names: tuple[str, ...], knobs: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        narrow((_template(),), names, knobs)


def test_values_that_meet_no_constraint_are_a_usage_error() -> None:
    bound = Template("bound", "silu", "", MappingProxyType({"a": (1, 2)}), ("a < 2",), _KERNEL)
    with pytest.raises(UsageError, match="no valid point has a=2"):
        narrow((bound,), (), {"a": "2"})


def test_unknown_strategy_and_an_op_without_templates() -> None:
    with pytest.raises(UsageError, match="did you mean random"):
        _plan("randon")
    with pytest.raises(UsageError, match="no template for op 'silu'"):
        Plan(ops.get("silu"), "float32", (), "mix", 0)


def test_points_bound_a_plan_by_its_templates() -> None:
    templates = (
        _template("one"),
        _template("two", threads=(32, 64, 128), a=(5, 7), b=(False, True)),
    )
    plan = Plan(ops.get("silu"), "float32", templates, "coverage", 3, points=2)
    taken = []
    while (found := plan.take()) is not None:
        plan.learn(found[0], None)
        taken.append(found[1].choice.template.name)
    assert len(taken) == 4
    assert set(taken) == {"one", "two"}


def test_proven_points_are_dealt_to_dtypes_and_go_op_by_op() -> None:
    request = RunRequest(
        ops=("silu", "row_argmax"), dtypes=FLOAT_DTYPES, templates=(), knobs={},
        strategy="coverage", bench="quick", budget=None, time_s=None, seed=0, workers=1,
        device="cpu", db=None, command="", points=5,
    )  # fmt: skip
    plans = make_plans(request)
    assert [plan.op.name for plan in plans] == ["silu"] * 3 + ["row_argmax"] * 3
    schedule = Schedule(plans, None, turns_of(request, plans))
    taken = Counter[int]()
    order = []
    while (slot := schedule.take()) is not None:
        schedule.learn(slot, None)
        taken[slot.plan] += 1
        order.append(slot.variant.op.name)
    assert order == sorted(order, reverse=True), "all of one op, then all of the next"
    assert taken[0] == 2 * len(for_op("silu")), "5 points in three dtypes"


def test_what_is_not_timed_is_proven_in_a_few_of_its_sources() -> None:
    request = RunRequest(
        ("silu",), ("float32",), (), {}, "coverage", "quick", None, None, 0, 1, "cpu", None, "", 21
    )

    assert options_of(request).sources is not None
    assert not options_of(request).timed
    assert options_of(replace(request, points=None)).sources is None
