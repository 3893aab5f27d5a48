"""What other programs look for under the name of the distribution: the taskset of `verifiers`."""

from foundry.reward.environment import KernelEnv, KernelTaskset, OneAnswer

__all__ = ["KernelTaskset", "KernelEnv", "OneAnswer"]
