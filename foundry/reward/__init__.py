"""A model's answers scored by the judge: rewards for trainers of language models.

1. `options` says what counts; `score` is what one answer earned, and why.
2. `kernels.KernelReward` reads a kernel out of an answer, has it judged in the sandbox, and scores
   it; many at once, within a time limit. Whatever it is given, it answers and does not raise.
3. `asking.tasks` are the prompts that go with it: what a search would ask.
4. `trl` and `environment` hand it to TRL's trainers and to the `verifiers` package.

Nothing that comes back tells hidden sizes, drawn inputs or seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foundry.reward.asking import tasks
    from foundry.reward.environment import load_environment
    from foundry.reward.kernels import KernelReward
    from foundry.reward.options import RewardOptions
    from foundry.reward.score import Earned
    from foundry.reward.trl import reward_function

__all__ = [
    "KernelReward",
    "RewardOptions",
    "Earned",
    "load_environment",
    "reward_function",
    "tasks",
]
_HOMES = {
    "KernelReward": "kernels",
    "RewardOptions": "options",
    "Earned": "score",
    "load_environment": "environment",
    "reward_function": "trl",
    "tasks": "asking",
}


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'foundry.reward' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"foundry.reward.{_HOMES[name]}"), name)
