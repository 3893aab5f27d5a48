"""TRL's own trainers take the views as `datasets` loads them: one step on a tiny model."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of three large libraries
]
pytest.importorskip("trl", reason="make test-trainers installs it")

from dataset_examples import Filled, fill_every_view  # noqa: E402
from small_trainees import llama_for, tokenizer_of  # noqa: E402

from foundry.datasets import export_dataset  # noqa: E402

NOW = datetime(2026, 11, 30, tzinfo=UTC)
STEP = {
    "max_steps": 1, "per_device_train_batch_size": 1, "logging_steps": 1, "save_strategy": "no",
    "report_to": [], "use_cpu": True, "bf16": False, "max_length": None,
}  # fmt: skip


def loaded(filled: Filled, folder: Path, view: str) -> Any:
    from datasets import load_dataset

    fill_every_view(filled)
    export_dataset(
        list(filled.store.evaluations()), filled.store.origins(), folder / "set", now=NOW
    )
    return load_dataset(str(folder / "set"), view, split="train", cache_dir=str(folder / "cache"))


def loss_of(trainer: Any) -> float:
    """Of the one step."""
    trainer.train()
    return next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)


@pytest.mark.parametrize("view", ["sft", "repair", "explain", "completion"])
def test_a_view_is_taught(filled: Filled, tmp_path: Path, view: str) -> None:
    from trl import SFTConfig, SFTTrainer

    rows = loaded(filled, tmp_path, view)
    tokenizer = tokenizer_of(str(rows[0]))
    trainer = SFTTrainer(
        model=llama_for(tokenizer),
        processing_class=tokenizer,
        train_dataset=rows,
        args=SFTConfig(output_dir=str(tmp_path / "out"), **STEP),
    )
    assert len(trainer.train_dataset) == len(rows) > 0
    assert 0 < loss_of(trainer) < math.inf


def test_preferences_are_taught(filled: Filled, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    rows = loaded(filled, tmp_path, "preference")
    tokenizer = tokenizer_of(str(rows[0]))
    model = llama_for(tokenizer)
    trainer = DPOTrainer(
        model=model,
        ref_model=copy.deepcopy(model),
        processing_class=tokenizer,
        train_dataset=rows,
        args=DPOConfig(output_dir=str(tmp_path / "out"), **STEP),
    )
    assert len(trainer.train_dataset) == len(rows) > 0
    assert loss_of(trainer) == pytest.approx(math.log(2), abs=1e-3), "nothing is preferred yet"
