from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dataset_examples import (
    CPU,
    METAL,
    MUTATE,
    Filled,
    fill_every_view,
    template_kernel,
    timing,
    variant,
    verdict,
)

from foundry.datasets import Exported, export_dataset
from foundry.datasets.choice import Choice
from foundry.datasets.columns import WORDS
from foundry.datasets.files import remove_abandoned, replacing
from foundry.datasets.labels import MEASURED
from foundry.datasets.rows import claims, read_rows
from foundry.datasets.verifying import leaking, timed_by_request
from foundry.datasets.views.completion import cut
from foundry.datasets.views.registry import VIEWS
from foundry.errors import UsageError
from foundry.judge.verdict import Diagnostic, OutputError, Status
from foundry.kernel import render, text_hash
from foundry.prompts.forms import FORMS
from foundry.store import Origin
from foundry.store.records import PREDICTIONS
from ops.registry import get

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def export(filled: Filled, folder: Path, choice: Choice | None = None, **more: Any) -> Exported:
    found = list(filled.store.evaluations())
    return export_dataset(found, filled.store.origins(), folder, choice, now=NOW, **more)


def rows(folder: Path, view: str) -> list[dict[str, Any]]:
    kind = "parquet" if view == "attempts" else "jsonl"
    return [row for path in sorted((folder / view).glob(f"*.{kind}")) for row in read_rows(path)]


@pytest.fixture
def related(filled: Filled) -> dict[str, Any]:
    """A parent, its faster child, a failed child of the parent, and a fix of that."""
    made = {}
    for name, which in (("parent", 0), ("child", 1), ("failed", 2)):
        made[name], origin = template_kernel("softmax", which=which)
    made["fix"] = variant(render(made["failed"]), "// --- body ---", "// --- body ---\nuint z = 1;")
    filled.add(made["parent"], origin, verdict(made["parent"], low=0.5))
    filled.add(made["child"], MUTATE, verdict(made["child"]), parent=made["parent"].hash)
    broken = verdict(made["failed"], Status.SANITIZER_ERROR)
    filled.add(made["failed"], MUTATE, broken, parent=made["parent"].hash)
    filled.add(made["fix"], MUTATE, verdict(made["fix"]), parent=made["failed"].hash)
    return made


def test_both_formats_of_a_view_hold_the_same_rows(
    filled: Filled, related: dict[str, Any], tmp_path: Path
) -> None:
    done = export(filled, tmp_path)
    assert done.files["repair/train.jsonl"] == done.files["repair/train.parquet"] == 1
    for view in ("sft", "repair", "preference", "completion"):
        assert rows(tmp_path, view) == read_rows(tmp_path / view / "train.parquet")
    counted = sum(n for name, n in done.files.items() if name.endswith(".parquet"))
    assert done.rows == counted


def test_a_dataset_has_the_attempts_and_every_view_with_documented_columns(
    filled: Filled, related: dict[str, Any], tmp_path: Path
) -> None:
    done = export(filled, tmp_path)
    assert {name.partition("/")[0] for name in done.files} >= {"attempts", "sft", "repair"}
    for view in VIEWS.values():
        assert set(view.schema) <= set(WORDS)
        for row in rows(tmp_path, view.name) if (tmp_path / view.name).exists() else ():
            assert list(row) == list(view.schema)
            assert row["view"] == view.name
    card = (tmp_path / "README.md").read_text()
    assert "| fixed_by |" in card
    with pytest.raises(UsageError, match="did you mean repair"):
        export(filled, tmp_path, views=["repairs"])


def test_a_repair_shows_the_broken_kernel_with_its_lines_and_ends_in_the_child(
    filled: Filled, related: dict[str, Any], tmp_path: Path
) -> None:
    export(filled, tmp_path)
    (row,) = rows(tmp_path, "repair")
    assert row["kernel_hash"] == related["fix"].hash
    assert row["broken_hash"] == related["failed"].hash
    assert (row["fault"], row["fixed_by"]) == ("sanitizer_error", "child")
    user, answer = row["messages"][1]["content"], row["messages"][2]["content"]
    assert "# The kernel to repair" in user
    assert render(related["failed"]).strip() in user
    assert "verify: line 3: out[0] is 1" in user
    assert render(related["fix"]).strip() in answer


