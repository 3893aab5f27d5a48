"""A cut search on PostgreSQL, on a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgres_server
import pytest
from searching import Scripted, ScriptedJudge, Stage, scored

from discover.budget.limits import Limits
from discover.history.lessons import words_of
from discover.history.summary import summarise
from discover.pages.markdown import markdown
from discover.pages.story import gather
from foundry.store import Store
from foundry.store.records import CallState

ROOT = scored(1.0)
REPLIES = [f"Step {i}.\n```metal\n{scored(1 + i)}```" for i in range(1, 12)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a fresh server."""
    with postgres_server.running() as url:
        yield url


@pytest.mark.slow
def test_a_search_that_is_cut_goes_on(server: str, tmp_path: Path) -> None:
    first = Stage(tmp_path, url=server)
    settings = {"op": "twice", "dtype": "float32", "proposers": ["scripted"]}
    device = first.store.runs()[0].device
    first.run_id = first.store.begin_run("search", "test", settings, 0, device)
    llm, judge = Scripted(REPLIES), ScriptedJudge(interrupt_at=5)
    with pytest.raises(KeyboardInterrupt):
        first.search([llm], judge, Limits(evaluations=9), roots=[ROOT])
    run_id = first.run_id
    first.store.close()
    again = Stage(tmp_path, run_id=run_id, url=server)
    second = ScriptedJudge()
    outcome = again.search(
        [llm], second, Limits(evaluations=9), roots=[ROOT], resume=True, parallel=2
    )
    assert outcome.state.evaluations == 9
    assert not set(judge.texts[:4]) & set(second.texts)
    assert {c.state for c in again.store.calls(run_id)} == {CallState.DONE}
    run = next(r for r in again.store.runs() if r.id == run_id)
    text = markdown([gather(again.store, summarise(again.store, run))], "Night")
    assert words_of(REPLIES[0]) == "Step 1."
    assert "## twice float32" in text
    again.store.close()
    with Store.open(server, read_only=True) as store:
        assert len(store.nodes(run_id)) == 9
