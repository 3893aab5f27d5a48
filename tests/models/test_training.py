"""`foundry train`: the commands of mlx-lm, what is refused before, and a training of two steps."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mlx_lm")

from saved_model import saved

from foundry.errors import FoundryError, UsageError
from foundry.training import (
    FittingRows,
    TrainingPlan,
    blas,
    commands,
    fit,
    lengths,
    splits,
    train,
    write_schedule,
)


def chats(folder: Path, **rows: int) -> Path:
    """Splits of short chats."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in rows.items():
        lines = [
            json.dumps(
                {
                    "messages": [
                        {"role": "system", "content": "Write Metal."},
                        {"role": "user", "content": f"Add {n} to x."},
                        {"role": "assistant", "content": f"out[i] = x[i] + {n};" * 3},
                    ],
                    "op": "add",
                }
            )
            for n in range(count)
        ]
        (folder / f"{split}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_the_commands_are_those_of_mlx_lm(tmp_path: Path) -> None:
    plan = TrainingPlan(Path("sft"), "a model", Path("out"), iterations=9, batch=2, layers=4)
    alone = commands(plan, ("train",))
    (line,) = map(shlex.join, alone)
    assert line == (
        f"{sys.executable} -m mlx_lm lora --model 'a model' --data sft --adapter-path out "
        "--mask-prompt --batch-size 2 --max-seq-length 2048 --num-layers 4 --seed 0 --train "
        "--iters 9 --config out/schedule.json --save-every 2 --grad-checkpoint"
    )
    both = commands(plan, ("train", "test"))
    assert both[:1] == alone
    assert both[1][-1] == "--test"
    (further, _) = commands(replace(plan, resume=Path("out/a.safetensors")), ("train", "test"))
    assert further == (*alone[0], "--resume-adapter-file", "out/a.safetensors")
    (faster,) = commands(replace(plan, checkpoint=False), ("train",))
    assert (*faster, "--grad-checkpoint") == alone[0]


def test_the_learning_rate_rises_and_falls(tmp_path: Path) -> None:
    from mlx_lm.tuner.utils import build_schedule

    plan = TrainingPlan(tmp_path, "m", tmp_path / "out", iterations=200, learning_rate=1e-3)
    write_schedule(plan)
    written = json.loads((tmp_path / "out" / "schedule.json").read_text())
    rate = build_schedule(written["lr_schedule"])
    found = [float(rate(step)) for step in (0, 5, 10, 100, 199)]
    assert found[0] < found[1] < found[2] == pytest.approx(1e-3)
    assert found[2] > found[3] > found[4] == pytest.approx(1e-4, rel=0.01)


def test_who_trains_by_a_plain_blas_is_told_of_a_tuned_one() -> None:
    assert "LD_PRELOAD=libopenblas.so.0" in str(blas.advice("linux", "cpu", ""))
    assert blas.advice("linux", "cpu", "/usr/lib/libopenblas.so.0") is None
    assert blas.advice("linux", "gpu", "") is None
    assert blas.advice("darwin", "cpu", "") is None


def test_a_folder_without_rows_to_train_on_is_refused(tmp_path: Path) -> None:
    chats(tmp_path, valid=1)
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"no rows in train.jsonl; export them"):
        splits(tmp_path)
    assert splits(chats(tmp_path, train=2)) == ("train", "valid")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("model"))


def test_what_leaves_no_answer_to_learn_is_refused_before_anything_runs(
    tmp_path: Path, model: Path
) -> None:
    data = chats(tmp_path / "sft", train=3, test=2)
    found = lengths(data, "train", str(model), 40)
    assert (found.rows, found.longest, found.longest_prompt) == (3, 77, 23)
    assert (found.cut, found.without_answer) == (3, 0)
    ran: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> int:
        ran.append(command)
        return len(ran) - 1

    said: list[str] = []
    plan = TrainingPlan(data, str(model), tmp_path / "adapter", most_tokens=20)
    with pytest.raises(UsageError, match=r"3 of 3 prompts .* NaN; .*--max-tokens 77"):
        train(plan, said.append, run)
    assert not ran
    with pytest.raises(FoundryError, match="--test ended with exit code 1"):
        train(replace(plan, most_tokens=77), said.append, run)
    assert said[-2:] == [shlex.join(command) for command in ran]
    assert said[0] == "train: 3 rows of up to 77 tokens, 0 of them cut"


