"""What was judged is kept, whatever ends the loop."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from foundry.errors import EnvironmentUnusable
from foundry.judge.verdict import Evaluation, Status
from foundry.run.loop import Hooks, _land_all


class Schedule:
    ready = True

    def take(self) -> str | None:
        return None

    def learn(self, slot: str, score: float | None) -> None:
        pass


def landed(slot: str) -> Future[Evaluation]:
    made: Future[Evaluation] = Future()
    if slot == "broken":
        made.set_exception(EnvironmentUnusable("the device is gone.", "Plug it in."))
    elif slot != "under way":
        passed = Status.CORRECT
        made.set_result(
            Evaluation(kernel_hash=slot, op="silu", dtype="float32", device_id="d", status=passed)
        )
    return made


def test_an_evaluation_that_ends_beside_one_that_raises_is_kept() -> None:
    saved: list[str] = []
    hooks: Hooks[str] = Hooks(
        landed(slot="one").result,
        find=lambda slot: None,
        save=lambda slot, evaluation: saved.append(slot),
        observe=lambda slot, evaluation, fresh: None,
        stop=lambda: None,
    )
    flying = {landed(slot): slot for slot in ("broken", "one", "under way", "two")}
    with pytest.raises(EnvironmentUnusable, match="the device is gone"):
        _land_all(Schedule(), hooks, flying)
    assert saved == ["one", "two"]
    assert list(flying.values()) == ["under way"]
