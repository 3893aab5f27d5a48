"""Runs by number, as commands name them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from toy import DEVICE

from discover.history.runs import part_name, pick, pick_one
from foundry.errors import UsageError
from foundry.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'runs.db'}") as store:
        yield store


def test_one_search_of_an_autorun_is_the_one_begun_last(store: Store) -> None:
    autorun = store.begin_run("autorun", "test", {}, 0, DEVICE)
    for number in (None, autorun):
        assert pick(store, number) == []
        with pytest.raises(UsageError, match="has not begun"):
            pick_one(store, number)
    parts = [
        store.begin_run("search", "test", {"part_of": f"autorun {autorun}", "op": op}, 0, DEVICE)
        for op in ("silu", "softmax")
    ]
    assert part_name(store.runs()[0]) == f"autorun {autorun}"
    assert [pick_one(store, number).id for number in (None, autorun, parts[0])] == [
        parts[1], parts[1], parts[0],
    ]  # fmt: skip
