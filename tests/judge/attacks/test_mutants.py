"""Mutants are made from templates: each holds one planted bug, in code."""

from __future__ import annotations

import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.judge.attacks.mutants import NO_BUGS, mutants_of_templates
from foundry.judge.attacks.operators import OPERATORS
from foundry.judge.verdict import Status
from foundry.kernel.normal_form import normalise
from ops import get
from templates import all_templates, default, render

MUTANTS = mutants_of_templates()

TEXT = """\
/*kernel
op = "softmax"
grid = ["cols * rows / 2", 1, 1]
*/
inline float helper(float v) { return exp(v) / 2.0f; }
// --- body ---
// a / b
float sum = a / b;  // c * d
for (uint i = 0; i < n && sum < 3; ++i) { sum += exp(a) * b; }
for (uint j = 0; j < m; ++j) { sum += 1; }
for (uint k = 0; k < m; k += 32) { sum = k; }
/*kernel
grid = ["cols * 2 / 3", 1, 1]
*/
// --- body ---
if (lane == 0) { threadgroup_barrier(mem_flags::mem_none); }
if (ranks[0] == 0) { sum = max(simd_max(sum), -INFINITY); }
"""


@pytest.mark.parametrize(
    ("name", "bug"),
    [
        ("divides_wrong", "float sum = a * b;"),
        ("exp2", "sum += exp2(a) * b;"),
        ("first_loop_ends_early", "i < n - 1 && sum"),
        ("lane_one", "if (ranks[0] == 1)"),
        ("last_plus_to_minus", "sum -= 1;"),
        ("loop_ends_early", "k < m - 1;"),
        ("max_to_min", "min(simd_max(sum)"),
        ("no_barrier", "if (lane == 0) { ; }"),
        ("no_product", "exp(a) + b;"),
        ("plus_to_minus", "sum -= exp(a)"),
        ("starts_at_zero", "max(simd_max(sum), 0.0f)"),
    ],
)
def test_an_operator_changes_one_place_of_the_code(name: str, bug: str) -> None:
    (operator,) = (o for o in OPERATORS if o.name == name)
    mutant = operator(TEXT)
    assert mutant is not None
    assert bug in mutant
    changed = [
        (old, new)
        for old, new in zip(TEXT.splitlines(), mutant.splitlines(), strict=True)
        if old != new
    ]
    assert len(changed) == 1


def test_an_operator_without_a_place_makes_nothing() -> None:
    for operator in OPERATORS:
        assert operator("// --- body ---\nout[0] = x[0];\n") is None


def test_a_maximum_of_indices_is_no_place_for_a_bug() -> None:
    (operator,) = (o for o in OPERATORS if o.name == "max_to_min")
    lines = ["// --- body ---", "const int begin = max(first, 0);", "peak = max(peak, score);"]
    assert operator("\n".join(lines[:2])) is None
    assert operator("\n".join(lines)) == "\n".join([*lines[:2], "peak = min(peak, score);"])


def test_mutants_that_are_right_are_left_out_of_every_template_of_a_kind() -> None:
    made = {m.name for m in mutants_of_templates("_masked_blocks_")}
    assert "attention_masked_blocks_last_plus_to_minus" in made
    assert not [name for name in made if name.endswith("_masked_blocks_plus_to_minus")]


@pytest.mark.slow
def test_every_template_has_mutants_that_differ_from_it() -> None:
    assert {m.op for m in MUTANTS} == {t.op for t in all_templates().values()}
    right = {normalise(render(t, default(t))) for t in all_templates().values()}
    assert not right & {normalise(m.text) for m in MUTANTS}


@pytest.mark.slow
@pytest.mark.parametrize(("end", "operator"), NO_BUGS)
def test_what_is_left_out_is_right(end: str, operator: str) -> None:
    template = next(name for name in all_templates() if name.endswith(end))
    (found,) = (o for o in OPERATORS if o.name == operator)
    mutant = found(render(all_templates()[template], default(all_templates()[template])))
    assert mutant is not None
    with WorkerPool("cpu", 1) as pool:
        judge = Judge(pool, JudgeOptions(timed=False, reach_s=5.0))
        for seed in (1, 2):
            evaluation = judge.evaluate(mutant, get(all_templates()[template].op), "float32", seed)
            assert evaluation.status is Status.CORRECT, evaluation.why
