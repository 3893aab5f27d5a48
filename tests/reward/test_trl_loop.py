"""TRL's own loop with the reward in it, on a model of a few thousand weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of three large libraries
]
pytest.importorskip("trl", reason="make test-trainers installs it")

from foundry.reward import KernelReward, RewardOptions, reward_function, tasks  # noqa: E402
from foundry.reward.score import Earned  # noqa: E402
from templates import registry, space  # noqa: E402
from templates.render import render  # noqa: E402

OP = "silu"


class Watched(KernelReward):
    """Keeps what it is asked and what it answers."""

    def __init__(self, options: RewardOptions, instead: str | None = None) -> None:
        super().__init__(options)
        self._instead = instead
        self.seen: list[Earned] = []

    def scores(self, answers: Any, ops: Any, dtypes: Any = None) -> list[Earned]:
        """Half of the answers are what stands in for them, where anything does."""
        if self._instead is not None:
            answers = [a if i % 2 else self._instead for i, a in enumerate(answers)]
        found = super().scores(answers, ops, dtypes)
        self.seen += found
        return found


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    texts = [row["prompt"][1]["content"] for row in tasks([OP])]
    special = ["<unk>", "<pad>", "<eos>"]
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=300, special_tokens=special))
    found = PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>"
    )
    found.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    return found


@pytest.fixture
def model(tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=8192,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.eos_token_id,
        )
    )


@pytest.fixture
def rewards() -> Iterator[list[Watched]]:
    made: list[Watched] = []
    yield made
    for reward in made:
        reward.close()


def trained(model: Any, tokenizer: Any, reward: Watched, folder: Path) -> list[dict[str, float]]:
    """What two steps of GRPO logged."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=reward_function(reward),
        train_dataset=Dataset.from_list(tasks([OP]) * 4),
        args=GRPOConfig(
            output_dir=str(folder),
            max_steps=2,
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=8,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
        ),
    )
    trainer.train()
    return [entry for entry in trainer.state.log_history if "reward" in entry]


def test_rubbish_earns_nothing_and_ends_no_training(
    model: Any, tokenizer: Any, rewards: list[Watched], tmp_path: Path
) -> None:
    rewards.append(Watched(RewardOptions(device="cpu", workers=1)))
    log = trained(model, tokenizer, rewards[0], tmp_path)
    assert len(log) == 2
    assert [entry["reward"] for entry in log] == [0.0, 0.0]
    assert all(one.reason for one in rewards[0].seen)


def test_kernels_among_rubbish_move_the_weights(
    model: Any, tokenizer: Any, rewards: list[Watched], tmp_path: Path
) -> None:
    template = registry.get("silu_elements")
    rewards.append(
        Watched(RewardOptions(device="cpu", workers=1), render(template, space.default(template)))
    )
    log = trained(model, tokenizer, rewards[0], tmp_path)
    assert {one.value for one in rewards[0].seen} == {0.0, 1.0}
    assert all(entry["reward"] == pytest.approx(0.5) for entry in log)
    assert all(math.isfinite(entry["grad_norm"]) and entry["grad_norm"] > 0 for entry in log)
