"""`foundry shortlist` and `foundry confirm`: chosen by prediction, kept as measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from foundry.chips import registry
from foundry.chips.confirming import Confirmed
from foundry.chips.profiled import Profiler
from foundry.chips.shortlist import ChosenKernel
from foundry.cli.chips.confirm import _show
from foundry.cli.chips.shortlist import _candidates
from foundry.cli.chips.shortlist import _show as _show_chosen
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.verdict import Evaluation, Status
from foundry.program import Device
from foundry.store.records import StoredEvaluation

EXP = """/*kernel
op = "exp"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = T(metal::exp(float(x[i])));
"""


CANDIDATE = ChosenKernel("exp", "float32", "exp[rows=1]float32", "hash", "text", 10.0, "memory")
PROVEN = Evaluation(
    kernel_hash="h", op="exp", dtype="float32", device_id="d", status=Status.CORRECT
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foundry", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize(
    ("chip", "here", "differs"),
    [
        ("m4-max", "Apple M4 Max", False),
        ("m4", "Apple M4 Max", True),
        ("m4-max", "Apple M4", True),
        ("m1", "Apple M1 (foundry cpu engine)", True),
    ],
)
def test_a_chip_is_the_one_that_was_predicted_for_only_by_its_whole_name(
    chip: str, here: str, differs: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    confirmed = Confirmed(CANDIDATE, PROVEN)
    _show(chip, [confirmed], Device("metal", here))
    assert ("not the same device" in capsys.readouterr().err) == differs


def test_a_ranking_says_what_no_prediction_holds(capsys: pytest.CaptureFixture[str]) -> None:
    _show_chosen([replace(CANDIDATE, left_out=("arithmetic",))])
    assert "memory (arithmetic not known)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_proven_kernel_is_chosen_and_timed(tmp_path: Path) -> None:
    kernel, chosen, db = tmp_path / "k.metal", tmp_path / "list.json", str(tmp_path / "d.db")
    kernel.write_text(EXP)
    assert run("verify", str(kernel), "--dtype", "float32", "--save", "--db", db).returncode == 0
    options = ("--op", "exp", "--chip", "m2-pro", "-o", str(chosen), "--db", db)
    done = run("shortlist", *options, "--json")
    assert done.returncode == 0, done.stderr
    assert "predicted, not timed" in done.stderr
    (listed,) = json.loads(chosen.read_text())["kernels"]
    (told,) = json.loads(done.stdout)
    assert told | {"text": listed["text"]} == listed | {"kind": "prediction", "chip": "m2-pro"}
    confirmed = run("confirm", str(chosen), "--device", "cpu", "--db", db, "--json")
    assert confirmed.returncode == 0, confirmed.stderr
    (one,) = json.loads(confirmed.stdout)
    assert one["kernel_hash"] == listed["kernel_hash"]
    assert one["predicted_us"] == listed["predicted_us"]
    assert one["device"]["kind"] == "cpu"


def test_a_kernel_that_does_not_fit_is_left_out_alone(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = EXP.replace('grid = ["rows * cols"', 'grid = ["nothing"')
    stored = cast(StoredEvaluation, SimpleNamespace(evaluation=PROVEN, text=wrong))
    profiler = Profiler(cast(WorkerPool, None))
    assert list(_candidates([stored], registry.get("m1"), "quick", profiler)) == []
    assert "is left out: line" in capsys.readouterr().err


@pytest.mark.slow
def test_where_nothing_was_proven_there_is_no_list(tmp_path: Path) -> None:
    kernel, db = tmp_path / "k.metal", str(tmp_path / "d.db")
    kernel.write_text(EXP)
    run("verify", str(kernel), "--dtype", "float32", "--save", "--db", db)
    done = run(
        "shortlist", "--op", "silu", "--chip", "m1", "-o", str(tmp_path / "l"), "--db", db, "--json"
    )
    assert done.returncode == 1
    assert json.loads(done.stdout) == []
    assert "foundry run --ops silu" in done.stderr
