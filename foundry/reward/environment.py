"""The reward as a taskset of the package `verifiers` (0.4 and later): `vf-eval metal-foundry`.

A task asks for a kernel of one op, as a search does; one answer ends it, and the judge scores that.
Nothing of an answer runs anywhere but in the judge's sandbox, so that no other box is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Literal

from foundry.errors import EnvironmentUnusable
from foundry.reward.asking import tasks
from foundry.reward.kernels import KernelReward
from foundry.reward.options import RewardOptions, Shares, Speed

try:
    import openai
    import verifiers.v1 as vf
except ImportError as error:
    raise EnvironmentUnusable(
        "The environment needs the package verifiers, 0.4 or later, which is not installed.",
        "Install it: pip install 'metal-foundry[verifiers]'.",
    ) from error

TASKSET = "metal-foundry"
"""What `verifiers` knows it by: the name of the distribution."""


class KernelData(vf.TaskData):
    """What a task asks for."""

    op: str
    dtype: str


class KernelTaskConfig(vf.TaskConfig):
    """What counts in the reward: as `RewardOptions` has it."""

    device: str = "auto"
    workers: int | None = None
    speed: Speed = "none"
    chip: str = "m4-max"
    limit_s: float = 120.0
    build_limit_s: float = 20.0
    run_limit_s: float = 4.0
    shares: Shares = Shares()

    def options(self) -> RewardOptions:
        """The same as one value."""
        return RewardOptions(**{f.name: getattr(self, f.name) for f in fields(RewardOptions)})


class KernelTask(vf.Task[KernelData, vf.State, KernelTaskConfig]):
    """One question and the score of its answer."""

    @vf.reward
    async def kernel(self, trace: Any) -> float:
        """From 0 to 1; the trace's `info` keeps the judge's status and the reason."""
        reward = _reward(self.config.options())
        score = await asyncio.to_thread(
            reward.score, trace.last_reply, self.data.op, self.data.dtype
        )
        trace.info |= {"kernel_status": score.status, "kernel_reason": score.reason}
        return score.value


class KernelTasksetConfig(vf.TasksetConfig):
    """Which ops are asked for."""

    task: KernelTaskConfig = KernelTaskConfig()
    ops: list[str] = []
    """Empty: every op."""
    dtypes: list[str] = ["float32"]
    hold_out: list[str] = []
    """Ops that are never trained on."""
    split: Literal["train", "test"] = "train"
    """`test`: the ops that are held out, alone; where none are, there is no task."""
    prompt: Literal["full", "compact"] = "full"
    """How much a prompt explains: as the model was trained."""


class KernelTaskset(vf.Taskset[KernelTask, KernelTasksetConfig]):
    """Kernels to be written: a task per op and element type."""

    def load(self) -> Iterable[KernelTask]:
        """Every task of the split."""
        config = self.config
        held = config.split == "test"
        ops = config.hold_out if held else config.ops
        if held and not ops:
            return
        left_out = () if held else config.hold_out
        options = config.task.options()
        chip = options.chip if options.speed == "predicted" else None
        for row in tasks(ops or None, config.dtypes, left_out, config.prompt, chip):
            system, user = (message["content"] for message in row["prompt"])
            name = f"{row['op']}/{row['dtype']}"
            data = KernelData(
                id=name,
                name=name,
                op=row["op"],
                dtype=row["dtype"],
                system_prompt=system,
                prompt=user,
            )
            yield KernelTask(data, config.task)


class OneAnswer(vf.Harness[vf.HarnessConfig]):
    """Asks the model once: no tools, no program, no second turn."""

    APPENDS_SYSTEM_PROMPT = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: Any,
        trace: Any,
        runtime: Any,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
        tool_interception_url: str | None = None,
    ) -> Any:
        """Send the question; the answer is read off the wire by `verifiers` itself."""
        system, user = self.resolve_prompt(data)
        messages: Any = [
            {"role": "system", "content": system},
            {"role": "user", "content": user},
        ]
        async with openai.AsyncOpenAI(base_url=endpoint, api_key=secret, max_retries=0) as client:
            try:
                await client.chat.completions.create(model=ctx.model, messages=messages)
            except openai.APIError as error:
                return vf.ProgramResult(1, "", f"the model did not answer: {error}")
        return vf.ProgramResult(0, "", "")


class KernelEnvConfig(vf.SingleAgentEnvConfig):
    """One agent, on this machine: it runs nothing."""

    agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class KernelEnv(vf.SingleAgentEnv, vf.Env[KernelEnvConfig]):
    """The environment of these tasks."""


def load_environment(
    ops: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float32",),
    hold_out: Collection[str] = (),
    options: RewardOptions | None = None,
    split: Literal["train", "test"] = "train",
    prompt: Literal["full", "compact"] = "full",
) -> KernelEnv:
    """The environment from Python; `vf-eval metal-foundry --env.taskset.ops ...` is the same.

    Args:
        ops: Names; None: every op.
        dtypes: Element types.
        hold_out: Ops that are never trained on.
        options: What counts.
        split: `test` asks for the ops that are held out, alone.
        prompt: How much a prompt explains; `compact` for a model that was trained so.

    Raises:
        UsageError: An unknown op; it is raised when the tasks are read.
    """
    asked = options or RewardOptions()
    taskset = KernelTasksetConfig(
        id=TASKSET,
        ops=list(ops or ()),
        dtypes=list(dtypes),
        hold_out=list(hold_out),
        split=split,
        prompt=prompt,
        task=KernelTaskConfig(**{f.name: getattr(asked, f.name) for f in fields(asked)}),
    )
    return KernelEnv(KernelEnvConfig(taskset=taskset))


@cache
def _reward(options: RewardOptions) -> KernelReward:
    """Workers that all tasks of a process share; they end with it."""
    return KernelReward(options)
