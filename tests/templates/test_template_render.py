"""Rendering: every point is a kernel file that binds, and every wrong point says why."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import ops
from foundry import kernel
from ops.errors import UsageError
from templates import Template, all_templates, get, load_folder, one_of_each_text, space
from templates.render import render

BUILT_IN = tuple(all_templates().values())
ACCEPTED = sorted(f.stem for f in (Path(__file__).parents[1] / "golden/templates").iterdir())
by_name = pytest.mark.parametrize("template", one_of_each_text(), ids=lambda t: t.name)


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_default_point_is_the_accepted_text(
    name: str, golden: Callable[[str, str], None]
) -> None:
    golden(f"templates/{name}.metal", render(get(name), {}))


@by_name
def test_every_point_is_a_text_of_its_own_that_parses(template: Template) -> None:
    every = list(space.points(template))
    texts = [render(template, point) for point in every]
    assert len(set(texts)) == len(every)
    for text in random.Random(2).sample(texts, min(len(texts), 60)):
        parsed = kernel.parse(text)
        assert kernel.parse(kernel.render(parsed)) == parsed
        kernel.check(parsed, ops.get(template.op))


@by_name
def test_points_bind_to_every_workload(template: Template) -> None:
    op = ops.get(template.op)
    for point in space.coverage(template, random.Random(1)):
        parsed = kernel.parse(render(template, point))
        for dtype in op.dtypes:
            for cases in ("visible", "hidden", "bench"):
                for workload in op.workloads(cases, dtype):
                    program = kernel.bind(parsed, op, workload)
                    # The grid may be clamped, but a SIMD-group must never be cut in two.
                    for launch in program.launches:
                        whole = launch.threadgroup[0] % 32 == 0 or math.prod(launch.grid) == 0
                        assert whole or "simd" not in launch.source


def test_every_member_of_a_family_has_templates() -> None:
    families = {t.family for t in BUILT_IN if t.family}
    found = [op for op in ops.all_ops().values() if op.metal]
    members = {op.name for op in found if op.metal.get("form", op.family) in families}
    assert members == {t.op for t in BUILT_IN if t.family}
    for template in BUILT_IN:
        kernel.check(kernel.parse(render(template, {})), ops.get(template.op))


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({"vek": 4}, "unknown knob of softmax_simdgroup 'vek': did you mean vec"),
        ({"vec": 3}, "knob 'vec' of softmax_simdgroup cannot be 3: the nearest is 2; known: 1, 2"),
        ({"vec": True}, "cannot be True: known: 1, 2"),
        ({"online": 1}, "knob 'online' of softmax_simdgroup cannot be 1: known: false, true"),
    ],
)
def test_a_wrong_point_is_refused_with_the_nearest(point: space.Point, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        render(get("softmax_simdgroup"), point)


@pytest.mark.parametrize(
    ("metal", "reason"),
    [
        ("{{ b }}", "template 'mine': 'b' is undefined"),
        ("\n\n{% if a %}", "template 'mine' line 3"),
        ("{{ a.__class__ }}", "template 'mine'"),
        ("{% include 'nothing' %}", "template 'mine'"),
    ],
)
def test_a_template_that_does_not_render_is_named(tmp_path: Path, metal: str, reason: str) -> None:
    (tmp_path / "mine.toml").write_text('op = "softmax"\nsummary = "s"\n[knobs]\na = [1, 2]\n')
    (tmp_path / "mine.metal").write_text(metal)
    with pytest.raises(UsageError, match=reason):
        render(load_folder(tmp_path)[0], {})


def test_a_broken_constraint_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'op = "softmax"\nsummary = "s"\nconstraints = ["a < 2"]\n[knobs]\na = [1, 2]\n'
    )
    (tmp_path / "mine.metal").write_text("{{ a }}")
    with pytest.raises(UsageError, match="mine: a < 2 is not met by a=2"):
        render(load_folder(tmp_path)[0], {"a": 2})
