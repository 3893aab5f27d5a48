"""A build of a catalog that was cut short asks its judge the rest alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from foundry.catalog.entry import CatalogEntry
from foundry.catalog.kept import Kept
from foundry.judge.verdict import Diagnostic, Evaluation, Proven, Status
from foundry.kernel import parse
from foundry.program import Device
from ops import registry
from templates import default, get, render

CPU = Device("cpu", "a cpu")


def entry(name: str, dtype: str = "float32") -> CatalogEntry:
    template = get(name)
    kernel = parse(render(template, default(template)))
    evaluation = Evaluation(
        kernel_hash=kernel.hash, op=template.op, dtype=dtype, device_id=CPU.id,
        status=Status.CORRECT, proven=Proven(axes={}, elements=1),
    )  # fmt: skip
    return CatalogEntry(registry.get(template.op), kernel, evaluation, CPU)


ENTRIES = [
    entry("gelu_tanh_elements"),
    entry("gelu_tanh_elements", "float16"),
    entry("silu_elements"),
]


class Asked:
    """A judge that is cut off at an entry."""

    def __init__(self, until: int = 99, status: Status = Status.CORRECT) -> None:
        self.until, self.status, self.seen = until, status, 0

    def __call__(self, entry: CatalogEntry) -> Evaluation:
        if self.seen == self.until:
            raise KeyboardInterrupt
        self.seen += 1
        why = () if self.status.passed else (Diagnostic(stage="verify", message="it is wrong"),)
        return entry.evaluation.model_copy(update={"status": self.status, "diagnostics": why})


def judged(path: Path, judge: Asked, device_id: str = CPU.id) -> int:
    """How often a judge was asked for all entries."""
    judging = Kept(path, device_id).judging(judge)
    with contextlib.suppress(KeyboardInterrupt):
        assert [judging(e).kernel_hash for e in ENTRIES] == [e.kernel.hash for e in ENTRIES]
    return judge.seen


def test_it_goes_on_where_it_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".k.judged.jsonl"
    assert judged(path, Asked(until=2)) == 2
    assert judged(path, Asked()) == 1
    assert judged(path, Asked()) == 0
    Kept(path, CPU.id).forget(ENTRIES)
    assert not path.exists()
    assert judged(path, Asked()) == 3


def test_a_wheel_of_few_ops_leaves_the_verdicts_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "k.jsonl"
    judged(path, Asked())
    Kept(path, CPU.id).forget(ENTRIES[:1])
    assert judged(path, Asked()) == 1


def test_what_failed_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "k.jsonl"
    assert judged(path, Asked(status=Status.WRONG_RESULT)) == 3
    assert judged(path, Asked()) == 3


@pytest.mark.parametrize("spoil", ["cut", "rubbish", "version", "device"])
def test_what_cannot_be_relied_on_is_asked_again(
    tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.jsonl"
    judged(path, Asked())
    device = "metal-1" if spoil == "device" else CPU.id
    if spoil == "version":
        monkeypatch.setattr("foundry.catalog.kept.JUDGE_VERSION", 0)
    if spoil in ("cut", "rubbish"):
        text = path.read_text()
        path.write_text(text[:40] if spoil == "cut" else 'null\n[1]\n{"judge_version": 1}\n')
    assert judged(path, Asked(), device) == 3
