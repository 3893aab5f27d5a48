"""A search for a chip that is not here steers by predictions, and ranks no ties."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import toy
from searching import Scripted, ScriptedJudge, Stage
from toy import OP

from discover.adopting.workspace import Workspace
from discover.budget.limits import Limits
from discover.drafts.draft import Draft
from discover.history.reasons import reason
from discover.history.summary import document, summarise
from discover.history.tables import table
from discover.mcp import Tools
from discover.protocol import Context
from discover.search.desks import Desks
from discover.search.kernels import Kernels
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.task import Task
from discover.search.watch import Silent
from discover.search.workbench import Workbench
from discover.selection.tree import Node
from foundry.chips import fitted, registry
from foundry.chips.device import device_of
from foundry.errors import UsageError
from foundry.harness.sandbox import Level
from foundry.judge.options import NOBODY, Rivals
from foundry.judge.verdict import Evaluation
from foundry.kernel import parse
from foundry.prompts.assignment import Attempt
from foundry.prompts.build import build
from foundry.store import Store
from foundry.store.records import PREDICTIONS, Origin
from ops.spec import Op
from templates import registry as registry_of_templates
from templates import space
from templates.render import render

UNCOUNTED = SearchSettings(proposers=("ask",), counters=False)
AGENT = SearchRequest("silu", "float32", Limits(), "discover ask silu", UNCOUNTED)
CHIP = device_of(registry.get("m4-max"), fitted.built_in(), toy.DEVICE)


def taking(us: float, salt: str = "") -> str:
    """A kernel that is predicted to take so long."""
    return toy.kernel(f"out[0] = x[0] * 2 + shift; const float us = {us};{salt}")


def predicted(us: float) -> Evaluation:
    said = {
        "kind": "prediction",
        "chip": "m4-max",
        "predicted_us": us,
        "low_us": us / 2,
        "high_us": us * 2,
        "bound": "memory",
        "launches": [],
        "sentences": ["bound by memory: the arrays hold 0.5 MB"],
        "assumed": [],
        "template_us": 100.0,
        "apart": 1.25,
    }
    workload = "twice[rows=64,cols=1024,shift=0.5]float32"
    made = {"timings": (), "device_id": CHIP.id, "status": "correct"}
    extra = {PREDICTIONS: {workload: {"m4-max": said}}}
    return Evaluation.model_validate({**dict(toy.passed(1.0)), **made, "extra": extra})


class Predicting(ScriptedJudge):
    """Reads the predicted time off the kernel."""

    def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> Evaluation:
        self.texts.append(text)
        us = re.search(r"us = ([\d.]+)", text)
        assert us
        return predicted(float(us[1])).model_copy(update={"kernel_hash": parse(text).hash})


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path, device=CHIP)
    yield made
    made.store.close()


def test_ties_are_kept_together_and_no_tie_has_the_credit(stage: Stage) -> None:
    llm = Scripted([f"```metal\n{taking(us)}```" for us in (95, 30, 28, 60)])
    judge = Predicting()
    stage.search([llm], judge, Limits(evaluations=5), roots=[taking(100)])
    assert len(judge.texts) == 5
    run = next(run for run in stage.store.runs() if run.id == stage.run_id)
    summary = summarise(stage.store, run)
    assert summary.best is None
    assert summary.gain is None
    assert len(summary.front) == 2
    told = document(summary)
    assert told["best"] is None
    assert {one["kind"] for one in told["predicted"]} == {"prediction"}
    columns, rows = table([summary])
    assert not any("speedup" in column.title for column in columns)
    assert "28.0 to 30.0" in rows[0]
    assert set(summary.statuses) == {"correct"}


def test_a_search_steers_by_what_it_cannot_tell_and_gives_no_credit_for_it() -> None:
    kernels = Kernels(Task(OP, "float32", CHIP))
    nodes: dict[int, Node] = {}
    for us in (100, 95, 30):
        text = taking(us)
        node = kernels.tree.open(0 if nodes else None, "scripted")
        made = predicted(us).model_copy(update={"kernel_hash": parse(text).hash})
        kernels.judged(node, Draft(text, Origin("proposer", "scripted")), parse(text), made)
        nodes[us] = node
    assert [node.reward for node in nodes.values()] == pytest.approx([1, 100 / 95, 100 / 30])
    assert [us for us, node in nodes.items() if kernels.beats_parent(node)] == [30]


def test_a_search_is_taken_up_with_what_was_predicted(stage: Stage) -> None:
    first = Scripted([f"```metal\n{taking(50)}```"])
    stage.search([first], Predicting(), Limits(evaluations=2), roots=[taking(100)])
    again = Scripted([f"```metal\n{taking(20)}```"])
    outcome = stage.search([again], Predicting(), Limits(evaluations=3), resume=True)
    assert outcome.best is not None
    assert "us = 20" in outcome.best.text
    assert "predicted 20.0 us" in reason(outcome.best.evaluation)


def test_the_prompt_speaks_of_the_chip_and_not_of_this_cpu(
    golden: Callable[[str, str], None],
) -> None:
    parent = Attempt(taking(100), predicted(100))
    relatives = (Attempt(taking(50), predicted(50)),)
    prompt = build(Context(OP, "float32", CHIP, parent=parent, relatives=relatives))
    golden("discover/improve_predicted.txt", prompt.user)
    for fact in (
        "SIMD-groups of 32",
        "32,768 bytes of threadgroup memory",
        "40 GPU cores",
        "546 GB/s",
    ):
        assert fact in prompt.user
    assert "CPU" not in prompt.user
    assert "speedup" not in (prompt.user + prompt.system).lower()
    assert "predicted" in prompt.system


class OfChip:
    """A judge of the chip: each kernel is predicted to be faster than the one before."""

    def __init__(self) -> None:
        self.us = 200.0

    def evaluate(self, text: str, op: Op, dtype: str, seed: int, *, rivals: Rivals) -> Evaluation:
        self.us /= 2
        kernel = parse(text)
        found = {"op": op.name, "dtype": dtype, "kernel_hash": kernel.hash}
        return predicted(self.us).model_copy(update=found)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Store.open(str(tmp_path / "desk.db")) as store:
        pool = SimpleNamespace(workers=1, level=Level.ISOLATED)
        seat = SimpleNamespace(
            device=CHIP, pool=pool, judge=OfChip(), settled=lambda evaluation, op: True
        )
        made = SimpleNamespace(store=store, seat=seat, retry=None, timed="quick")
        yield cast(Workbench, made)


def test_an_agent_hears_of_the_chip_and_of_no_measurement(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "foundry.judge.time.counting.with_counters", lambda pool, found, text, op: found
    )
    tools = Tools(bench, Workspace(tmp_path / "adopted"))
    (begun,) = tools.start("silu")["searches"]
    assert begun["device"]["kind"] == "model"
    asked = tools.ask("silu")
    assert "Device: m4-max, an Apple GPU that is not here" in asked["prompt"]
    assert "MLX is the fastest" not in asked["prompt"]
    assert "speedup" not in asked["prompt"].lower()
    template = registry_of_templates.for_op("silu")[0]
    roots = {node.kernel_hash for node in bench.store.nodes(begun["run_id"])}
    texts = (render(template, point) for point in space.points(template))
    fresh = next(text for text in texts if parse(text).hash not in roots)
    (told,) = tools.tell(asked["ticket"], f"```metal\n{fresh}```")["kernels"]
    assert "predicted" in told["why"]
    assert told["evaluation"]["timings"] == []
    assert told["status"] == "correct"
    (report,) = tools.report(begun["run_id"])["searches"]
    assert report["best"] is None
    assert parse(fresh).hash in {one["kernel_hash"] for one in report["predicted"]}


def test_a_ticket_of_a_chip_says_how_that_chip_is_named(bench: Workbench) -> None:
    with Desks(bench, Silent()).of_search(AGENT) as desk:
        run_id = desk.run_id
    seat = SimpleNamespace(**{**vars(bench.seat), "device": toy.DEVICE})
    here = cast(Workbench, SimpleNamespace(**{**vars(bench), "seat": seat}))
    with (
        pytest.raises(UsageError, match="with --device model:m4-max"),
        Desks(here, Silent()).of_ticket(run_id),
    ):
        pass