def test_a_failed_change_is_repaired_by_what_it_was_made_from(
    filled: Filled, tmp_path: Path
) -> None:
    good, origin = template_kernel("softmax")
    bad = render(good).replace("// --- body ---", "")
    filled.add(good, origin)
    run = filled.runs[CPU.id]
    broken = verdict(good, Status.INVALID).model_copy(update={"kernel_hash": text_hash(bad)})
    filled.store.save(run, None, bad, broken, Origin("proposer", "planted"), good.hash)
    export(filled, tmp_path)
    (row,) = rows(tmp_path, "repair")
    assert (row["fixed_by"], row["fault"]) == ("origin", "invalid")
    assert row["teachers"] == ["template", "planted"]
    assert row["training_use"] == "free"


@pytest.mark.parametrize("status", [Status.TIMEOUT, Status.CRASH])
def test_what_a_busy_machine_may_have_done_is_no_fault_to_repair(
    filled: Filled, related: dict[str, Any], tmp_path: Path, status: Status
) -> None:
    filled.add(related["failed"], MUTATE, verdict(related["failed"], status))
    done = export(filled, tmp_path)
    assert rows(tmp_path, "repair") == []
    left_out = done.metadata["rows_left_out"]["repair"]
    assert left_out["failed by what may be a machine's fault"] == 1


def test_a_planted_slip_that_does_no_harm_is_taught_to_nobody(
    filled: Filled, tmp_path: Path
) -> None:
    """A loop that runs a step too far, behind a guard: right, and nothing to imitate."""
    good, origin = template_kernel("softmax")
    slip = variant(render(good), "// --- body ---", "// --- body ---\nuint z = 1;")
    filled.add(good, origin)
    planter = Origin("proposer", "planted", {"fault": "includes_end", "label": "runs too far"})
    filled.add(slip, planter, verdict(slip), parent=good.hash)
    done = export(filled, tmp_path)
    for view in ("sft", "completion", "repair", "preference"):
        assert slip.hash not in {row["kernel_hash"] for row in rows(tmp_path, view)}
    assert slip.hash in {row["kernel_hash"] for row in rows(tmp_path, "attempts")}
    assert done.metadata["rows_left_out"]["sft"]["a planted slip that did no harm"] == 1


def test_one_text_for_two_ops_stays_on_the_side_of_each(filled: Filled, tmp_path: Path) -> None:
    """A kernel of softmax as the answer for silu, and words for softmax and for rope, held out."""
    good, origin = template_kernel("softmax")
    filled.add(good, origin)
    words, run = "I would rather not.", filled.runs[CPU.id]
    for text, op in ((render(good), "silu"), (words, "softmax"), (words, "rope")):
        changes = {"kernel_hash": text_hash(text), "op": op}
        wrong = verdict(good, Status.INVALID).model_copy(update=changes)
        filled.store.save(run, None, text, wrong, MUTATE, good.hash)
    done = export(filled, tmp_path, Choice(hold_out=["rope"]))
    assert {row["op"] for row in rows(tmp_path, "attempts")} == {"softmax", "silu"}
    assert [row["kernel_hash"] for row in rows(tmp_path, "sft")] == [good.hash]
    assert done.metadata["kernels_left_out"]["op is held out"] == 1


def test_stray_answers_cost_no_rows_and_show_no_held_out_op(filled: Filled, tmp_path: Path) -> None:
    """Asked for rope, held out, a model hands in a kernel of silu; asked for silu one of rope."""
    good, origin = template_kernel("silu")
    held, _ = template_kernel("rope")
    filled.add(good, origin)
    for text, op in ((render(good), "rope"), (render(held), "silu")):
        changes = {"kernel_hash": text_hash(text), "op": op}
        stray = verdict(good, Status.INVALID).model_copy(update=changes)
        filled.store.save(filled.runs[CPU.id], None, text, stray, MUTATE, good.hash)
    done = export(filled, tmp_path, Choice(hold_out=["rope"]))
    assert done.metadata["kernels_left_out"] == {
        "op is held out": 1,
        "a kernel of a held-out op, given for another": 1,
    }
    assert [row["kernel_hash"] for row in rows(tmp_path, "sft")] == [good.hash]
    assert not any("rope" in str(row["kernel"]) for row in rows(tmp_path, "attempts"))
    assert not rows(tmp_path, "repair")


