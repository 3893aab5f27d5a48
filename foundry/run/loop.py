"""The loop: take slots from a schedule, judge several at once, keep each result at once.

1. Slots are taken in schedule order. One that is judged already is learnt and costs nothing.
2. The others go to a pool of threads, so that builds and verifications overlap; the judge sees to
   it that timing runs alone.
3. Each finished evaluation is saved by this thread before the next is waited for. Whatever ends
   the loop early (Ctrl-C, a broken environment), everything saved stays saved.

Owned elsewhere: order (`plan`), verdicts (`foundry.judge`), rows (`foundry.store`), what is shown
(`observe`, a callback).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from foundry.judge.verdict import Evaluation
from foundry.report.predicted import worth

S = TypeVar("S")
"""A slot: one kernel to judge, with whatever its schedule knows it by."""


class Ordered(Protocol[S]):
    """What decides the order."""

    @property
    def ready(self) -> bool:
        """Whether `take` may be called now."""

    def take(self) -> S | None:
        """The next slot; None when there is none."""

    def learn(self, slot: S, score: float | None) -> None:
        """Note the score of a slot, or its predicted gain; None for a kernel with neither."""


@dataclass(frozen=True)
class Hooks(Generic[S]):
    """What the loop does not do itself."""

    evaluate: Callable[[S], Evaluation]
    """Judge one slot; called from several threads."""
    find: Callable[[S], Evaluation | None]
    """The evaluation this slot has already, or None."""
    save: Callable[[S, Evaluation], None]
    """Keep one evaluation for good."""
    observe: Callable[[S, Evaluation, bool], None]
    """Hear of one evaluation; the flag says that it was made now."""
    stop: Callable[[], None]
    """Make running `evaluate` calls return soon, whatever they return."""


def run(
    schedule: Ordered[S], hooks: Hooks[S], *, workers: int, time_left_s: Callable[[], float]
) -> None:
    """Judge the slots of a schedule.

    Args:
        schedule: What to judge.
        hooks: How.
        workers: Evaluations in flight at once.
        time_left_s: Seconds until no further evaluation is started.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="evaluate")
    flying: dict[Future[Evaluation], S] = {}
    try:
        while True:
            _fill(schedule, hooks, pool, flying, workers if time_left_s() > 0 else 0)
            if not flying:
                break
            wait(flying, return_when=FIRST_COMPLETED)
            _land_all(schedule, hooks, flying)
    except BaseException:
        with suppress(Exception):  # what ends the loop is told; what was judged meanwhile is kept
            _land_all(schedule, hooks, flying)
        # A thread may wait for the device lock, which another command may hold for a minute.
        pool.shutdown(wait=False, cancel_futures=True)
        hooks.stop()
        raise
    pool.shutdown()


def _fill(
    schedule: Ordered[S],
    hooks: Hooks[S],
    pool: ThreadPoolExecutor,
    flying: dict[Future[Evaluation], S],
    room: int,
) -> None:
    while len(flying) < room and schedule.ready:
        slot = schedule.take()
        if slot is None:
            return
        known = hooks.find(slot)
        if known is None:
            flying[pool.submit(hooks.evaluate, slot)] = slot
        else:
            schedule.learn(slot, worth(known))
            hooks.observe(slot, known, False)


def _land_all(schedule: Ordered[S], hooks: Hooks[S], flying: dict[Future[Evaluation], S]) -> None:
    """Take in all that ended; one that raised comes last, so that it costs no other its row."""
    ended = [future for future in flying if future.done()]
    for future in sorted(ended, key=lambda f: f.cancelled() or f.exception() is not None):
        _land(schedule, hooks, flying.pop(future), future.result())


def _land(schedule: Ordered[S], hooks: Hooks[S], slot: S, evaluation: Evaluation) -> None:
    hooks.save(slot, evaluation)
    schedule.learn(slot, worth(evaluation))
    hooks.observe(slot, evaluation, True)
