"""What searches on one device share: the database, the workers, the judge, the prices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from discover.budget import pricing
from discover.budget.pricing import Prices
from discover.calls.retry import RetryPolicy
from foundry.judge.options import JudgeOptions

if TYPE_CHECKING:
    from foundry.chips.judged import JudgeSeat
    from foundry.store import Store


@dataclass(frozen=True)
class Workbench:
    """What searches on one device share."""

    store: Store
    seat: JudgeSeat
    """The device, and the workers and the judge that belong to it."""
    prices: Prices
    timed: str
    """Bench workloads that its judge times: `quick`, `full` or a label."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@contextmanager
def workbench(
    db: str | None, device: str, workers: int, bench: str, own_prices: Path | None = None
) -> Iterator[Workbench]:
    """Open the database and the workers.

    Raises:
        EnvironmentUnusable: Database or device cannot be used.
        UsageError: No price file, or an unknown chip.
    """
    from foundry.chips.judged import judge_seat
    from foundry.store import Store

    prices = pricing.load(own_prices)
    options = JudgeOptions(bench=bench)
    with Store.open(db) as store, judge_seat(device, workers, options) as seat:
        yield Workbench(store, seat, prices, bench)