def test_an_export_leaves_no_rows_of_another_behind(
    filled: Filled, related: dict[str, Any], tmp_path: Path
) -> None:
    export(filled, tmp_path)
    (tmp_path / "sft" / "mine.jsonl").write_text("{}")
    assert rows(tmp_path, "repair")
    killed = [tmp_path / name for name in ("", "attempts", "preference")]
    for folder in killed:
        (folder / ".train.parquet.a1b2.draft").write_bytes(b"half")
    with replacing(tmp_path / "of-another.txt") as file:
        file.write(b"still at work")
        done = export(filled, tmp_path, views=["sft"])
    assert (tmp_path / "of-another.txt").read_bytes() == b"still at work"
    assert not list(tmp_path.rglob("*.draft"))
    (tmp_path / "of-another.txt").unlink()
    found = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*.*") if one.suffix != ".db"}
    beside = {"README.md", "metadata.json", "sft/mine.jsonl"}
    assert {one for one in found if ".db" not in one} == {*done.files, *beside}


def test_a_preference_is_of_one_session_with_intervals_apart(
    filled: Filled, tmp_path: Path
) -> None:
    texts = [template_kernel("softmax", which=which) for which in range(4)]
    lows = (0.5, 0.52, 1.5, 3.0)
    for (kernel, origin), low in zip(texts, lows, strict=True):
        device = METAL if low == 3.0 else CPU
        filled.add(kernel, origin, verdict(kernel, low=low, device=device))
    export(filled, tmp_path)
    found = rows(tmp_path, "preference")
    hashes = [kernel.hash for kernel, _ in texts]
    pairs = {(row["kernel_hash"], row["rejected_hash"]) for row in found}
    assert pairs == {(hashes[2], hashes[1]), (hashes[2], hashes[0])}
    for row in found:
        assert row["method"] == MEASURED
        assert row["gain"] == pytest.approx(1.5 / ((0.52 if row is found[0] else 0.5) * 1.125))
        assert [m["role"] for m in row["prompt"]] == ["system", "user"]
        asked = str(row["prompt"])
        assert "speedup" not in asked.split("# The answer")[1]


def test_predicted_pairs_say_so_and_name_the_chip(filled: Filled, tmp_path: Path) -> None:
    for which, us in enumerate((10.0, 100.0)):
        kernel, origin = template_kernel("softmax", which=which)
        said = {"predicted_us": us, "bound": "memory", "sentences": ["bound by memory: read once"]}
        extra = {PREDICTIONS: {"softmax[rows=8,cols=8]float32": {"m4-max": said}}}
        evaluation = verdict(kernel, Status.CORRECT, extra=extra, timings=())
        filled.add(kernel, origin, evaluation)
    done = export(filled, tmp_path)
    (row,) = rows(tmp_path, "preference")
    assert row["method"] == "predicted"
    assert (row["device_id"], row["device_name"]) == (None, "m4-max")
    assert row["gain"] == pytest.approx(10.0)
    system, user = (message["content"] for message in row["prompt"])
    assert "its time on the GPU below is predicted" in system
    assert user.startswith("Device: m4-max, an Apple GPU that is not here.")
    assert CPU.name not in user
    explained = rows(tmp_path, "explain")
    assert [one["method"] for one in explained] == ["predicted"] * 2
    assert {(one["device_id"], one["device_name"]) for one in explained} == {(None, "m4-max")}
    assert "bound by memory: read once" in explained[0]["messages"][2]["content"]
    assert any("rest on a model of m4-max, not" in note for note in done.notes)
    assert not any("devices" in note for note in done.notes)


def test_a_completion_is_the_file_cut_after_a_line(filled: Filled, tmp_path: Path) -> None:
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin)
    export(filled, tmp_path)
    (row,) = rows(tmp_path, "completion")
    assert row["prompt"] + row["completion"] == render(kernel)
    assert row["prompt"].endswith("\n")
    assert "// --- body ---" in row["prompt"]
    assert row["completion"].strip()
    assert cut("/*kernel\n*/\n// --- body ---\nout[0] = 1;\n", 7) is None


