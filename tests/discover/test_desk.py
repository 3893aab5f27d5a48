"""Ask and tell: by the desk itself, and by the protocol that coding agents speak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from searching import ScriptedJudge
from toy import DEVICE, failed

from discover.budget.limits import Limits
from discover.history.nodes import Seen
from discover.search.desk import Told, desk_of, new_desk, parts
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.watch import Silent
from discover.search.workbench import Workbench
from foundry.errors import UsageError
from foundry.judge.verdict import Diagnostic, Evaluation, OutputError, Proven, Status
from foundry.kernel import parse
from foundry.store import Store
from foundry.store.records import NodeRecord
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

    def evaluate(self, text: str, op: Any, dtype: str, seed: int, finalists: int = 1) -> Evaluation:
        self.judged.append(text)
        found = ScriptedJudge()(text, seed)
        return found.model_copy(update={"op": op.name, "kernel_hash": parse(text).hash})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Store.open(f"sqlite:///{tmp_path / 'desk.db'}") as store:
        pool = SimpleNamespace(device=lambda: DEVICE, workers=1)
        yield cast(Workbench, SimpleNamespace(store=store, pool=pool, judge=Judge(), retry=None))


def answered(texts: list[str]) -> str:
    return "I tried two things.\n" + "\n".join(f"```metal\n{text}```" for text in texts)


def test_tickets_outlive_the_process_and_every_kernel_is_judged(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.search.desk.evaluator", _plain)
    with new_desk(bench, REQUEST, Silent()) as desk:
        one, two = desk.ask(), desk.ask()
    assert one.run_id == two.run_id
    assert "silu" in one.prompt.system
    roots = len(cast(Judge, bench.judge).judged)
    assert roots >= 1
    run_id, node_id = parts(two.name)
    fresh = [text for text in KERNELS if text not in cast(Judge, bench.judge).judged][:2]
    with desk_of(bench, run_id, Silent()) as desk:
        told = desk.tell(node_id, answered(fresh))
        assert {t.kernel_hash for t in told} == {parse(text).hash for text in fresh}
        assert all(t.evaluation and t.evaluation.status.passed for t in told)
        with pytest.raises(UsageError, match="answered already"):
            desk.tell(node_id, answered(fresh))
        again = desk.tell(one.node_id, answered(fresh[:1]))
        assert [t.state for t in again] == ["duplicate"]
        with pytest.raises(UsageError, match="ticket"):
            desk.tell(0, "a root is no ticket")
    with new_desk(bench, REQUEST, Silent()) as desk:
        assert desk.ask().run_id == run_id, "the same search goes on"
    assert len(cast(Judge, bench.judge).judged) == roots + 2, "roots are judged once"


def _plain(bench: Any, request: Any, op: Any, *, counted: bool) -> Any:
    return lambda text, seed, finalists=1: bench.judge.evaluate(text, op, request.dtype, seed)


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


@pytest.mark.parametrize("ticket", ["7", "a.b", "1.", ".2", "1.2.3"])
def test_what_is_no_ticket_is_told(ticket: str) -> None:
    with pytest.raises(UsageError, match="is no ticket"):
        parts(ticket)


def test_an_agent_searches_by_protocol(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    from mcp.client.client import Client

    from discover.mcp import server

    monkeypatch.setattr("discover.search.desk.evaluator", _plain)

    async def session() -> None:
        async with Client(server(bench)) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"start", "ask", "tell", "show", "report"}

            async def call(name: str, **arguments: Any) -> Any:
                result = await client.call_tool(name, arguments)
                text = "".join(getattr(part, "text", "") for part in result.content)
                return text if result.is_error else json.loads(text)

            started = await call("start", op="silu")
            assert started["searches"][0]["op"] == "silu"
            ticket = await call("ask", op="silu")
            assert "Answer with the complete kernel file" in ticket["prompt"]
            told = await call("tell", ticket=ticket["ticket"], answer=answered(KERNELS[3:4]))
            assert told["kernels"][0]["status"] in ("correct", "faster", "duplicate")
            seen = await call("show", node=ticket["ticket"])
            assert seen["status"] == told["kernels"][0]["status"]
            assert "did you mean silu" in await call("ask", op="sillu")
            report = await call("report")
            assert report["searches"][0]["evaluations"] >= 1

    asyncio.run(session())