def test_rows_that_are_read_whole_are_gathered_from_several_views(
    tmp_path: Path, model: Path
) -> None:
    sft = chats(tmp_path / "sft", train=3, valid=1)
    repair = chats(tmp_path / "repair", train=2, test=1)
    long = (repair / "train.jsonl").read_text().replace("Write Metal.", "Write Metal. " * 40)
    (repair / "train.jsonl").write_text(long)
    out = tmp_path / "out"
    chats(out, valid=5, test=1)  # of an earlier time
    found = fit([sft, repair], str(model), 100, out)
    assert found == {
        "train": FittingRows(3, 2, 77),
        "valid": FittingRows(1, 0, 77),
        "test": FittingRows(1, 0, 77),
    }
    assert (out / "train.jsonl").read_text() == (sft / "train.jsonl").read_text()
    assert lengths(out, "train", str(model), 100).cut == 0
    assert fit([repair], str(model), 10_000, out)["train"].kept == 2
    assert splits(out) == ("train", "test")
    with pytest.raises(UsageError, match="no row of 3 fits 20 tokens; the shortest has 77"):
        fit([sft], str(model), 20, out)
    with pytest.raises(UsageError, match="holds the rows that are read"):
        fit([sft], str(model), 100, sft)
    exported = {"files": {"repair/train.jsonl": {"rows": 2, "sha256": "0"}}}
    (tmp_path / "metadata.json").write_text(json.dumps(exported))
    with pytest.raises(UsageError, match=r"repair.train.jsonl is of an export"):
        fit([sft], str(model), 100, repair)
    assert (repair / "train.jsonl").read_text() == long


def test_a_short_training_meets_every_op_in_its_shortest_rows(tmp_path: Path, model: Path) -> None:
    row = json.loads((chats(tmp_path / "sft", train=1) / "train.jsonl").read_text())
    rows = []
    for op, task, words in [("exp", "write", 9), ("exp", "write", 1), ("exp", "write", 5),
                            ("exp", "improve", 30), ("relu", "write", 20)]:  # fmt: skip
        asked = {"role": "user", "content": "Write Metal. " * words}
        rows.append(row | {"messages": [asked, row["messages"][-1]], "op": op, "task": task})
    (tmp_path / "sft" / "train.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    out = tmp_path / "out"
    assert fit([tmp_path / "sft"], str(model), 10_000, out, per_op=2)["train"].left_out == 1
    kept = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert kept == rows[1:]


def test_a_line_is_what_ends_in_a_line_feed_and_nothing_else(tmp_path: Path, model: Path) -> None:
    data = chats(tmp_path / "sft", train=2)
    row = json.loads((data / "train.jsonl").read_text().split("\n")[0])
    row["messages"][0]["content"] += " \u2028 \x85"
    line = json.dumps(row, ensure_ascii=False) + "\n"
    (data / "train.jsonl").write_text(line * 2, "utf-8")
    fit([data], str(model), 10_000, tmp_path / "out")
    assert (tmp_path / "out" / "train.jsonl").read_text("utf-8") == line * 2


@pytest.mark.slow
def test_an_adapter_is_trained_and_its_loss_is_a_number(tmp_path: Path, model: Path) -> None:
    import mlx.core as mx

    data = chats(tmp_path / "sft", train=6, valid=2, test=2)
    words = ["train", str(data), "--model", str(model), "-o", "adapter", "--iterations", "4"]
    done = subprocess.run(
        [sys.executable, "-m", "foundry", *words, "--max-tokens", "128", "--batch", "2"],
        cwd=tmp_path,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mlx_lm lora --model" in done.stderr
    assert "Test loss" in done.stdout
    assert "nan" not in done.stdout
    weights = mx.load(str(tmp_path / "adapter" / "adapters.safetensors"))
    moved = [w for name, w in weights.items() if name.endswith("lora_b")]
    assert moved
    assert all(mx.abs(w).max().item() > 0 for w in moved)
    assert done.stdout.rstrip().endswith("adapter")
