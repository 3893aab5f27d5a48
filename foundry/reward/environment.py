"""The reward as an environment of the `verifiers` package: `load_environment()`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from foundry.errors import EnvironmentUnusable
from foundry.reward.asking import tasks
from foundry.reward.kernels import KernelReward
from foundry.reward.options import RewardOptions


def load_environment(
    ops: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float32",),
    hold_out: Collection[str] = (),
    options: RewardOptions | KernelReward | None = None,
) -> Any:
    """A single-turn environment: a row asks for a kernel, and the judge scores the answer.

    Ops that are held out make up its evaluation set.

    Args:
        ops: Names; None: every op.
        dtypes: Element types.
        hold_out: Ops that are never trained on.
        options: What counts; or a reward whose workers are to be used.

    Raises:
        EnvironmentUnusable: `verifiers` is not installed, or the device does not work here.
        UsageError: An unknown op.
    """
    try:
        import verifiers
        from datasets import Dataset
    except ImportError as error:
        raise EnvironmentUnusable(
            "The environment needs the package verifiers, which is not installed.",
            "Install it: pip install verifiers.",
        ) from error
    reward = options if isinstance(options, KernelReward) else KernelReward(options)

    async def kernel_reward(completion: Any, info: dict[str, Any], state: Any, **_: Any) -> float:
        score = await asyncio.to_thread(reward.score, completion, info["op"], info["dtype"])
        state["kernel_status"], state["kernel_reason"] = score.status, score.reason
        return score.value

    asked = tasks(ops, dtypes, hold_out)
    held = tasks(tuple(hold_out), dtypes) if hold_out else asked
    return verifiers.SingleTurnEnv(
        dataset=Dataset.from_list([_row(row) for row in asked]),
        eval_dataset=Dataset.from_list([_row(row) for row in held]),
        rubric=verifiers.Rubric(funcs=[kernel_reward]),
    )


def _row(task: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": task["prompt"], "info": {"op": task["op"], "dtype": task["dtype"]}}
