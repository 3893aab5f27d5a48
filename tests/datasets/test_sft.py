from __future__ import annotations

import builtins
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dataset_examples import CPU, METAL, Filled, template_kernel, variant, verdict

from foundry.datasets import Exported, export_sft
from foundry.datasets.duplicates import NEAR, jaccard, shingles
from foundry.datasets.teachers import Use
from foundry.errors import UsageError
from foundry.judge.verdict import Status
from foundry.kernel import parse, render
from foundry.kernel.normal_form import normalise
from foundry.store import Origin
from ops.axis import axes
from ops.fills import Index
from ops.matches import Exact
from ops.registry import get
from ops.spec import Case, Op, Tensor

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OPS = ("softmax", "rms_norm", "silu", "swiglu", "cumsum", "topk", "rope", "matmul", "attention")


def export(filled: Filled, folder: Path, **options: Any) -> Exported:
    return export_sft(
        filled.store.evaluations(), filled.store.origins(), folder, now=NOW, **options
    )


def chats(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    with (folder / f"{split}.jsonl").open() as file:
        return [json.loads(line) for line in file]


def answers(folder: Path) -> list[str]:
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem in ("train", "valid", "test"):
            found += [chat["messages"][1]["content"] for chat in chats(folder, path.stem)]
    return found


@pytest.fixture
def many(filled: Filled) -> Filled:
    """One verified kernel of each of nine ops."""
    for op in OPS:
        kernel, origin = template_kernel(op)
        filled.add(kernel, origin)
    return filled


def test_every_row_is_messages_and_nothing_else(many: Filled, tmp_path: Path) -> None:
    done = export(many, tmp_path)
    assert done.rows == len(OPS)
    for split in ("train", "valid", "test"):
        text = (tmp_path / f"{split}.jsonl").read_text()
        assert text.endswith("\n")
        assert "\n\n" not in text
        for chat in chats(tmp_path, split):
            assert list(chat) == ["messages"]
            user, assistant = chat["messages"]
            assert (list(user), user["role"]) == (["role", "content"], "user")
            assert (list(assistant), assistant["role"]) == (["role", "content"], "assistant")
            kernel = parse(assistant["content"])
            assert render(kernel) == assistant["content"]
            assert f": {kernel.op}." in user["content"]


def test_a_prompt_states_the_task_and_no_measurement(many: Filled, tmp_path: Path) -> None:
    export(many, tmp_path)
    user = next(
        chat["messages"][0]["content"]
        for split in ("train", "valid", "test")
        for chat in chats(tmp_path, split)
        if "rms_norm" in chat["messages"][0]["content"]
    )
    op = get("rms_norm")
    assert op.formula.strip() in user
    for words in ("x[rows, cols] of T", "weight[cols] of T", "out[rows, cols]", "eps (float32"):
        assert words in user
    assert "float32" in user
    assert "// --- body ---" in user
    assert op.bench[0].label in user
    for measured in (
        "12.25",
        "8.125",
        "1.5",
        "speedup",
        "microsecond",
        " us",
        "faster",
        "Test CPU",
    ):
        assert measured not in user


def test_the_golden_prompt(golden: Any) -> None:
    from foundry.datasets.prompt import prompt

    op = Op(
        name="scaled_pick",
        family="demo",
        formula="out[i, j] = gain * x[i, order[j]].\nTies do not occur.",
        axes=axes("n m"),
        inputs=(Tensor("x", ("n", "m")), Tensor("order", ("m",), "uint32", Index("m"))),
        outputs=(Tensor("out", ("n", "m"), match=Exact()),),
        oracle=lambda inputs, workload: (inputs["x"],),
        baselines={},
        flops="n * m",
        visible=(),
        hidden=(),
        bench=(Case({"n": 1, "m": 64}, label="demo decode"), Case({"n": 8, "m": 64})),
        params={"gain": 2.0, "offset": 1},
        constraints=("m >= 1",),
    )
    golden("datasets/prompt.txt", prompt(op, ("float16", "bfloat16")))


def test_families_never_cross_a_split(many: Filled, tmp_path: Path) -> None:
    for op in ("layer_norm",):  # of the family of rms_norm
        kernel, origin = template_kernel(op)
        many.add(kernel, origin)
    done = export(many, tmp_path)
    families = done.metadata["families"]
    found: dict[str, set[str]] = {}
    for line in (tmp_path / "provenance.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row["family"], set()).add(row["split"])
        answer = chats(tmp_path, row["split"])[row["line"] - 1]["messages"][1]["content"]
        assert parse(answer).hash == row["kernel_hash"]
    assert all(len(splits) == 1 for splits in found.values())
    assert {family: min(splits) for family, splits in found.items()} == families
    assert set(families.values()) == {"train", "valid", "test"}
    assert families[get("rms_norm").family] == "train"  # the largest


def test_an_export_repeats_to_the_byte(many: Filled, tmp_path: Path) -> None:
    export(many, tmp_path / "one")
    export(many, tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "README.md" in names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    other = export(many, tmp_path / "three", seed=3)
    assert (
        other.metadata["families"]
        != json.loads((tmp_path / "one" / "metadata.json").read_text())["families"]
    )


@pytest.mark.parametrize("status", [s for s in Status if not s.passed])
def test_only_verified_kernels_are_taught(filled: Filled, tmp_path: Path, status: Status) -> None:
    good, origin = template_kernel("softmax")
    bad, _ = template_kernel("softmax", which=1)
    filled.add(good, origin)
    filled.add(bad, origin, verdict(bad, status))
    done = export(filled, tmp_path)
    assert answers(tmp_path) == [render(good)]
    assert done.metadata["left_out"]["not verified"] == 1


@pytest.mark.parametrize("again", [Status.WRONG_RESULT, Status.CRASH, Status.TIMEOUT])
def test_a_pass_that_was_taken_back_does_not_count(
    filled: Filled, tmp_path: Path, again: Status
) -> None:
    kernel, origin = template_kernel("softmax")
    for evaluation in (
        verdict(kernel, dtype="float32"),
        verdict(kernel, dtype="float16"),
        verdict(kernel, again, dtype="float16"),
    ):
        filled.add(kernel, origin, evaluation)
    export(filled, tmp_path)
    (chat,) = chats(tmp_path)
    assert "Element type T: float32." in chat["messages"][0]["content"]


def test_a_disproof_stands_against_a_later_pass(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin, verdict(kernel, Status.WRONG_RESULT, device=METAL))
    filled.add(kernel, origin, verdict(kernel, device=CPU))
    with pytest.raises(UsageError, match="no verified kernels to export \\(1 not verified\\)"):
        export(filled, tmp_path)


def test_verdicts_of_another_judge_do_not_count(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin, verdict(kernel, judge_version=0))
    with pytest.raises(UsageError, match="1 judged by another version"):
        export(filled, tmp_path)


def test_one_kernel_in_three_dtypes_is_one_row(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("silu")
    for dtype in ("bfloat16", "float32", "float16"):
        filled.add(kernel, origin, verdict(kernel, dtype=dtype))
    export(filled, tmp_path)
    (chat,) = chats(tmp_path)
    assert "Element type T: float32, float16, bfloat16." in chat["messages"][0]["content"]


def test_exact_duplicates_leave_the_fastest(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    text = render(kernel)
    renamed = variant(text, "row", "line_of_x")
    commented = variant(text, "// --- body ---", "// --- body ---\n// the same, with a remark")
    assert normalise(render(renamed)) == normalise(text)
    filled.add(kernel, origin, verdict(kernel, low=1.1))
    filled.add(renamed, origin, verdict(renamed, low=1.9))
    filled.add(commented, origin, verdict(commented, low=1.3))
    done = export(filled, tmp_path)
    assert answers(tmp_path) == [render(renamed)]
    assert done.metadata["left_out"]["duplicate"] == 2


def test_near_duplicates_go_when_datasketch_is_there(filled: Filled, tmp_path: Path) -> None:
    pytest.importorskip("datasketch")
    kernel, origin = template_kernel("attention", which=0)
    near = variant(
        render(kernel), "// --- body ---", "// --- body ---\nconst uint unused_here = 7;"
    )
    similarity = jaccard(shingles(render(kernel)), shingles(render(near)))
    assert NEAR < similarity < 1
    assert normalise(render(near)) != normalise(render(kernel))
    filled.add(kernel, origin, verdict(kernel, low=1.2))
    filled.add(near, origin, verdict(near, low=1.1))
    done = export(filled, tmp_path)
    assert answers(tmp_path) == [render(kernel)]
    assert done.metadata["left_out"]["near duplicate"] == 1
    assert done.metadata["near_duplicates_removed"] is True


def test_without_datasketch_it_says_so(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foundry.datasets.duplicates.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "datasketch", None)
    kernel, origin = template_kernel("softmax")
    near = variant(
        render(kernel), "// --- body ---", "// --- body ---\nconst uint unused_here = 7;"
    )
    renamed = variant(render(kernel), "row", "line_of_x")
    for each in (kernel, near, renamed):
        filled.add(each, origin)
    done = export(filled, tmp_path)
    assert done.rows == 2
    assert done.metadata["near_duplicates_removed"] is False
    assert any("Only exact duplicates" in note for note in done.notes)


def test_what_is_near_to_training_leaves_the_other_splits(filled: Filled, tmp_path: Path) -> None:
    """A user's op may be a copy of another one of a different family."""
    pytest.importorskip("datasketch")
    silu, origin = template_kernel("silu")
    copy = variant(render(silu), 'op = "silu"', 'op = "cumsum"')
    other, _ = template_kernel("rope")
    for each in (silu, copy, other):
        filled.add(each, origin)
    done = export(filled, tmp_path, valid=[get("rope").family], test=[get("cumsum").family])
    assert done.metadata["left_out"]["near a training row"] == 1
    assert "test.jsonl" not in done.files
    assert sorted(answers(tmp_path)) == sorted([render(silu), render(other)])


def test_a_split_without_rows_has_no_file(many: Filled, filled: Filled, tmp_path: Path) -> None:
    export(many, tmp_path)
    assert (tmp_path / "valid.jsonl").exists()
    few = export_sft(
        filled.store.evaluations(op="softmax"), filled.store.origins(), tmp_path, now=NOW
    )
    assert list(few.files) == ["train.jsonl", "provenance.jsonl"]
    assert not (tmp_path / "valid.jsonl").exists()
    assert not (tmp_path / "test.jsonl").exists()
    assert any("No rows for valid and test" in note for note in few.notes)


def test_families_can_be_named(many: Filled, tmp_path: Path) -> None:
    done = export(many, tmp_path, valid=["softmax"], test=["attention"])
    assert done.metadata["families"]["softmax"] == "valid"
    assert done.metadata["families"]["attention"] == "test"
    for bad, words in (
        ({"valid": ["nosuch"]}, "'nosuch' has no rows"),
        ({"valid": ["softmax"], "test": ["softmax"]}, "in valid and in test"),
        ({"test": sorted(done.metadata["families"])}, "no family is left"),
    ):
        with pytest.raises(UsageError, match=words):
            export(many, tmp_path / "bad", **bad)


def test_teachers_are_inherited_and_filtered(filled: Filled, tmp_path: Path) -> None:
    root, origin = template_kernel("softmax")
    written, _ = template_kernel("silu")
    mutated, _ = template_kernel("rope")
    orphan, _ = template_kernel("cumsum")
    filled.add(root, origin)
    filled.add(
        written, Origin("proposer", "anthropic", {"model": "claude-opus-5-5"}), parent=root.hash
    )
    filled.add(mutated, Origin("proposer", "mutate", {"move": "knob"}), parent=written.hash)
    filled.add(orphan, Origin("proposer", "mutate", {}), parent="ff" * 32)
    done = export(filled, tmp_path / "all")
    rows = {
        row["kernel_hash"]: row
        for line in (tmp_path / "all" / "provenance.jsonl").read_text().splitlines()
        for row in [json.loads(line)]
    }
    assert rows[root.hash]["teachers"] == ["template"]
    assert rows[root.hash]["licence"] == "MIT"
    lineage = ["mutate", "anthropic:claude-opus-5-5", "template"]
    assert rows[mutated.hash]["teachers"] == lineage
    assert rows[mutated.hash]["training_use"] == "restricted"
    assert rows[orphan.hash]["training_use"] == "unknown"
    assert any("2 rows descend from a model" in note for note in done.notes)
    free = export(filled, tmp_path / "free", uses=[Use.FREE])
    assert answers(tmp_path / "free") == [render(root)]
    assert (tmp_path / "free" / "README.md").read_text().startswith("---\nlicense: mit\n")
    assert free.metadata["left_out"]["training use is restricted"] == 2


def test_only_faster_ones_on_request(filled: Filled, tmp_path: Path) -> None:
    slow, origin = template_kernel("softmax")
    fast, _ = template_kernel("silu")
    filled.add(slow, origin, verdict(slow, Status.CORRECT, low=0.8))
    filled.add(fast, origin)
    export(filled, tmp_path, statuses=[Status.FASTER])
    assert answers(tmp_path) == [render(fast)]


def test_ops_that_are_not_registered_are_left_out(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    foreign = variant(render(kernel), 'op = "softmax"', 'op = "my_op"')
    filled.add(kernel, origin)
    filled.add(foreign, origin)
    done = export(filled, tmp_path)
    assert done.metadata["left_out"]["op 'my_op' is not registered here"] == 1


def test_the_files_match_their_digests_and_the_card_names_the_splits(
    many: Filled, tmp_path: Path
) -> None:
    import hashlib

    done = export(many, tmp_path)
    for name, facts in done.metadata["files"].items():
        content = (tmp_path / name).read_bytes()
        assert facts["sha256"] == hashlib.sha256(content).hexdigest()
        assert facts["rows"] == content.count(b"\n")
    card = (tmp_path / "README.md").read_text()
    named = re.findall(r"- split: (\w+)\n    path: (\w+\.jsonl)", card)
    assert named == [
        ("train", "train.jsonl"),
        ("validation", "valid.jsonl"),
        ("test", "test.jsonl"),
    ]


def test_nothing_of_pyarrow_is_needed(
    many: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] in ("pyarrow", "pandas"):
            raise ImportError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert export(many, tmp_path).rows == len(OPS)
