"""What a self-test keeps of itself in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foundry.judge import kept
from foundry.judge.attacks import Attack, corpus
from foundry.judge.selftest import AttackOutcome
from foundry.judge.verdict import Diagnostic, Evaluation, Status


def _outcome(attack: Attack) -> AttackOutcome:
    evaluation = Evaluation(
        kernel_hash="0",
        op=attack.op,
        dtype=attack.dtype,
        device_id="cpu",
        status=Status.WRONG_RESULT,
        diagnostics=(Diagnostic(stage="verify", message="off by one"),),
    )
    return AttackOutcome(attack, evaluation)


def test_what_was_kept_is_found_again_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    file, (first, second, *_) = tmp_path / "progress.jsonl", corpus()
    assert kept.outcomes(file, [first]) == []
    kept.add(file, _outcome(first))
    kept.add(file, _outcome(second))
    file.write_text(file.read_text()[:-9])
    assert kept.outcomes(file, [first, second]) == [_outcome(first)]
    kept.add(file, _outcome(second))
    assert len(kept.outcomes(file, [first, second])) == 2


def test_an_attack_that_was_changed_is_run_again(tmp_path: Path) -> None:
    file, (first, *_) = tmp_path / "progress.jsonl", corpus()
    kept.add(file, _outcome(first))
    assert kept.outcomes(file, [replace(first, text=first.text + "\n// other\nint x = 1;")]) == []
