"""Eight canaries: keys, tokens and passwords that must turn up in no row, event or page."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from searching import Scripted, ScriptedJudge, Stage, scored
from toy import DEVICE

sys.path.insert(0, str(Path(__file__).parents[2] / "datasets"))
from dataset_examples import template_kernel, verdict

from discover.autorun.autorun import settings
from discover.autorun.recipe import Recipe
from discover.budget.limits import Limits
from discover.calls.checking import check
from discover.history.summary import summarise
from discover.pages.html import page
from discover.pages.markdown import markdown
from discover.pages.story import gather
from discover.proposers.faults import from_status
from discover.proposers.keys import checked_url, without_secrets
from discover.protocol import Failure, FailureKind
from discover.search.settings import SearchRequest, SearchSettings
from foundry.datasets.export import export_attempts, export_dataset
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.judge.options import NOBODY, Rivals
from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import parse, render
from foundry.store.records import PREDICTIONS
from ops import registry

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


class Dataset(ScriptedJudge):
    """Proves softmax kernels as datasets want them; a larger number in the text is faster."""

    def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> Evaluation:
        kernel = parse(text)
        if "fails(" in text:
            return verdict(kernel, Status.WRONG_RESULT, device=DEVICE)
        low = 1.0 + len(self.texts)
        self.texts.append(text)
        said = {"predicted_us": 10.0, "bound": "memory", "sentences": ["bound by memory"]}
        extra = {PREDICTIONS: {"softmax[rows=8,cols=8]float32": {"m4-max": said}}}
        return verdict(kernel, device=DEVICE, low=low, extra=extra)


def test_no_secret_is_in_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every view, and the table of attempts, in every format."""
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    said = " ".join([*CANARIES.values(), URL])
    kernels = [render(template_kernel("softmax", number)[0]) for number in range(4)]
    stage = Stage(tmp_path, op=registry.get("softmax"))
    broken = f"{kernels[1]}// fails({said})\n"
    answers = [
        f"Your keys are {said}. I read more at a time.\n```metal\n{text}```"
        for text in (broken, f"{kernels[2]}// {said}\n", kernels[3])
    ]
    stage.search([Scripted(answers)], Dataset(), Limits(evaluations=4), roots=[kernels[0]])
    rows = list(stage.store.evaluations())
    folder = tmp_path / "data"
    export_dataset(rows, stage.store.origins(), folder)
    export_attempts(rows, stage.store.origins(), folder / "all", ("jsonl", "parquet"))
    stage.store.close()
    written = {file: _content(file) for file in folder.rglob("*") if file.is_file()}
    views = {file.parent.name for file in written}
    assert views >= {"attempts", "sft", "repair", "preference", "explain", "completion", "all"}
    assert sum("I read more at a time" in text or "***" in text for text in written.values()) > 1
    for file, text in written.items():
        assert "canary-" not in text, file  # rows have a canary of their own, for other ends


def _content(file: Path) -> str:
    """What a file says, whatever packs it."""
    if file.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return json.dumps(parquet.read_table(file).to_pylist(), default=str)
    return file.read_bytes().decode(errors="replace")


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


@pytest.mark.parametrize("around", ["{}\r", " {}", "x-key: {}\nx-other: 1"])
def test_a_secret_is_hidden_whatever_stands_around_it_in_its_variable(
    around: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", around.format("canary-within"))
    assert "canary" not in without_secrets("a server says: bad key canary-within.")


def test_a_secret_is_hidden_before_a_message_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-" + "k" * 60)
    said = "x" * 270 + " canary-" + "k" * 60
    failure = from_status(401, codes=frozenset(), message=said, headers={})
    assert "canary" not in failure.message


def test_no_login_of_a_database_is_kept_with_a_command(stage: Stage) -> None:
    command = "foundry run --db postgresql://me:canary-word@host/db --ops silu"
    run_id = stage.store.begin_run("run", command, {}, 0, DEVICE)
    kept = next(run for run in stage.store.runs() if run.id == run_id)
    assert kept.command == "foundry run --db postgresql://***@host/db --ops silu"


@pytest.mark.parametrize("url", ["http://[::1", "http://localhost:80a/v1", "ftp://me:canary@x"])
def test_what_is_no_address_is_said_without_its_login(url: str) -> None:
    with pytest.raises(UsageError, match="is no address") as caught:
        checked_url(url)
    assert "canary" not in str(caught.value)
