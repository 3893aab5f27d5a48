"""Writes the golden database of the newest schema revision; run once, by the code of that revision.

python tests/store/assets/make_golden.py tests/store/assets/0006.db
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import store_examples as ex

from foundry.kernel import render
from foundry.store import CallState, NodeRecord, Store, Tokens
from foundry.store import store as module

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def main(path: str) -> None:
    module.capture = lambda: {"python": "3.11.7", "packages": {"mlx": "0.32.4"}}
    with Store.open(path, clock=lambda: NOW) as store:
        run_id = ex.begin(store)
        good, bad = ex.kernel(1), ex.kernel(2)
        store.save(run_id, good, render(good), ex.passed(good, 1.25), ex.ORIGIN)
        store.save(run_id, bad, render(bad), ex.failed(bad), ex.ORIGIN, good.hash)
        answered = store.begin_call(run_id, "anthropic", "claude", "h1", {"n": 1}, most_usd=0.5)
        store.finish_call(
            answered,
            state=CallState.DONE,
            response={"text": "kernel"},
            tokens=Tokens(1200, 300, 1000, 0, 100),
            cost_usd=0.01,
        )
        store.begin_call(run_id, "anthropic", "claude", "h2", {"n": 2}, most_usd=0.5)
        store.save_node(run_id, NodeRecord(0, None, "root:template", "judged", good.hash, 1.25, 1))
        store.save_node(run_id, NodeRecord(1, 0, "anthropic", "open"))
        store.finish_run(run_id, "interrupted")


if __name__ == "__main__":
    main(sys.argv[1])
