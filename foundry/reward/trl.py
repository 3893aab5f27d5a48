"""The reward as TRL's trainers call one: `GRPOTrainer(reward_funcs=reward_function(), ...)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foundry.reward.kernels import KernelReward
from foundry.reward.options import RewardOptions


def reward_function(
    options: RewardOptions | KernelReward | None = None,
) -> Callable[..., list[float]]:
    """A reward function for rows that have `op`, and `dtype` where it is not float32.

    Its workers end with the process; hand it a `KernelReward` of your own to end them sooner.

    Raises:
        EnvironmentUnusable: The device does not work here.
    """
    reward = options if isinstance(options, KernelReward) else KernelReward(options)

    def kernel_reward(
        completions: Sequence[object],
        op: Sequence[object] = (),
        dtype: Sequence[object] | None = None,
        **others: object,
    ) -> list[float]:
        """Rewards from 0 to 1 of completions; the trainer's other columns are not looked at."""
        scores = reward.scores(completions, op, dtype)
        log = others.get("log_extra")
        if callable(log):
            log("kernel_status", [one.status for one in scores])
            log("kernel_reason", [one.reason for one in scores])
        return [one.value for one in scores]

    return kernel_reward