def test_every_row_says_which_kernels_it_makes_claims_about(
    filled: Filled, related: dict[str, Any], tmp_path: Path
) -> None:
    export(filled, tmp_path)
    known = {render(kernel): name for name, kernel in related.items()}
    found = {
        view: sorted(
            (known.get(claim.text, "?"), claim.is_right)
            for row in rows(tmp_path, view)
            for claim in claims(row)
        )
        for view in ("attempts", "sft", "repair", "preference", "completion")
    }
    right = [("child", True), ("fix", True), ("parent", True)]
    assert found["sft"] == found["completion"] == right
    assert found["attempts"] == sorted([*right, ("failed", False)])
    assert found["repair"] == [("failed", False), ("fix", True)]
    assert {name for name, _ in found["preference"]} == {"child", "fix", "parent"}


SECRET = 80_412_973_311


def test_nothing_that_must_stay_here_leaves(filled: Filled, tmp_path: Path) -> None:
    """Paths, hidden and drawn sizes, seeds, keys: in findings, errors, origins and extras."""
    good, _ = template_kernel("softmax")
    op = get("softmax")
    hidden = op.workloads("hidden", "float32")[0].id
    drawn = "softmax[rows=613,cols=7919]float32"
    shown = op.workloads("visible", "float32")[0].id
    bad, _ = template_kernel("softmax", which=1)
    path = "/home/jane doe/kernels/best.metal"
    extra = {"note": f"{drawn} in {path}", hidden: [path], "key": "sk-abcdefghijklmnopqrstuvwxyz"}
    filled.add(good, Origin("file", path), verdict(good, extra=extra, seed=SECRET))
    messages = (
        Diagnostic(stage="verify", message=f"wrong in {path}", workload=hidden, hidden=True),
        Diagnostic(stage="parse", message="7919 threads", workload=drawn, hidden=True, line=2),
        Diagnostic(stage="verify", message="out[7] is 1", workload=shown),
    )
    errors = tuple(
        OutputError(workload=one, output="out", max_abs_error=1.0, bound_ratio=ratio)
        for one, ratio in ((hidden, 3.0), (drawn, 4.0), (shown, 2.0))
    )
    failed = verdict(bad, Status.WRONG_RESULT, diagnostics=messages, errors=errors, seed=SECRET)
    filled.add(bad, Origin("file", path), failed, parent=good.hash)
    done = export(filled, tmp_path)
    for name in [*done.files, "README.md", "metadata.json"]:
        if not name.endswith(".parquet"):
            text = (tmp_path / name).read_text()
            for secret in ("/home", "jane", "7919", "613", str(SECRET), hidden, "sk-abc"):
                assert not re.search(rf"\b{re.escape(secret)}\b", text), (name, secret)
    told = rows(tmp_path, "attempts")
    assert leaking([(str(i), row) for i, row in enumerate(told)]) == {}
    (failed_row,) = [row for row in told if row["status"] == "wrong_result"]
    assert [d["workload"] for d in failed_row["diagnostics"]] == [None, None, shown]
    assert failed_row["diagnostics"][1]["message"] == "... threads"
    assert [(e["workload"], e["bound_ratio"]) for e in failed_row["errors"]] == [
        (shown, 2.0),
        (None, 4.0),
    ]
    assert failed_row["origin_name"] == "best.metal"


def test_sizes_that_a_search_was_asked_to_time_are_no_secret(
    filled: Filled, tmp_path: Path
) -> None:
    op, sizes = get("softmax"), {"rows": 613, "cols": 7919}
    asked, drawn = (f"softmax[rows=613,cols={cols}]float32" for cols in (7919, 7907))
    settings = {"op": "softmax", "dtype": "float32", "shapes": [sizes]}
    filled.runs[CPU.id] = filled.store.begin_run("search", "discover autorun", settings, 1, CPU)
    good, origin = template_kernel("softmax")
    timed = timing(1.5).model_copy(update={"workload": asked, "label": "rows 613 cols 7919"})
    filled.add(good, origin, verdict(good, timings=(timed,), extra={"note": {asked: 1}}))
    bad, _ = template_kernel("softmax", which=1)
    found = tuple(
        Diagnostic(stage="verify", message=f"wrong on {one}", workload=one, hidden=one == drawn)
        for one in (asked, drawn)
    )
    failed = verdict(bad, Status.WRONG_RESULT, diagnostics=found)
    filled.add(bad, MUTATE, failed, parent=good.hash)
    fix = variant(render(bad), "// --- body ---", "// --- body ---\nuint z = 1;")
    filled.add(fix, MUTATE, verdict(fix, timings=(timed,)), parent=bad.hash)
    export(filled, tmp_path)
    passed, wrong, _ = rows(tmp_path, "attempts")
    assert passed["timings"][0]["workload"] == asked
    assert json.loads(passed["extra"]) == {"note": {asked: 1}}
    assert [one["workload"] for one in wrong["diagnostics"]] == [asked, None]
    assert wrong["diagnostics"][1]["message"] == "wrong on a hidden workload"
    others = [one.id for one in op.workloads("bench", "float32")]
    for view in ("sft", "repair"):
        for row in rows(tmp_path, view):
            assert asked in row["messages"][1]["content"]
            assert not any(other in row["messages"][1]["content"] for other in others)
    file = tmp_path / "sft" / "train.jsonl"
    told = [(row["id"], row) for row in read_rows(file)]
    assert leaking(told)
    assert timed_by_request(file) == {asked}
    assert leaking(told, timed_by_request(file)) == {}
    assert timed_by_request(tmp_path / "a" / "b" / "c.jsonl") == frozenset()


