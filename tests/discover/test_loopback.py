"""A whole search against a server on loopback: real protocol, real judge, real database, real CLI.

The replies are a wrong kernel, one that does not compile, one that is none, and a good one.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_llm import Answer, FakeLLM, error

from discover.cli.commands import application
from foundry.harness.processes.pool import WorkerPool
from foundry.harness.sandbox import Level
from foundry.kernel import parse
from foundry.store import CallState, Store
from templates import registry, space
from templates.render import render

OP = "silu"
START = registry.for_op(OP)[0]
GOOD = render(START, {**space.default(START), **list(space.points(START))[-1]})
HEAD = GOOD[: GOOD.index("// --- body ---")]
WRONG = GOOD.replace("1.0f + ", "2.0f + ")
BROKEN = f"{HEAD}// --- body ---\nout[0] = no_such_function(x[0]);\n"
assert WRONG != GOOD
REPLIES = [
    f"A first try.\n```metal\n{WRONG}```",
    f"```metal\n{BROKEN}```",
    "I cannot write Metal today.",
    f"This one reads every element once.\n\n```metal\n{GOOD}```\nGood luck.",
]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")


def discover(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(application, [str(a) for a in arguments])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def search(server: FakeLLM, name: str, *more: object, code: int = 0) -> dict[str, Any]:
    url = server.anthropic_url if name == "anthropic" else server.openai_url
    result = discover(
        "search", OP, "--llm", f"{name}:model-x", "--base-url", url, "--parallel", 1,
        "--max-evaluations", 7, "--device", "cpu", "--json", *more, code=code,
    )  # fmt: skip
    return dict(json.loads(result.stdout))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["anthropic", *(pytest.param(n, marks=pytest.mark.slow) for n in ("openai", "openai-chat"))],
)
def test_the_good_kernel_wins_and_the_others_keep_their_reasons(name: str) -> None:
    with FakeLLM(REPLIES) as server:
        found = search(server, name)
        assert server.refused == []
    good = parse(GOOD).hash
    with Store.open(read_only=True) as store:
        stored = {
            s.evaluation.kernel_hash: s
            for s in store.evaluations(run_id=found["run_id"])
            if s.origin.kind == "proposer"
        }
        calls = store.calls(found["run_id"])
    assert stored[good].evaluation.status.passed
    assert stored[good].origin.name == name
    assert stored[good].origin.detail["model"] == "model-x"
    reasons = Counter(str(s.evaluation.status) for s in stored.values())
    expected = Counter({"wrong_result": 1, "build_error": 1, "invalid": 1})
    assert expected <= reasons, stored
    said = {str(s.evaluation.status): s.evaluation.why for s in stored.values()}
    assert "no_such_function" in said["build_error"]
    assert "no kernel file" in said["invalid"]
    assert [c.state for c in calls[:4]] == [CallState.DONE] * 4
    for call in calls:
        assert (call.tokens.input_tokens, call.tokens.output_tokens) == (420, 50)
        assert call.provider_request_id
        assert "secret" not in json.dumps(call.request)
    assert found["llm"]["calls"] == len(server.requests) == len(calls)
    assert found["best"]["kernel_hash"] in {good, *(n for n in _passing())}


def _passing() -> list[str]:
    with Store.open(read_only=True) as store:
        return [s.evaluation.kernel_hash for s in store.evaluations() if s.evaluation.status.passed]


@pytest.mark.slow
def test_faults_on_the_way_are_rows_and_end_nothing() -> None:
    script: list[Answer | str] = [
        error(429, retry_after="0.01"),
        error(529, retry_after="0.01"),
        Answer("x", cut=True),
        Answer(raw="<html>portal</html>"),
        REPLIES[3],
    ]
    with FakeLLM(script) as server:
        found = search(server, "anthropic", "--from-scratch")
    with Store.open(read_only=True) as store:
        calls = store.calls(found["run_id"])
    kinds = [(c.error or "done").split(":")[0] for c in calls[:5]]
    assert kinds == ["rate_limit", "overloaded", "connection", "bad_reply", "done"]


@pytest.mark.slow
def test_a_spent_account_ends_with_exit_3_and_goes_on_later() -> None:
    with FakeLLM([error(429, "enforced_spend_limit_reached")]) as server:
        arguments = (
            "search", OP, "--llm", "anthropic:model-x", "--base-url", server.anthropic_url,
            "--parallel", 1, "--max-evaluations", 5, "--device", "cpu",
        )  # fmt: skip
        assert "run the same command again" in discover(*arguments, code=3).stderr
        assert len(server.requests) == 1
        server.script = [Answer(REPLIES[3])]
        discover(*arguments)
    with Store.open(read_only=True) as store:
        runs = store.runs()
        assert [(r.kind, r.outcome, r.resumed) for r in runs] == [("search", "done", 1)]


def test_money_is_never_spent_without_a_known_price() -> None:
    with FakeLLM(REPLIES) as server:
        result = discover(
            "search", OP, "--llm", "openai:odd-model", "--max-cost", 1, "--device", "cpu", code=2
        )
        assert "no price is known for openai odd-model" in result.stderr
        assert server.requests == []


@pytest.mark.slow
def test_a_replay_of_a_search_makes_the_same_kernels(tmp_path: Path) -> None:
    with FakeLLM(REPLIES) as server:
        found = search(server, "openai")
    script = tmp_path / "replay.jsonl"
    discover("export", found["run_id"], "--what", "replay", "-o", script)
    again = json.loads(
        discover(
            "search", OP, "--llm", f"replay:{script}", "--parallel", 1, "--max-evaluations", 7,
            "--device", "cpu", "--json", "--db", tmp_path / "other.db",
        ).stdout
    )  # fmt: skip
    assert again["statuses"] == found["statuses"]
    assert again["llm"]["calls"] == found["llm"]["calls"]


@pytest.mark.slow
def test_reports_tell_what_happened(tmp_path: Path) -> None:
    with FakeLLM(REPLIES) as server:
        search(server, "anthropic")
        search(server, "openai", "--seed", 7)
    text = discover("report", "1", "--tree", "--why").stdout
    assert "build_error" in text
    assert "4 LLM calls" in text or "LLM calls" in text
    report = json.loads(discover("report", "1", "--json").stdout)
    assert {f["status"] for f in report[0]["failures"]} >= {"wrong_result", "invalid"}
    listed = json.loads(discover("list", "--json").stdout)
    assert [entry["run_id"] for entry in listed] == [2, 1]
    compared = json.loads(discover("compare", 1, 2, "--json").stdout)
    assert compared[0]["against_the_first"] is None
    assert compared[1]["against_run"] == 1
    tree = discover("export", 1, "--what", "tree").stdout.splitlines()
    rows = [json.loads(line) for line in tree]
    assert {row["state"] for row in rows} >= {"judged"}
    best = discover("export", 1, "--what", "best").stdout
    assert parse(best).op == OP


@pytest.mark.slow
def test_kernels_of_an_llm_need_a_sandbox_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOUNDRY_SANDBOX", "")
    monkeypatch.setattr(WorkerPool, "level", property(lambda pool: Level.LIMITS))
    with FakeLLM(REPLIES) as server:
        url = server.openai_url
        command = (
            "search", OP, "--llm", "openai-chat:model-x", "--base-url", url, "--device", "cpu",
            "--max-evaluations", 7, "--parallel", 1,
        )  # fmt: skip
        refused = discover(*command, code=3)
        assert "need the sandbox level 'filtered', here is 'limits'" in refused.stderr
        assert "--unconfined" in refused.stderr
        assert not server.requests
        discover(*command, "--unconfined")
