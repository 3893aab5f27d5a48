"""The reward: answers in, scores out, by the judge in its sandbox; no answer makes it raise."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from foundry.errors import FoundryError, UsageError
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.judge import Judge
from foundry.judge.options import JudgeOptions
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel
from foundry.prompts.answer import Malformed, extract
from foundry.reward.options import RewardOptions
from foundry.reward.predicted import Forecaster
from foundry.reward.score import Earned, nothing, score
from ops import registry
from ops.spec import Op

_log = logging.getLogger(__name__)
_MOST_NESTED = 8
"""Lists in lists that are looked into: a list may hold itself."""


@dataclass(frozen=True)
class _Question:
    """Texts as they are; anything else is None, since it may not even be printed or compared."""

    answer: str | None
    op: str | None
    dtype: str | None


class KernelReward:
    """Scores answers. Close it, or use it in a `with` block; safe to use from several threads.
    A process that was forked off needs one of its own.

    Args:
        options: What counts, and how long it may take.

    Raises:
        EnvironmentUnusable: The device does not work here: found now, not in a training loop.
        UsageError: An unknown device or chip.
    """

    def __init__(self, options: RewardOptions | None = None) -> None:
        self._options = options or RewardOptions()
        workers = self._options.workers or os.cpu_count() or 1
        self._pool = WorkerPool(self._options.device, workers)
        self._pool.device()
        predicted = self._options.speed == "predicted"
        self._judge = Judge(
            self._pool,
            JudgeOptions(
                timed=self._options.speed == "measured",
                # Prompts name the size that is predicted: a kernel could do nothing there.
                proves_bench=predicted,
                build_limit_s=self._options.build_limit_s,
                run_limit_s=self._options.run_limit_s,
            ),
        )
        seed, chip = self._judge.seed, self._options.chip
        self._forecaster = Forecaster(self._pool, chip, seed) if predicted else None
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="reward")
        self._is_closed, self._process = False, os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; a second call does nothing. What is asked then earns 0."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.close()

    def score(self, answer: object, op: object, dtype: object = "float32") -> Earned:
        """What one answer earned.

        Args:
            answer: What a model said: a text, or the messages of a chat; anything else earns 0.
            op: Name of the op that was asked for.
            dtype: Element type that was asked for.
        """
        return self.scores([answer], [op], [dtype])[0]

    def scores(
        self,
        answers: Sequence[object],
        ops: Sequence[object],
        dtypes: Sequence[object] | None = None,
    ) -> list[Earned]:
        """What each of several answers earned, judged several at a time, within `limit_s`.

        Equal answers to one question are judged once.

        Args:
            answers: As `score` takes them; what is no list of answers is one answer.
            ops: The op of each.
            dtypes: The element type of each; float32 where none is given. A table fills in None
                for rows that have no such column.
        """
        until = time.monotonic() + self._options.limit_s
        given, named, typed = _many(answers), _many(ops), _many(dtypes)
        asked = [
            _Question(text_of(answer), _at(named, i), _at(typed, i, absent="float32"))
            for i, answer in enumerate(given if isinstance(given, list) else [given])
        ]
        waiting = {one: self._begun(one) for one in dict.fromkeys(asked)}
        return [self._landed(waiting[one], until) for one in asked]

    def _begun(self, asked: _Question) -> Future[Earned]:
        if not self._is_over():
            try:
                return self._threads.submit(self._scored, asked)
            except RuntimeError:
                pass  # closed by another thread, just now
        _log.warning("an answer earns nothing: %s", self._is_over())
        over: Future[Earned] = Future()
        over.cancel()
        return over

    def _is_over(self) -> str | None:
        """Why nothing can be judged any more."""
        if os.getpid() != self._process:
            return "the reward was made in another process, and its threads stayed there"
        return "the reward was closed" if self._is_closed else None

    def _landed(self, future: Future[Earned], until: float) -> Earned:
        try:
            return future.result(max(0.0, until - time.monotonic()))
        except (Late, CancelledError):  # equal answers wait for one future, and one cancels it
            future.cancel()
            return nothing(self._is_over() or f"not judged within {self._options.limit_s:g} s")

    def _scored(self, asked: _Question) -> Earned:
        try:
            return self._judged(asked)
        except FoundryError as error:
            return nothing(str(error))
        except Exception as error:
            # A training run of days must not end here; whoever reads its log must see it.
            _log.warning("an answer could not be scored", exc_info=True)
            return nothing(f"the answer could not be scored: {type(error).__name__}")

    def _judged(self, asked: _Question) -> Earned:
        if asked.answer is None:
            return nothing("the answer is no text")
        op, dtype = _question(asked.op, asked.dtype)
        found = extract(asked.answer, op)
        if isinstance(found, Malformed):
            where = f" (line {found.line})" if found.line else ""
            return nothing(f"{found.reason}{where}")
        evaluation = self._judge.evaluate(found.text, op, dtype)
        speedup = self._speedup(evaluation, found.kernel, op)
        timed = self._options.speed != "none"
        return score(evaluation, self._options.shares, speedup, timed=timed)

    def _speedup(self, evaluation: Evaluation, kernel: Kernel, op: Op) -> float | None:
        if not evaluation.status.passed or self._options.speed == "none":
            return None
        if self._forecaster is not None:
            return self._forecaster.speedup(kernel, op, evaluation.dtype)
        return evaluation.score


def _question(name: str | None, dtype: str | None) -> tuple[Op, str]:
    if name is None:
        raise UsageError("an op is asked for by its name; the row has none")
    op = registry.get(name)
    if dtype not in op.dtypes:
        raise UsageError(f"{name} has no dtype {dtype!r}; it has {', '.join(op.dtypes)}")
    return op, dtype


def _many(values: object) -> object:
    """As a list what may be gone through; a text, a message or anything else as it is."""
    if isinstance(values, str | bytes | Mapping):
        return values
    try:
        return list(values)  # type: ignore[call-overload]
    except Exception:
        return values


def _at(values: object, place: int, absent: str | None = None) -> str | None:
    """A text in what should be a list as long as the answers, or one for all; None if it is not."""
    if isinstance(values, list):
        if place >= len(values):
            return None
        values = values[place]
    if values is None:
        return absent
    return values if isinstance(values, str) else None


def text_of(answer: object) -> str | None:
    """The text of an answer: itself, or that of the last message of a chat; None: it has none."""
    try:
        last = _last(answer)
        content = last if isinstance(last, str) else _content(last)
        if isinstance(content, list | tuple):
            parts: list[Any] = [p.get("text") for p in content if isinstance(p, dict)]
            content = "".join(part for part in parts if isinstance(part, str))
    except Exception:
        return None  # an object that fails when it is looked at holds no text
    return str(content) if isinstance(content, str) else None


def _last(answer: object) -> object:
    for _ in range(_MOST_NESTED):
        if not isinstance(answer, list | tuple) or not answer:
            break
        answer = answer[-1]
    return answer


def _content(message: object) -> object:
    if isinstance(message, dict):
        return message.get("content")
    return getattr(message, "content", None)
