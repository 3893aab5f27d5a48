"""A kernel's share of the sources that it compiles to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry.judge import JudgeOptions
from foundry.judge.candidate import Candidate, prepare
from foundry.judge.options import is_settled
from foundry.judge.sources import groups_of, share
from foundry.judge.verdict import Diagnostic, Evaluation, Proven, Status
from foundry.program import Program
from ops import registry
from templates import default, get, render


def _targets(who: str, sources: int | None) -> Candidate:
    template = get("attention_thread")
    candidate = Candidate(
        f"{render(template, default(template))}// {who}\n", registry.get("attention"), "float32", 7
    )
    assert prepare(candidate, JudgeOptions(timed=False, sources=sources)) is None
    return candidate


def _programs(candidate: Candidate) -> tuple[list[Program], list[Program]]:
    rest = (*candidate.hidden, *candidate.bench)
    return [t.program for t in candidate.visible], [t.program for t in rest]


@pytest.fixture(scope="module")
def whole() -> Candidate:
    return _targets("", None)


@given(most=st.integers(1, 20), who=st.text("0123456789abcdef", max_size=8))
def test_a_share_has_a_visible_source_and_no_more_than_its_sources(
    whole: Candidate, most: int, who: str
) -> None:
    shown, others = _programs(whole)
    numbers = groups_of((*shown, *others))
    kept = share(shown, others, most, who)

    chosen = {number for number, keeps in zip(numbers, kept, strict=True) if keeps}
    assert len(chosen) == min(most, len(set(numbers)))
    assert chosen & set(numbers[: len(shown)])
    assert all(keeps == (number in chosen) for number, keeps in zip(numbers, kept, strict=True))


def test_twenty_shares_of_three_meet_every_source(whole: Candidate) -> None:
    shown, others = _programs(whole)
    numbers = groups_of((*shown, *others))

    met = {
        number
        for point in range(20)
        for number, keeps in zip(numbers, share(shown, others, 3, f"{point}"), strict=True)
        if keeps
    }

    assert met == set(numbers)


def test_what_is_left_out_counts_as_unwatched(whole: Candidate) -> None:
    part = _targets("", 2)

    assert len(set(groups_of([p for group in _programs(part) for p in group]))) == 2
    every = sum(map(len, _programs(whole)))
    assert part.left_out == every - sum(map(len, _programs(part))) > 0
    assert part.probe is not None
    assert part.proven.left_out == part.left_out


def test_a_kernel_of_one_source_is_proven_whole() -> None:
    template = get("gelu_tanh_elements")
    candidate = Candidate(
        render(template, default(template)), registry.get(template.op), "float32", 7
    )
    assert prepare(candidate, JudgeOptions(timed=False, sources=1)) is None

    assert candidate.left_out == 0


def test_what_was_proven_at_a_share_of_its_sizes_answers_no_other_question() -> None:
    op = registry.get("silu")
    whole = Evaluation(
        kernel_hash="k", op="silu", dtype="float32", device_id="d", status=Status.CORRECT,
        proven=Proven(axes={}, elements=1),
        diagnostics=(Diagnostic(stage="benchmark", message="no clock"),),
    )  # fmt: skip
    part = whole.model_copy(update={"proven": Proven(axes={}, elements=1, left_out=3)})

    assert is_settled(whole, op, "quick")
    assert not is_settled(part, op, "quick")
