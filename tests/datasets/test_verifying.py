"""`foundry data verify`: which kernels are judged again, and what counts as wrong."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dataset_examples import Filled, template_kernel, verdict

from foundry.datasets import export_dataset, verifying
from foundry.datasets.rows import read_rows
from foundry.datasets.stated import is_as_exported
from foundry.datasets.verifying import check, leaking, sampled
from foundry.errors import UsageError
from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import parse, render

RIGHT = render(template_kernel("softmax")[0])
OTHER = render(template_kernel("softmax", which=1)[0])


class FakeJudge:
    """Passes the texts that it is told to, and counts what it is asked."""

    def __init__(self, *right: str) -> None:
        self.right, self.asked = right, []  # type: ignore[var-annotated]

    def evaluate(self, text: str, op: Any, dtype: str) -> Evaluation:
        self.asked.append((text, op.name, dtype))
        status = Status.CORRECT if text in self.right else Status.WRONG_RESULT
        return verdict(parse(text), status, dtype=dtype)


def attempt(text: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": more.pop("id", None), "op": "softmax", "dtype": "float32", "kernel": text,
            "status": status, **more}  # fmt: skip


def checked(judge: FakeJudge, rows: list[dict[str, Any]]) -> list[verifying.Checked]:
    return list(check(sampled(rows, None, 0), judge, 2))  # type: ignore[arg-type]


def test_a_claim_holds_where_the_judge_says_the_same() -> None:
    rows = [attempt(RIGHT, "correct"), attempt(OTHER, "wrong_result"), attempt(OTHER, "faster")]
    judge = FakeJudge(RIGHT)
    found = {one.row: one for one in checked(judge, rows)}
    assert {name: one.holds for name, one in found.items()} == {
        "row 1": True, "row 2": True, "row 3": False,
    }  # fmt: skip
    said = found["row 3"].document()
    assert (said["claimed"], said["status"], said["op"]) == ("right", "wrong_result", "softmax")
    assert said["why"]


def test_a_kernel_that_is_called_broken_must_fail() -> None:
    (one,) = checked(FakeJudge(RIGHT), [attempt(RIGHT, "sanitizer_error")])
    assert not one.holds
    assert one.document()["claimed"] == "broken"


def test_a_row_that_names_another_kernel_is_wrong() -> None:
    stated = [parse(RIGHT).hash, parse(OTHER).hash, None]
    rows = [attempt(RIGHT, "correct", kernel_hash=one) for one in stated]
    found = {one.row: one for one in checked(FakeJudge(RIGHT), rows)}
    assert [found[f"row {n}"].holds for n in (1, 2, 3)] == [True, False, True]
    assert "another kernel" in found["row 2"].document()["why"]


def test_how_it_fails_may_differ_and_what_a_machine_did_is_no_claim() -> None:
    assert all(one.holds for one in checked(FakeJudge(), [attempt(OTHER, "build_error")]))
    assert checked(FakeJudge(), [attempt(OTHER, "timeout"), attempt(OTHER, "crash")]) == []


def repair(fault: str) -> dict[str, Any]:
    chat = [f"```metal\n{text}\n```" for text in ("asked", OTHER.strip(), RIGHT.strip())]
    messages = [{"content": content} for content in chat]
    return {"op": "softmax", "dtype": "float32", "view": "repair", "fault": fault,
            "messages": messages}  # fmt: skip


def test_a_repair_is_held_to_a_fault_and_not_to_what_a_machine_did() -> None:
    assert [one.claim.is_right for one in checked(FakeJudge(), [repair("timeout")])] == [True]
    found = checked(FakeJudge(), [repair("wrong_result")])
    assert sorted(one.claim.is_right for one in found) == [False, True]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"messages": []},
        {"messages": 3},
        {"kernel": RIGHT},
        {"kernel": RIGHT, "status": "fine"},
        {"kernel": 3, "status": "correct"},
        {"kernel": None, "status": "correct"},
        {"prompt": 1, "completion": 2},
        {"chosen": None},
    ],
)
def test_a_row_of_no_view_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is no row of a dataset"):
        checked(FakeJudge(), [{"id": "a", "op": "softmax", "dtype": "float32", **content}])


def test_equal_claims_are_judged_once_and_named_by_the_first_row() -> None:
    judge = FakeJudge(RIGHT)
    rows = [attempt(RIGHT, "correct", id="a"), attempt(RIGHT, "faster", id="b")]
    assert [one.row for one in checked(judge, rows)] == ["a"]
    assert len(judge.asked) == 1


def test_an_op_that_is_not_registered_here_is_wrong_not_passed_by() -> None:
    (one,) = checked(FakeJudge(RIGHT), [attempt(RIGHT, "correct") | {"op": "nobody_knows"}])
    assert not one.holds
    assert one.document()["status"] == "op is not registered here"


def test_an_element_type_that_an_op_lacks_is_one_wrong_row_and_not_the_end() -> None:
    rows = [attempt(RIGHT, "correct", id="a") | {"dtype": "int8"}, attempt(RIGHT, "correct")]
    found = {one.row: one for one in checked(FakeJudge(RIGHT), rows)}
    assert [found["a"].holds, found["row 2"].holds] == [False, True]
    assert found["a"].document()["status"] == "op has no element type 'int8'"


def test_rows_are_read_as_other_writers_write_them(tmp_path: Path) -> None:
    row = attempt(RIGHT + "// \u2028 \x85 é\n", "correct")
    line = json.dumps(row, ensure_ascii=False)
    for number, text in enumerate((f"\ufeff{line}\n{line}\n", f"{line}\r\n{line}\r\n")):
        file = tmp_path / f"{number}.jsonl"
        file.write_bytes(text.encode())
        assert read_rows(file) == [row, row]


def test_a_file_that_was_changed_after_its_export_is_known(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin)
    folder = tmp_path / "out"
    export_dataset(list(filled.store.evaluations()), filled.store.origins(), folder)
    file = folder / "sft" / "train.jsonl"
    assert is_as_exported(file) is True
    file.write_text(file.read_text().replace('"free"', '"open"'))
    assert is_as_exported(file) is False
    assert is_as_exported(tmp_path / "alone.jsonl") is None
    for text in ("[]", "{", '{"files": 3}', '{"files": {"sft/train.jsonl": 1}}'):
        (folder / "metadata.json").write_text(text)
        assert is_as_exported(file) is None


def test_a_sample_is_drawn_by_its_seed_and_keeps_the_order() -> None:
    rows = [attempt(RIGHT, "correct", id=f"r{n:03}") for n in range(100)]
    some = [name for name, _ in sampled(rows, 9, 1)]
    assert some == sorted(some)
    assert len(set(some)) == 9
    assert some == [name for name, _ in sampled(rows, 9, 1)]
    assert some != [name for name, _ in sampled(rows, 9, 2)]
    assert len(sampled(rows, 500, 1)) == 100


def test_leaks_are_told_by_row() -> None:
    rows = [attempt(RIGHT, "correct", id="a"), attempt("// /Users/me/x.metal", "correct", id="b")]
    assert leaking(sampled(rows, None, 0)) == {"b": ["path /Users/me/x.metal"]}


@pytest.mark.parametrize(
    "text", ["{", "[1]\n", '{"op": "softmax"}\n', "\x00", "[" * 100_000 + "]" * 100_000]
)
def test_a_file_that_is_no_dataset_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(UsageError, match="no row"):
        read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(("status", "code"), [("correct", 0), ("wrong_result", 1)])
def test_the_command_ends_with_1_where_a_row_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: str,
    code: int,
) -> None:
    import foundry.harness.processes.pool as pools
    import foundry.judge as judging
    from foundry.cli.commands import application

    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(attempt(RIGHT, status)) + "\n")
    pool = SimpleNamespace(__enter__=lambda self: self, __exit__=lambda *_: None)
    monkeypatch.setattr(pools, "WorkerPool", lambda *_: type("Pool", (), vars(pool))())
    monkeypatch.setattr(judging, "Judge", lambda *_: FakeJudge(RIGHT))
    with pytest.raises(SystemExit) as ended:
        application(["data", "verify", str(file), "--json", "--device", "cpu"])
    assert ended.value.code == code
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["kernels"], len(said["wrong"])) == (1, 1, code)
