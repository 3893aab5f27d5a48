from __future__ import annotations

import builtins
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dataset_examples import CPU, METAL, Filled, template_kernel, variant, verdict

from foundry.datasets import Exported, export_sft
from foundry.datasets.choice import Choice
from foundry.datasets.duplicates import NEAR, jaccard, shingles
from foundry.datasets.labels import MEASURED
from foundry.datasets.split import assign
from foundry.datasets.teachers import TEACHERS, lineage
from foundry.errors import UsageError
from foundry.judge.verdict import Status
from foundry.kernel import parse, render, text_hash
from foundry.kernel.normal_form import normalise
from foundry.prompts.answer import Extracted, extract
from foundry.store import Origin
from ops.registry import get

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OPS = ("softmax", "rms_norm", "silu", "swiglu", "cumsum", "topk", "rope", "matmul", "attention")
APART = Choice(valid=("elementwise",), test=("gemm",))


def export(filled: Filled, folder: Path, choice: Choice | None = None) -> Exported:
    return export_sft(filled.store.evaluations(), filled.store.origins(), folder, choice, now=NOW)


def rows(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    path = folder / f"{split}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def every_row(folder: Path) -> list[dict[str, Any]]:
    return [row for split in ("train", "valid", "test") for row in rows(folder, split)]


def kernel_of(row: dict[str, Any]) -> str:
    found = extract(row["messages"][-1]["content"], get(row["op"]))
    assert isinstance(found, Extracted)
    return found.text


def hashes(folder: Path) -> list[str]:
    return sorted(row["kernel_hash"] for row in every_row(folder))


@pytest.fixture
def many(filled: Filled) -> Filled:
    """One verified kernel of each of nine ops."""
    for op in OPS:
        kernel, origin = template_kernel(op)
        filled.add(kernel, origin)
    return filled


def test_a_row_is_a_chat_of_the_searchs_form_with_its_provenance(
    many: Filled, tmp_path: Path
) -> None:
    done = export(many, tmp_path)
    assert done.rows == len(OPS)
    assert done.files.keys() == {"train.jsonl", "valid.jsonl", "test.jsonl"}
    for row in every_row(tmp_path):
        system, user, assistant = row["messages"]
        assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant"]
        assert f"# The operation: {row['op']}" in system["content"]
        assert "from scratch" in user["content"]
        assert assistant["content"].startswith("```metal\n/*kernel\n")
        assert parse(kernel_of(row)).hash == row["kernel_hash"]
        assert row["task"] == "write"
        assert row["method"] == "proven"
        assert row["device_id"] == CPU.id
        assert row["licence"] == "MIT"
        assert row["judge_version"] == done.metadata["judge_version"]
        assert row["canary"] == done.metadata["canary"]
        assert row["id"].startswith("sft-")


def test_a_prompt_states_the_task_and_nothing_learnt_of_its_answer(
    many: Filled, tmp_path: Path
) -> None:
    export(many, tmp_path)
    row = next(row for row in every_row(tmp_path) if row["op"] == "rms_norm")
    asked = row["messages"][0]["content"] + row["messages"][1]["content"]
    op = get("rms_norm")
    assert op.formula.strip() in asked
    for words in ("x[rows, cols] of T", "weight[cols] of T", "out[rows, cols]", "eps: float32"):
        assert words in asked
    assert op.bench[0].label in asked
    for measured in ("12.25", "8.125", "1.59", "8.00 us"):
        assert measured not in asked


def test_a_kernel_surely_faster_than_its_parent_improves_it(filled: Filled, tmp_path: Path) -> None:
    parent, origin = template_kernel("softmax")
    child, _ = template_kernel("softmax", which=1)
    failed, _ = template_kernel("softmax", which=2)
    filled.add(parent, origin, verdict(parent, low=0.5))
    claude = Origin("proposer", "anthropic", {"model": "claude-opus-5-5"})
    filled.add(failed, claude, verdict(failed, Status.WRONG_RESULT), parent=parent.hash)
    filled.add(child, origin, verdict(child, low=1.5), parent=parent.hash)
    export(filled, tmp_path)
    found = {row["kernel_hash"]: row for row in every_row(tmp_path)}
    assert found[parent.hash]["task"] == "write"
    improved = found[child.hash]
    assert (improved["task"], improved["method"]) == ("improve", MEASURED)
    assert improved["teachers"] == ["template", "anthropic:claude-opus-5-5"]  # who failed is shown
    assert improved["training_use"] == "restricted"
    user = improved["messages"][1]["content"]
    assert "# The kernel to improve" in user
    assert render(parent).strip() in user
    assert "# Tried from this kernel, and failed: do not repeat" in user
    assert "0.53x [0.50, 0.56]" in user
    assert "1.59" not in user


def test_families_never_cross_a_split(many: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("layer_norm")  # of the family of rms_norm
    many.add(kernel, origin)
    done = export(many, tmp_path)
    families = done.metadata["families"]
    for split in ("train", "valid", "test"):
        found = {row["family"] for row in rows(tmp_path, split)}
        assert found == {family for family, where in families.items() if where == split}
    assert families[get("rms_norm").family] == "train"  # the largest


def test_an_export_repeats_to_the_byte(many: Filled, tmp_path: Path) -> None:
    export(many, tmp_path / "one")
    export(many, tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "README.md" in names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    other = export(many, tmp_path / "three", Choice(seed=3))
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
    export(filled, tmp_path)
    assert hashes(tmp_path) == [good.hash]


def test_what_the_sanitizer_did_not_watch_everywhere_is_not_taught(
    filled: Filled, tmp_path: Path
) -> None:
    good, origin = template_kernel("softmax")
    filled.add(good, origin)
    for which, unwatched in ((1, 3), (2, None)):
        kernel, _ = template_kernel("softmax", which=which)
        filled.add(kernel, origin, verdict(kernel, unwatched=unwatched))
    done = export(filled, tmp_path)
    assert hashes(tmp_path) == [good.hash]
    left_out = done.metadata["kernels_left_out"]
    assert left_out["not watched by the sanitizer on all sizes"] == 2


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
    (row,) = every_row(tmp_path)
    assert row["dtype"] == "float32"


def test_a_disproof_stands_against_a_later_pass(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin, verdict(kernel, Status.WRONG_RESULT, device=METAL))
    filled.add(kernel, origin, verdict(kernel, device=CPU))
    with pytest.raises(UsageError, match="no verified kernels to export \\(1 proof taken back\\)"):
        export(filled, tmp_path)


def test_verdicts_of_another_judge_do_not_count(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin, verdict(kernel, judge_version=0))
    with pytest.raises(UsageError, match="1 judged by another version"):
        export(filled, tmp_path)


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
    assert hashes(tmp_path) == [renamed.hash]
    assert done.metadata["kernels_left_out"]["the same as another but for names and space"] == 2


def test_of_near_duplicates_so_many_are_kept_the_fastest_first(
    filled: Filled, tmp_path: Path
) -> None:
    kernel, origin = template_kernel("attention", which=0)
    text = render(kernel)
    filled.add(kernel, origin, verdict(kernel, low=1.2))
    kept = [kernel.hash]
    for number in range(3):
        near = variant(text, "// --- body ---", f"// --- body ---\nconst uint unused = {number};")
        assert NEAR < jaccard(shingles(text), shingles(render(near))) < 1
        assert normalise(render(near)) != normalise(text)
        filled.add(near, origin, verdict(near, low=1.1 - 0.1 * number))
        kept.append(near.hash)
    done = export(filled, tmp_path, Choice(per_group=2))
    assert hashes(tmp_path) == sorted(kept[:2])
    assert done.metadata["rows_left_out"]["sft"] == {"beyond 2 near duplicates": 2}


def test_what_is_near_to_another_split_is_in_none_but_the_first(
    filled: Filled, tmp_path: Path
) -> None:
    """A user's op may be a copy of another one of a different family."""
    silu, origin = template_kernel("silu")
    copy = variant(render(silu), 'op = "silu"', 'op = "cumsum"')
    broken = variant(render(silu), 'op = "silu"', 'op = "rope"')
    other, _ = template_kernel("rope")
    for each in (silu, copy, other):
        filled.add(each, origin)
    filled.add(broken, origin, verdict(broken, Status.WRONG_RESULT))
    choice = Choice(valid=[get("rope").family], test=[get("cumsum").family])
    done = export(filled, tmp_path, choice)
    assert done.metadata["kernels_left_out"]["near a kernel of another split"] == 2
    assert "test.jsonl" not in done.files
    assert hashes(tmp_path) == sorted([silu.hash, other.hash])


def test_held_out_ops_and_what_is_near_to_them_are_nowhere(filled: Filled, tmp_path: Path) -> None:
    silu, origin = template_kernel("silu")
    copy = variant(render(silu), 'op = "silu"', 'op = "cumsum"')
    other, _ = template_kernel("rope")
    for each in (silu, copy, other):
        filled.add(each, origin)
    done = export(filled, tmp_path, Choice(hold_out=["silu"]))
    assert hashes(tmp_path) == [other.hash]
    left_out = done.metadata["kernels_left_out"]
    assert (left_out["op is held out"], left_out["near a held-out kernel"]) == (1, 1)
    with pytest.raises(UsageError, match="did you mean silu"):
        export(filled, tmp_path, Choice(hold_out=["sillu"]))


def test_a_split_without_rows_has_no_file(many: Filled, filled: Filled, tmp_path: Path) -> None:
    export(many, tmp_path)
    assert (tmp_path / "valid.jsonl").exists()
    few = export_sft(
        filled.store.evaluations(op="softmax"), filled.store.origins(), tmp_path, now=NOW
    )
    assert list(few.files) == ["train.jsonl"]
    assert not (tmp_path / "valid.jsonl").exists()
    assert not (tmp_path / "test.jsonl").exists()
    assert any("No rows for valid and test" in note for note in few.notes)


def test_families_can_be_named(many: Filled, tmp_path: Path) -> None:
    done = export(many, tmp_path, Choice(valid=["softmax"], test=["attention"]))
    assert done.metadata["families"]["softmax"] == "valid"
    assert done.metadata["families"]["attention"] == "test"
    for bad, words in (
        ({"valid": ["nosuch"]}, "'nosuch' has no rows"),
        ({"valid": ["softmax"], "test": ["softmax"]}, "in valid and in test"),
        ({"test": sorted(done.metadata["families"])}, "no family is left"),
    ):
        with pytest.raises(UsageError, match=words):
            export(many, tmp_path / "bad", Choice(**bad))  # type: ignore[arg-type]


def test_a_family_is_always_left_to_train_on() -> None:
    assert assign({"a": 10, "b": 5}, valid=("a",)) == {"a": "valid", "b": "train"}
    assert assign({"a": 10, "b": 5}, test=("b",)) == {"a": "train", "b": "test"}
    found = assign(dict.fromkeys("abc", 1) | {"d": 9}, test=("d",))
    assert sorted(found.values()) == ["test", "train", "train", "valid"]


def test_teachers_are_inherited_and_filtered(filled: Filled, tmp_path: Path) -> None:
    root, origin = template_kernel("softmax")
    opened, _ = template_kernel("matmul")
    written, _ = template_kernel("silu")
    mutated, _ = template_kernel("rope")
    orphan, _ = template_kernel("cumsum")
    filled.add(root, origin)
    local = Origin("proposer", "openai-chat", {"model": "mlx-community/Qwen2.5-Coder-0.5B"})
    filled.add(opened, local)
    filled.add(
        written, Origin("proposer", "anthropic", {"model": "claude-opus-5-5"}), parent=root.hash
    )
    filled.add(mutated, Origin("proposer", "mutate", {"move": "knob"}), parent=written.hash)
    filled.add(orphan, Origin("proposer", "mutate", {}), parent="ff" * 32)
    done = export(filled, tmp_path / "all")
    found = {row["kernel_hash"]: row for row in every_row(tmp_path / "all")}
    assert found[root.hash]["teachers"] == ["template"]
    assert found[root.hash]["licence"] == "MIT"
    lineage = ["mutate", "anthropic:claude-opus-5-5", "template"]
    assert found[mutated.hash]["teachers"] == lineage
    assert found[mutated.hash]["training_use"] == "restricted"
    assert found[orphan.hash]["training_use"] == "unknown"
    assert found[opened.hash]["training_use"] == "open"
    assert any("2 rows descend from a model" in note for note in done.notes)
    own = export(filled, tmp_path / "own", Choice(uses=TEACHERS["own"]))
    assert hashes(tmp_path / "own") == [root.hash]
    assert (tmp_path / "own" / "README.md").read_text().startswith("---\nlicense: mit\n")
    assert own.metadata["kernels_left_out"]["training use is restricted"] == 2
    export(filled, tmp_path / "open", Choice(uses=TEACHERS["open-weights"]))
    assert hashes(tmp_path / "open") == sorted([root.hash, opened.hash])


@pytest.mark.parametrize(
    ("model", "use"),
    [
        ("qwen-max", "unknown"),
        ("qwen3-max", "unknown"),
        ("qwen3-coder-plus", "unknown"),
        ("Qwen/Qwen2.5-Coder-3B-Instruct", "unknown"),
        ("qwen2.5-coder:3b", "unknown"),
        ("Qwen/Qwen2.5-72B-Instruct", "unknown"),
        ("deepseek-coder-6.7b", "unknown"),
        ("devstral-medium-2507", "unknown"),
        ("glm-4-flash", "unknown"),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", "open"),
        ("mlx-community/Qwen3-30B-A3B-4bit", "open"),
        ("qwen3:4b", "open"),
        ("deepseek-ai/DeepSeek-V3.2", "open"),
        ("glm-4.5-air", "open"),
        ("devstral-small-2507", "open"),
    ],
)
def test_models_that_are_only_served_are_no_open_weights(model: str, use: str) -> None:
    found = lineage("a", {"a": (Origin("proposer", "openai-chat", {"model": model}), None)})
    assert found.use == use


@pytest.mark.parametrize("text", ["", "// only a remark"])
def test_an_answer_without_code_breaks_no_export(filled: Filled, tmp_path: Path, text: str) -> None:
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin)
    empty = verdict(kernel, Status.INVALID).model_copy(update={"kernel_hash": text_hash(text)})
    for op in ("softmax", "silu"):
        told = empty.model_copy(update={"op": op})
        filled.store.save(filled.runs[CPU.id], None, text, told, origin, kernel.hash)
    export(filled, tmp_path)
    assert hashes(tmp_path) == [kernel.hash]
    assert jaccard(shingles(text), shingles(text)) == 0


def test_only_faster_ones_on_request(filled: Filled, tmp_path: Path) -> None:
    slow, origin = template_kernel("softmax")
    fast, _ = template_kernel("silu")
    filled.add(slow, origin, verdict(slow, Status.CORRECT, low=0.8))
    filled.add(fast, origin)
    done = export(filled, tmp_path, Choice(statuses=[Status.FASTER]))
    assert hashes(tmp_path) == [fast.hash]
    assert done.metadata["rows_left_out"]["sft"] == {"not faster": 1}


def test_ops_that_are_not_registered_are_left_out(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    foreign = variant(render(kernel), 'op = "softmax"', 'op = "my_op"')
    filled.add(kernel, origin)
    filled.add(foreign, origin)
    done = export(filled, tmp_path)
    assert done.metadata["kernels_left_out"]["op 'my_op' is not registered here"] == 1


def test_the_files_match_their_digests_and_the_card_names_the_splits(
    many: Filled, tmp_path: Path
) -> None:
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