def test_the_scan_finds_what_a_careless_row_holds() -> None:
    op = get("softmax")
    hidden = op.workloads("hidden", "float32")[0].id
    careless = {
        "a": "see /Users/jo/x.metal",
        "b": [f"failed on {hidden}"],
        "c": {"seed": SECRET},
        "d": "key hf_abcdefghijklmnopqrstuv",
        "fine": "a / b, https://host.org/x/y, out[i] / x[j], //--- body, and/or, 1/2/3",
        "kernel": "// --- body ---\nout[i] = x[i] / y[i] / z; /* a/b/c */",
        "public": op.workloads("visible", "float32")[0].id,
    }
    from foundry.datasets.leaks import leaks

    assert sorted(leaks(careless, [SECRET])) == [
        f"hidden workload {hidden}",
        "key hf_abc...",
        "path /Users/jo/x.metal",
        f"seed {SECRET}",
    ]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("note:/Users/bob/x.py", "note:x.py"),
        ("x.metal:/home/bob/y/z", "x.metal:z"),
        ("-I/Volumes/Jo Doe/include/x.h", "-Ix.h"),
        ("in /private/var/x.metal", "in x.metal"),
        ("https://home/x/y", "https://home/x/y"),
    ],
)
def test_folders_of_people_are_found_behind_anything(text: str, left: str) -> None:
    from foundry.datasets.leaks import leaks, without_paths

    assert without_paths(text) == left
    assert bool(list(leaks(text))) == (text != left)


@pytest.mark.parametrize("text", ["x[" + "a=b" * 10_000, "x[a=" * 10_000, "seed " + "9" * 9_000])
def test_the_scan_ends_on_any_text(text: str) -> None:
    from foundry.datasets.leaks import leaks

    assert list(leaks(text, [SECRET])) == []


def test_a_kernel_that_names_a_path_is_shown_nowhere(filled: Filled, tmp_path: Path) -> None:
    good, origin = template_kernel("softmax")
    told, _ = template_kernel("softmax", which=1)
    remark = variant(render(told), "// --- body ---", "// --- body ---\n// /home/jo/secret/k.metal")
    filled.add(good, origin)
    filled.add(remark, origin)
    done = export(filled, tmp_path)
    assert done.metadata["kernels_left_out"]["its text names a path or a key"] == 1
    assert all("/home/" not in str(row) for row in rows(tmp_path, "attempts"))


