"""Ask and tell: by the desk itself, and by the protocol that coding agents speak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from searching import ScriptedJudge, SimulatedTime
from toy import DEVICE, failed

from discover.adopting.workspace import Workspace
from discover.budget.limits import Limits
from discover.cli.agents.tell import line
from discover.history.journal import Journal, Restored
from discover.history.nodes import Seen
from discover.search.desk import Told, parts
from discover.search.desks import Desks
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.watch import Silent
from discover.search.workbench import Workbench
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.harness.sandbox import Level
from foundry.judge.options import Rivals, is_settled
from foundry.judge.verdict import (
    JUDGE_VERSION,
    Diagnostic,
    Evaluation,
    OutputError,
    Proven,
    Status,
)
from foundry.kernel import parse
from foundry.program import Device
from foundry.store import Store
from foundry.store.lessons import keep, relevant
from foundry.store.records import Lesson, NodeRecord
from ops import registry as registry_of_ops
from templates import registry, space
from templates.render import render

TEMPLATE = registry.for_op("silu")[0]
KERNELS = [render(TEMPLATE, point) for point in list(space.points(TEMPLATE))[:12]]
REQUEST = SearchRequest(
    "silu", "float32", Limits(), "discover ask silu", SearchSettings(proposers=("ask",))
)


class Judge:
    """Every kernel passes, each faster than the one before."""

    def __init__(self) -> None:
        self.judged: list[str] = []

    def evaluate(self, text: str, op: Any, dtype: str, seed: int) -> Evaluation:
        self.judged.append(text)
        found = ScriptedJudge()(text, seed)
        return found.model_copy(update={"op": op.name, "kernel_hash": parse(text).hash})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Store.open(f"sqlite:///{tmp_path / 'desk.db'}") as store:
        pool = SimpleNamespace(workers=1, level=Level.ISOLATED)
        seat = SimpleNamespace(
            device=DEVICE,
            pool=pool,
            judge=Judge(),
            settled=lambda evaluation, op: is_settled(evaluation, op, "quick"),
        )
        made = SimpleNamespace(store=store, seat=seat, retry=None, timed="quick")
        yield cast(Workbench, made)


def answered(texts: list[str]) -> str:
    return "I tried two things.\n" + "\n".join(f"```metal\n{text}```" for text in texts)


def test_tickets_outlive_the_process_and_every_kernel_is_judged(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    with Desks(bench, Silent()).of_search(REQUEST) as desk:
        one, two = desk.ask(), desk.ask()
    assert one.run_id == two.run_id
    assert bench.store.runs(one.run_id)[0].outcome == "open", "its tickets may be told any day"
    assert "silu" in one.prompt.system
    roots = len(cast(Judge, bench.seat.judge).judged)
    assert roots >= 1
    run_id, node_id = parts(two.name)
    fresh = [text for text in KERNELS if text not in cast(Judge, bench.seat.judge).judged][:2]
    with Desks(bench, Silent()).of_ticket(run_id) as desk:
        told = desk.tell(node_id, answered(fresh))
        assert {t.kernel_hash for t in told} == {parse(text).hash for text in fresh}
        assert all(t.evaluation and t.evaluation.status.passed for t in told)
        with pytest.raises(UsageError, match="answered already"):
            desk.tell(node_id, answered(fresh))
        again = desk.tell(one.node_id, answered(fresh[:1]))
        assert [t.state for t in again] == ["duplicate"]
        then = next(t for t in told if t.kernel_hash == parse(fresh[0]).hash)
        assert again[0].first == then.name
        assert again[0].evaluation == then.evaluation, "the verdict from then"
        assert line(again[0]).startswith(f"the same kernel as {then.name}, ")
        with pytest.raises(UsageError, match="ticket"):
            desk.tell(0, "a root is no ticket")
    with Desks(bench, Silent()).of_search(REQUEST) as desk:
        assert desk.ask().run_id == run_id, "the same search goes on"
    assert len(cast(Judge, bench.seat.judge).judged) == roots + 2, "roots are judged once"


def _plain(bench: Any, request: Any, op: Any, *, counted: bool) -> Any:
    return lambda text, seed, rivals: bench.seat.judge.evaluate(text, op, request.dtype, seed)


def _elsewhere(bench: Workbench, **other: Any) -> Workbench:
    return cast(Workbench, SimpleNamespace(**{**vars(bench), **other}))


def test_a_ticket_is_answered_where_it_was_handed_out(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    with Desks(bench, Silent()).of_search(REQUEST) as desk:
        run_id = desk.run_id
    other = SimpleNamespace(**{**vars(bench.seat), "device": Device("metal", "Apple M4")})
    for where, words in (
        (_elsewhere(bench, seat=other), "Toy CPU.* and this is Apple M4"),
        (_elsewhere(bench, timed="full"), "'quick', and here 'full'"),
    ):
        with pytest.raises(UsageError, match=words), Desks(where, Silent()).of_ticket(run_id):
            pass
    with Desks(bench, Silent()).of_ticket(run_id) as desk:
        assert desk.run_id == run_id, "what was refused holds no run"


def test_no_stranger_is_judged_without_a_sandbox(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    with Desks(bench, Silent()).of_search(REQUEST) as desk:
        run_id = desk.run_id
    pool = SimpleNamespace(**{**vars(bench.seat.pool), "level": Level.LIMITS})
    bare = _elsewhere(bench, seat=SimpleNamespace(**{**vars(bench.seat), "pool": pool}))
    monkeypatch.delenv("FOUNDRY_SANDBOX", raising=False)
    for opened in (
        Desks(bare, Silent()).of_search(REQUEST),
        Desks(bare, Silent()).of_ticket(run_id),
    ):
        with pytest.raises(EnvironmentUnusable, match="'filtered'"), opened:
            pass
    monkeypatch.setenv("FOUNDRY_SANDBOX", "off")
    with Desks(bare, Silent()).of_ticket(run_id) as desk:
        assert desk.run_id == run_id


def test_a_desk_is_read_back_only_where_somebody_else_was_at_it(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    restored: list[int] = []
    restore = Journal.restore

    def counted(self: Journal) -> Restored:
        restored.append(self.run_id)
        return restore(self)

    monkeypatch.setattr(Journal, "restore", counted)
    here, elsewhere = Desks(bench, Silent()), Desks(bench, Silent())
    for _ in range(3):
        with here.of_search(REQUEST) as desk:
            ticket = desk.ask()
    assert not restored
    with elsewhere.of_ticket(ticket.run_id) as desk:
        desk.tell(ticket.node_id, answered(KERNELS[3:4]))
    assert len(restored) == 1
    with here.of_search(REQUEST) as desk:
        other = desk.ask()
        with pytest.raises(UsageError, match="answered already"):
            desk.tell(ticket.node_id, answered(KERNELS[4:5]))
    assert other.node_id == ticket.node_id + 1
    assert len(restored) == 2


def test_what_lies_between_asking_and_telling_is_nobodys_time(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimulatedTime()

    def slow(*_: Any, **__: Any) -> Any:
        def evaluate(text: str, seed: int, rivals: Rivals) -> Evaluation:
            clock.pass_(2.0)
            return bench.seat.judge.evaluate(text, registry_of_ops.get("silu"), "float32", seed)

        return evaluate

    def elapsed_s() -> float:
        return max(n.detail.get("elapsed_s", 0.0) for n in bench.store.nodes(ticket.run_id))

    monkeypatch.setattr("discover.search.desks.evaluator", slow)
    here, elsewhere = (Desks(bench, Silent(), clock) for _ in range(2))
    with here.of_search(REQUEST) as desk:
        ticket, second = desk.ask(), desk.ask()
    known = elapsed_s()
    for desks, one, text in ((here, ticket, KERNELS[3]), (elsewhere, second, KERNELS[4])):
        clock.pass_(3600.0)
        with desks.of_ticket(ticket.run_id) as desk:
            desk.tell(one.node_id, answered([text]))
        assert elapsed_s() == pytest.approx(known + 2.0)
        known = elapsed_s()


def test_no_secret_of_an_agent_is_kept(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    monkeypatch.setenv("HF_TOKEN", "canary-of-an-agent")
    with Desks(bench, Silent()).of_search(REQUEST) as desk:
        ticket = desk.ask()
        told = desk.tell(ticket.node_id, answered([f"{KERNELS[3]}// canary-of-an-agent\n"]))
    assert told[0].evaluation is not None
    for file in tmp_path.glob("desk.db*"):
        if file.is_file():
            assert b"canary-of-an-agent" not in file.read_bytes()


def test_repairs_keep_their_share_over_processes(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    for text in KERNELS[3:6]:
        with Desks(bench, Silent()).of_search(REQUEST) as desk:
            ticket = desk.ask()
        with Desks(bench, Silent()).of_ticket(ticket.run_id) as desk:
            desk.tell(ticket.node_id, answered([f"{text}// wrong_result(x)\n"]))
    nodes = {node.id: node for node in bench.store.nodes(ticket.run_id)}
    asked = [node for node in nodes.values() if node.proposer == "agent"]
    repairs = [node for node in asked if nodes[node.parent or 0].reward is None]
    assert len(asked) == 3
    assert len(repairs) == 1, "a fifth of the expansions, and not each of them"


def test_a_ticket_tells_what_was_learnt_and_credits_it(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    lesson = Lesson("silu", "Read four elements at a time.", 2.0)
    with Desks(bench, Silent()).of_search(REQUEST) as desk:
        family = registry_of_ops.get("silu").family
        keep(bench.store, desk.run_id, family, DEVICE, lesson, ("a" * 64, "b" * 64))
    with Desks(bench, Silent()).of_search(REQUEST) as desk:
        ticket = desk.ask()
    assert lesson.text in ticket.prompt.user
    with Desks(bench, Silent()).of_ticket(ticket.run_id) as desk:
        desk.tell(ticket.node_id, answered(KERNELS[3:4]))
    (kept,) = relevant(bench.store, "silu", family, DEVICE, 9)
    assert kept.shown == 1


def test_neither_answer_nor_node_tells_a_hidden_workload() -> None:
    secret = "silu[n=7919]float32"
    found = failed(
        Status.WRONG_RESULT,
        Diagnostic(stage="verify", message="wrong on a hidden one", workload=secret, hidden=True),
        Diagnostic(stage="verify", message="wrong", workload="silu[n=4]float32"),
    ).model_copy(
        update={
            "errors": (
                OutputError(workload=secret, output="out", max_abs_error=1.0, bound_ratio=2.0),
            ),
            "proven": Proven(axes={"n": (1, 7919)}, elements=7919),
            "seed": 79190001,
        }
    )
    node = NodeRecord(1, None, "agent", "judged", "0" * 64, None, 0, {})
    for document in (
        Told("1.1", "judged", None, found).document(),
        Seen(node, "", found).document(),
    ):
        assert "7919" not in json.dumps(document)
        assert "silu[n=4]float32" in json.dumps(document)


def test_a_ticket_of_an_earlier_judge_says_how_to_get_another(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that one found is not known any more, and is no measure for what this one finds."""
    monkeypatch.setattr("discover.search.desks.evaluator", _plain)
    with monkeypatch.context() as earlier:
        earlier.setattr("foundry.store.store.JUDGE_VERSION", JUDGE_VERSION - 1)
        with Desks(bench, Silent()).of_search(REQUEST) as desk:
            ticket = desk.ask()
    desks = Desks(bench, Silent())
    with pytest.raises(UsageError, match="version .* of the judge.*discover ask"):
        desks.of_ticket(ticket.run_id).__enter__()


