"""Prompts for small models: the op and the file format alone, cut by what things are worth."""

from __future__ import annotations

import dataclasses

import pytest
from pydantic import ValidationError

import ops
from discover.protocol import ProposerOptions
from discover.search.settings import SearchSettings
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.program import Device
from foundry.prompts.assignment import Assignment, Attempt
from foundry.prompts.build import Prompt, build
from foundry.prompts.forms import COMPACT, FORMS, FULL
from foundry.reward import tasks
from templates import default, for_op, render

GPU = Device("metal", "Apple M4 Max")


def asked(op: str, parent: Attempt | None = None) -> Assignment:
    return Assignment(ops.get(op), ops.get(op).dtypes[0], GPU, parent)


def characters(prompt: Prompt) -> int:
    return len(prompt.system) + len(prompt.user)


def broken(op: str) -> Attempt:
    template = for_op(op)[0]
    text = render(template, default(template))
    found = Diagnostic(stage="build", message="error: no `foo`", line=9)
    evaluation = Evaluation(
        kernel_hash="0" * 64,
        op=op,
        dtype="float32",
        device_id="0",
        status=Status.BUILD_ERROR,
        diagnostics=(found,),
        seed=0,
    )
    return Attempt(text, evaluation)


def test_every_op_is_asked_for_in_a_fraction_of_the_full_prompt() -> None:
    for name in ops.all_ops():
        compact, full = (characters(build(asked(name), form)) for form in (COMPACT, FULL))
        assert compact < 4200, name
        assert compact < 0.6 * full, name


def test_what_an_op_is_stays_in_a_compact_prompt() -> None:
    op = ops.get("rms_norm")
    text = build(asked("rms_norm"), COMPACT).system
    assert op.formula in text
    for tensor in (*op.inputs, *op.outputs):
        assert f"{tensor.name}[" in text
    for name in op.params:
        assert f"Parameter {name}:" in text


def test_a_failure_comes_with_its_reason_before_workloads_and_devices() -> None:
    attempt = broken("softmax")
    prompt = build(asked("softmax", attempt), COMPACT)
    assert attempt.text.strip() in prompt.user
    assert "error: no `foo`" in prompt.user
    shorter = build(asked("softmax", attempt), dataclasses.replace(COMPACT, tokens=1))
    assert "error: no `foo`" in shorter.user
    assert "workloads" not in shorter.user


def test_workloads_are_left_out_one_by_one_and_last() -> None:
    counts = []
    for tokens in range(900, 300, -10):
        user = build(asked("softmax"), dataclasses.replace(COMPACT, tokens=tokens)).user
        counts.append(user.count("softmax[rows="))
        assert "GB/s" not in user or counts[-1] == counts[0]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 4
    assert counts[-1] == 0


def test_a_reward_asks_as_a_dataset_teaches() -> None:
    (row,) = tasks(["softmax"], prompt="compact")
    (full,) = tasks(["softmax"])
    assert len(row["prompt"][0]["content"]) < len(full["prompt"][0]["content"]) / 3


def test_a_form_is_part_of_what_a_search_is() -> None:
    assert "prompt" not in SearchSettings().chosen()
    assert SearchSettings(prompt="compact").chosen() == {"prompt": "compact"}
    with pytest.raises(ValidationError, match=", ".join(FORMS)):
        ProposerOptions(prompt="tiny")