def test_datasets_of_hugging_face_load_every_view(filled: Filled, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets.load")
    fill_every_view(filled)
    kernel, origin = template_kernel("silu")
    filled.add(kernel, origin, verdict(kernel, timings=(timing(1.2),)))
    done = export(filled, tmp_path / "set", Choice(test=["elementwise"]))
    configs = {name.partition("/")[0] for name in done.files}
    assert configs == {"attempts", *VIEWS}
    for config in configs:
        found = datasets.load_dataset(
            str(tmp_path / "set"), config, cache_dir=str(tmp_path / "cache")
        )
        for split, name in (("train", "train"), ("test", "test")):
            wanted = done.files.get(f"{config}/{name}.parquet", 0)
            assert (len(found[split]) if split in found else 0) == wanted
    chats = datasets.load_dataset(
        str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert set(chats.column_names) == set(VIEWS["sft"].schema)


@pytest.mark.slow
@pytest.mark.parametrize("view", ["sft", "repair", "explain", "completion"])
def test_mlx_lm_reads_a_view_as_it_stands(filled: Filled, tmp_path: Path, view: str) -> None:
    reading = pytest.importorskip("mlx_lm.tuner.datasets")
    from small_trainees import tokenizer_of

    fill_every_view(filled)
    export(filled, tmp_path)
    known = rows(tmp_path, view)
    config = SimpleNamespace(mask_prompt=True)
    train, _, _ = reading.load_local_dataset(tmp_path / view, tokenizer_of(str(known)), config)
    kind = "CompletionsDataset" if view == "completion" else "ChatDataset"
    assert type(train).__name__ == kind
    assert len(train) == len(known) > 0
    for row in train:
        tokens, prompt = train.process(row)
        assert 0 < prompt < len(tokens)


def test_the_card_is_one_that_a_hub_accepts(filled: Filled, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    kernel, origin = template_kernel("softmax")
    filled.add(kernel, origin)
    export(filled, tmp_path)
    card = hub.DatasetCard.load(tmp_path / "README.md")
    assert card.data.license == "mit"
    assert card.data.task_categories == ["text-generation"]
    assert card.data.size_categories == ["n<1K"]
    assert {c["config_name"] for c in card.data.configs} >= {"attempts", "sft", "completion"}
    assert "load_dataset(" in card.text
    assert json.loads((tmp_path / "metadata.json").read_text())["canary"] in card.text


def test_chats_ask_in_the_form_that_is_chosen(
    filled: Filled, related: dict[str, Any], tmp_path: Path
) -> None:
    asked = {}
    for name, form in FORMS.items():
        export(filled, tmp_path / name, Choice(prompt=form), views=("sft", "repair"))
        for view in ("sft", "repair"):
            chats = [row["messages"] for row in rows(tmp_path / name, view)]
            assert all("/*kernel" in chat[-1]["content"] for chat in chats)
            asked[name, view] = [len(chat[0]["content"]) for chat in chats]
    for view in ("sft", "repair"):
        assert max(asked["compact", view]) < min(asked["full", view]) / 2


def test_what_was_not_as_fast_as_asked_answers_nowhere(filled: Filled, tmp_path: Path) -> None:
    right, origin = template_kernel("softmax")
    broken = variant(render(right), "// --- body ---", "// --- body ---\nuint z = 1;")
    filled.add(right, origin, verdict(right, Status.CORRECT, low=0.8))
    filled.add(broken, MUTATE, verdict(broken, Status.WRONG_RESULT), parent=right.hash)
    fast, _ = template_kernel("silu")
    filled.add(fast, origin)
    every = export(filled, tmp_path / "every")
    assert every.files["repair/train.jsonl"] == 1
    faster = export(filled, tmp_path / "faster", Choice(statuses=[Status.FASTER]))
    assert not [name for name in faster.files if name.startswith("repair/")]
    assert "No rows for the view repair (1 no kernel that is taught one step away)." in faster.notes
    assert not [note for note in every.notes if "view repair" in note]


def test_rows_that_no_export_wrote_are_not_taken_away(
    filled: Filled, related: dict[str, Any], tmp_path: Path
) -> None:
    export(filled, tmp_path)
    export(filled, tmp_path)
    for name in ("valid.jsonl", "sft/test.parquet", "README.md", "metadata.json"):
        own = tmp_path / name
        own.write_bytes(b'{"my": "row"}\n')
        with pytest.raises(UsageError, match=f"no export wrote .*{name}; choose another folder"):
            export(filled, tmp_path)
        assert own.read_bytes() == b'{"my": "row"}\n'
        own.unlink()


def test_a_file_that_is_being_written_is_not_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    real = os.replace

    def busy(draft: Path, path: Path) -> None:
        remove_abandoned(tmp_path)
        done.append(draft)
        real(draft, path)

    monkeypatch.setattr(os, "replace", busy)
    with replacing(tmp_path / "rows.jsonl") as file:
        file.write(b"row")
    assert done
    assert (tmp_path / "rows.jsonl").read_bytes() == b"row"
