"""Eight canaries: keys, tokens and passwords that must turn up in no row, event or page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from searching import Scripted, ScriptedJudge, Stage, scored

from discover.autorun.autorun import settings
from discover.autorun.recipe import Recipe
from discover.budget.limits import Limits
from discover.calls.checking import check
from discover.history.summary import summarise
from discover.pages.html import page
from discover.pages.markdown import markdown
from discover.pages.story import gather
from discover.proposers.keys import without_secrets
from discover.protocol import Failure, FailureKind
from discover.search.settings import SearchRequest, SearchSettings
from foundry.errors import EnvironmentUnusable

NAMES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "OPENAI_API_KEY",
    "OPENAI_ADMIN_KEY",
    "HF_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
)
CANARIES = {name: f"canary-{index}-{name.lower()}" for index, name in enumerate(NAMES)}
LOGIN = "canary-login:canary-password"
URL = f"http://{LOGIN}@127.0.0.1:9/v1"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    made = Stage(tmp_path)
    yield made
    made.store.close()


def test_no_secret_is_in_a_row_an_event_or_a_page(stage: Stage, tmp_path: Path) -> None:
    said = " ".join(CANARIES.values())
    answer = f"Your keys are {said}.\n```metal\n{scored(2)}```"
    wrong = Failure(FailureKind.REFUSED, f"bad key {said} at {URL}", text=said)
    run = stage.store.runs()[0]
    kept = {"op": "twice", "dtype": "float32", "proposers": ["scripted"]}
    stage.run_id = stage.store.begin_run("search", "test", kept, 0, run.device)
    stage.search(
        [Scripted([answer, wrong, scored(3)])], ScriptedJudge(), Limits(evaluations=3),
        roots=[scored(1.0)],
    )  # fmt: skip
    found = next(r for r in stage.store.runs() if r.id == stage.run_id)
    stories = [gather(stage.store, summarise(stage.store, found))]
    places = [page(stories, "x"), markdown(stories, "x"), *stage.events, repr(stories)]
    places += [repr(call) for call in stage.store.calls(stage.run_id)]
    files = [f for f in tmp_path.glob("search.db*") if f.is_file()]
    places += [f.read_bytes().decode(errors="replace") for f in files]
    assert len(stage.store.calls(stage.run_id)) == 3
    for place in places:
        assert "canary" not in place


def test_no_secret_is_in_what_a_probe_says() -> None:
    class Refusing(Scripted):
        def probe(self, timeout_s: float) -> Failure:
            return Failure(FailureKind.NOT_FOUND, f"no model 'x' at {URL}")

    with pytest.raises(EnvironmentUnusable, match=r"http://\*\*\*@127") as caught:
        check([Refusing([])])
    assert "canary" not in str(caught.value)


def test_no_secret_is_in_what_a_search_is_known_by() -> None:
    request = SearchRequest("silu", "float32", Limits(), "", SearchSettings(base_url=URL))
    assert request.key()["base_url"] == "http://***@127.0.0.1:9/v1"
    assert settings(Recipe(name="x", ops=("silu",), base_url=URL))["base_url"] == (
        "http://***@127.0.0.1:9/v1"
    )
    assert without_secrets(f"discover search silu --base-url {URL}").endswith(
        "http://***@127.0.0.1:9/v1"
    )
    assert without_secrets("mail a@b.c, 3 @ 4") == "mail a@b.c, 3 @ 4"
