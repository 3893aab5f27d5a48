"""Crossover of two parents: what is traded comes from one of them, and the result is a kernel."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import DEVICE, passed

from discover.proposers import crossover
from discover.proposers.registry import make
from discover.proposers.rewrites import all_rewrites
from discover.protocol import Context, Request
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.kernel import Kernel, check, parse, render
from foundry.prompts.assignment import Attempt
from ops import registry as ops
from templates import registry, space
from templates.render import render as fill

OP = ops.get("softmax")
TEMPLATE = registry.get("softmax_simdgroup")


def attempt(point: space.Point, **detail: Any) -> Attempt:
    found = {"template": TEMPLATE.name, "knobs": dict(point), **detail}
    return Attempt(fill(TEMPLATE, point), passed(), found)


def rewritten(kernel: Kernel, name: str) -> Attempt:
    variant = next(iter(all_rewrites()[name](kernel, OP)))
    done = [f"{name}: {variant.label}"]
    return Attempt(render(variant.kernel), passed(), {"rewrites": done})


@given(st.integers(0, 2**31))
def test_each_knob_comes_from_one_of_the_two(seed: int) -> None:
    rng = random.Random(seed)
    one, other = (space.sample(TEMPLATE, rng) for _ in range(2))
    for mixed in crossover.knobs(one, other, rng):
        assert mixed.keys() == one.keys()
        assert all(value in (one[name], other[name]) for name, value in mixed.items())
        assert mixed not in (one, other)


def test_the_rewrites_of_one_are_done_to_the_other() -> None:
    parent = Attempt(fill(TEMPLATE, space.default(TEMPLATE)), passed())
    other = rewritten(parse(parent.text), "exp2")
    found = list(crossover.texts(parent, other, OP, random.Random(1)))
    assert other.text in [render(one.kernel) for one in found]
    for one in found:
        check(parse(render(one.kernel)), OP)


def test_a_way_to_launch_and_launches_are_traded() -> None:
    kernel = parse(fill(TEMPLATE, space.default(TEMPLATE)))
    launch = kernel.launches[0]
    fast = dataclasses.replace(launch, math_mode="fast", threadgroup=(32, 8, 1))
    other = Attempt(render(dataclasses.replace(kernel, launches=(fast,))), passed())
    found = crossover.texts(Attempt(render(kernel), passed()), other, OP, random.Random(1))
    assert {one.label for one in found} == {"the other's threadgroup", "the other's math_mode"}


def test_mutate_crosses_where_there_are_relatives() -> None:
    points = list(space.points(TEMPLATE))
    relatives = tuple(attempt(p) for p in points[1:6])
    moves = set()
    for seed in range(40):
        context = Context(OP, "float32", DEVICE, attempt(points[0]), relatives=relatives, seed=seed)
        request = make("mutate").request(context)
        assert isinstance(request, Request)
        check(parse(request.body["kernel"]), OP)
        moves.add(request.body["detail"]["move"])
    assert "cross" in moves


@pytest.mark.slow
def test_most_rewrites_of_templates_build() -> None:
    """A rewrite that does not understand a text leaves it alone: what it makes builds."""
    rng = random.Random(5)
    built, failed = 0, []
    templates = [t for t in registry.one_of_each_text() if t.op in ops.all_ops()]
    with WorkerPool("cpu", 2) as pool:
        judge = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False, per_workload=1))
        for template in rng.sample(templates, 40):
            op = ops.get(template.op)
            kernel = parse(fill(template, space.default(template)))
            made = [v for r in all_rewrites().values() for v in list(r(kernel, op))]
            for variant in rng.sample(made, min(2, len(made))):
                found = judge.evaluate(variant.kernel, op, op.dtypes[0], 1)
                built += found.status != "build_error"
                if found.status == "build_error":
                    failed.append(f"{template.name}, {variant.label}: {found.why}")
    assert built >= 0.9 * (built + len(failed)), "\n".join(failed)