@pytest.mark.parametrize("ticket", ["7", "a.b", "1.", ".2", "1.2.3", "9" * 20 + ".1"])
def test_what_is_no_ticket_is_told(ticket: str) -> None:
    with pytest.raises(UsageError, match="is no ticket"):
        parts(ticket)


def test_an_agent_searches_by_protocol(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    from mcp.client.client import Client

    from discover.mcp import server

    monkeypatch.setattr("discover.search.desks.evaluator", _plain)

    async def session() -> None:
        async with Client(server(bench, Workspace(tmp_path / "adopted"))) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"adopt", "start", "ask", "tell", "show", "report"}

            async def call(name: str, **arguments: Any) -> Any:
                result = await client.call_tool(name, arguments)
                text = "".join(getattr(part, "text", "") for part in result.content)
                return text if result.is_error else json.loads(text)

            with Desks(bench, Silent()).of_search(replace(REQUEST, dtype="float16")) as desk:
                earlier = desk.run_id
            started = await call("start", op="silu")
            assert started["searches"][0]["dtype"] == "float32"
            again = await call("start", op="silu", dtype="float16")
            assert again["searches"][0]["run_id"] == earlier, "not the run begun last"
            ticket = await call("ask", op="silu")
            assert "Answer with the complete kernel file" in ticket["prompt"]
            told = await call("tell", ticket=ticket["ticket"], answer=answered(KERNELS[3:4]))
            assert told["kernels"][0]["status"] in ("correct", "faster", "duplicate")
            seen = await call("show", node=ticket["ticket"])
            assert seen["status"] == told["kernels"][0]["status"]
            assert "did you mean silu" in await call("ask", op="sillu")
            report = await call("report")
            assert report["searches"][0]["evaluations"] >= 1
            assert report["searches"][0]["outcome"] == "open", "nobody interrupted it"

    asyncio.run(session())
