"""A model with kernels against the same model without: tokens, scores, throughput, memory.

1. Every prompt is decoded greedily, plain and with kernels.
2. Where kernels answered and tokens are the same, prefill and decoding are timed in turns; which
   side begins changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

from pydantic import Field

from foundry.errors import UsageError
from foundry.judge.verdict import Record
from foundry.models.comparing import PromptComparison, Throughput, compared, throughput
from foundry.models.conditions import ValidationConditions, ValidationPlan, conditions
from foundry.models.decoding import Decoded, decode
from foundry.models.loading import LoadedModel
from foundry.models.package import hash_of


class ModelValidation(Record):
    """What came of one model with the kernels of one catalog in one mode."""

    model: str
    family: str
    weights_hash: str
    mode: str
    catalog: str
    catalog_version: str
    catalog_hash: str
    conditions: ValidationConditions
    patterns: dict[str, int] = Field(default_factory=dict)
    """Layers by pattern."""
    left: dict[str, str] = Field(default_factory=dict)
    """What was left alone, and why."""
    kernels_ran: dict[str, int] = Field(default_factory=dict)
    """Kinds of calls that kernels answered, by op; empty: none did, and nothing was timed."""
    kernels_idle: dict[str, str] = Field(default_factory=dict)
    """By op that layers asked for and no kernel ever answered: why, of most kinds of calls."""
    prompts: tuple[PromptComparison, ...] = ()
    prefill: Throughput | None = None
    decoding: Throughput | None = None
    plain_bytes: int = 0
    """Most memory that MLX held at once."""
    kernels_bytes: int = 0

    @property
    def is_same(self) -> bool:
        """Whether every token of every prompt is the same."""
        return all(prompt.is_same for prompt in self.prompts)

    @property
    def identical(self) -> tuple[int, int]:
        """Tokens before the first that differs, and tokens, over all prompts."""
        return sum(p.identical for p in self.prompts), sum(p.tokens for p in self.prompts)


def validate(loaded: LoadedModel, package: ModuleType, plan: ValidationPlan) -> ModelValidation:
    """Decode with kernels and without, compare, and time.

    Raises:
        UsageError: A pattern that there is not; said before anything is decoded.
    """
    model = loaded.model
    with _patched(package, model, plan):
        pass
    under = conditions(loaded, package, plan)
    plain, plain_bytes = _decoded(loaded, plan)
    # What answered another model, or in another mode, is no news of this one.
    package.dispatch.forget_decisions()
    with _patched(package, model, plan) as report:
        kernels, kernels_bytes = _decoded(loaded, plan)
    answered = _answered(package)
    ran = {op: count for op, count in answered.items() if count}
    idle = {op: _why_idle(package.FUNCTIONS[op]) for op, count in answered.items() if not count}
    prompts = tuple(compared(a, b) for a, b in zip(plain, kernels, strict=True))
    prefill, decoding = (None, None)
    if plan.pairs and ran and all(p.is_same for p in prompts):
        prefill, decoding = _timed(loaded, package, plan)
    return ModelValidation(
        model=loaded.name,
        family=loaded.family,
        weights_hash=loaded.weights_hash,
        mode=plan.mode,
        catalog=package.__name__,
        catalog_version=package.__version__,
        catalog_hash=hash_of(package),
        conditions=under,
        patterns=report.counts,
        left=dict(report.left),
        kernels_ran=ran,
        kernels_idle=idle,
        prompts=prompts,
        prefill=prefill,
        decoding=decoding,
        plain_bytes=plain_bytes,
        kernels_bytes=kernels_bytes,
    )


def _decoded(loaded: LoadedModel, plan: ValidationPlan) -> tuple[list[Decoded], int]:
    import mlx.core as mx

    mx.reset_peak_memory()
    found = [decode(loaded.model, prompt, plan.tokens) for prompt in loaded.prompts]
    return found, int(mx.get_peak_memory())


@contextmanager
def _patched(package: ModuleType, model: Any, plan: ValidationPlan) -> Iterator[Any]:
    with ExitStack() as block:
        made = package.patched(model, plan.mode, only=plan.only, without=plan.without)
        try:
            report = block.enter_context(made)
        except ValueError as error:
            raise UsageError(str(error)) from error
        yield report


def _answered(package: ModuleType) -> Mapping[str, int]:
    """Kinds of calls that kernels answered, by op that was asked for."""
    return {
        name: sum(run is not None for run in function.kernels_kept.values())
        for name, function in package.FUNCTIONS.items()
        if function.kernels_kept
    }


def _why_idle(function: Any) -> str:
    """Why no kernel of an op answered; packages of earlier versions do not say."""
    reasons = function.idle().most_common(1) if hasattr(function, "idle") else []
    return str(reasons[0][0]) if reasons else "no call is one that the op takes"


def _timed(
    loaded: LoadedModel, package: ModuleType, plan: ValidationPlan
) -> tuple[Throughput, Throughput]:
    prompt = max(loaded.prompts, key=len)
    times: dict[bool, list[Decoded]] = {False: [], True: []}
    for pair in range(plan.pairs):
        for with_kernels in (False, True) if pair % 2 == 0 else (True, False):
            times[with_kernels].append(_once(loaded, package, plan, prompt, with_kernels))
    plain, kernels = times[False], times[True]
    return (
        throughput(len(prompt), [d.prefill_s for d in plain], [d.prefill_s for d in kernels]),
        throughput(plan.tokens - 1, [d.decode_s for d in plain], [d.decode_s for d in kernels]),
    )


def _once(
    loaded: LoadedModel,
    package: ModuleType,
    plan: ValidationPlan,
    prompt: tuple[int, ...],
    with_kernels: bool,
) -> Decoded:
    if not with_kernels:
        return decode(loaded.model, prompt, plan.tokens)
    with _patched(package, loaded.model, plan):
        return decode(loaded.model, prompt, plan.tokens)
