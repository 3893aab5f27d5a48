"""`foundry predict` and `foundry chips`, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from foundry.chips import fitted, registry
from foundry.chips.prediction import Prediction
from foundry.chips.profiled import Profiler
from foundry.cli.kernels.predict import Predicted, _Asked, _cells, _predicted, _show
from foundry.cli.kernels.sanitize_file import Asked, function_options
from foundry.errors import UsageError
from foundry.harness.measuring.profiling import Unprofiled
from foundry.harness.processes.pool import WorkerPool
from foundry.kernel import Kernel, bind
from ops.spec import Op
from ops.workload import Workload

FAST = """/*kernel
op = "exp"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = T(metal::exp(float(x[i])));
"""
SLOW = FAST.replace(
    "const uint i = thread_position_in_grid.x;",
    "// Neighbouring lanes read elements of other lines.\n"
    "const uint n = threads_per_grid.x, j = thread_position_in_grid.x;\n"
    "const uint i = (j * 97u) % n;",
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foundry", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("kernels")
    for name, text in (("fast", FAST), ("slow", SLOW), ("wrong", FAST.replace("x[i]", "y[i]"))):
        (folder / f"{name}.metal").write_text(text)
    return [str(folder / f"{name}.metal") for name in ("fast", "slow", "wrong")]


@pytest.mark.slow
def test_two_kernels_are_ranked_and_nothing_calls_itself_a_measurement(files: list[str]) -> None:
    axes = ("--axes", "rows=4096,cols=4096")
    done = run("predict", *files[:2], "--chip", "m1-max", *axes, "--json")
    assert done.returncode == 0, done.stderr
    fast, slow = json.loads(done.stdout)
    assert (fast["kind"], fast["workload"]) == ("prediction", "exp[rows=4096,cols=4096]float32")
    assert 1.25 * fast["predicted_us"] < slow["predicted_us"]
    assert fast["low_us"] < fast["predicted_us"] < fast["high_us"]
    assert "speedup" not in done.stdout
    # 128 MiB to and fro at 409.6 GB/s.
    assert fast["predicted_us"] > 2 * 4 * 4096 * 4096 / 409.6e3


@pytest.mark.slow
def test_kernels_that_are_one_are_not_ranked(files: list[str]) -> None:
    done = run("predict", files[0], files[0], "--chip", "m3")
    assert "cannot tell which is faster" in done.stdout
    assert "predictions, not measurements" in done.stderr
    assert "second-level cache" in done.stderr  # what nobody published of the M3


@pytest.mark.slow
def test_what_cannot_be_predicted_says_why(files: list[str]) -> None:
    done = run("predict", files[2], "--chip", "m1")
    assert done.returncode == 4
    assert f"{files[2]} on m1, not predicted: the kernel does not build" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--chip", "m4-mx"), "m4-max"),
        pytest.param(
            ("--chip", "m5-max"), "neither the clock of its cores nor", marks=pytest.mark.slow
        ),
        pytest.param(
            ("--chip", "m1", "--axes", "rows=4"),
            "the axes of exp are rows, cols",
            marks=pytest.mark.slow,
        ),
        (("--chip", "m1", "--axes", "rows"), "is like m=64"),
    ],
)
def test_wrong_usage_exits_2(files: list[str], words: tuple[str, ...], said: str) -> None:
    done = run("predict", files[0], *words)
    assert done.returncode == 2
    assert said in done.stderr


TOO_LARGE = Unprofiled("it is too large")
WHOLE = """#include <metal_stdlib>
kernel void f(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] = 1; }
"""


def asked(**changed: Any) -> _Asked:
    m1 = registry.get("m1")
    return replace(_Asked((m1,), fitted.built_in(), "float32", "quick", None), **changed)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "/*kernel"),
        (FAST.replace("// --- body ---", ""), 1, "body"),
        (FAST.replace('op = "exp"', 'op = "expp"'), 2, "unknown op 'expp': did you mean exp"),
        (FAST.replace('"rows * cols"', '"rows * colums"'), 3, "colums"),
    ],
)
def test_a_file_that_is_no_kernel_is_named_with_its_line_beside_those_that_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    line: int,
    said: str,
) -> None:
    monkeypatch.setattr(Profiler, "profiles", lambda *_: TOO_LARGE)
    good, bad = tmp_path / "good.metal", tmp_path / "bad.metal"
    good.write_text(FAST)
    bad.write_text(text)
    profiler = Profiler(cast(WorkerPool, None))
    if line == 3:
        monkeypatch.setattr(Profiler, "profiles", _bound)
    found = [one for path in (bad, good) for one in _predicted(str(path), asked(), profiler)]
    assert [one.is_invalid for one in found] == [True, False]
    assert found[0].line == line
    told = found[0].document()
    assert (told["file"], told["status"]) == (str(bad), "invalid")
    assert said in told["diagnostics"][0]["message"]
    _show(found, fitted.built_in())
    shown = capsys.readouterr().out
    assert f"{bad}:{line}: invalid: " in shown
    assert f"{good} on m1, not predicted: it is too large" in shown


def _bound(_: Profiler, kernel: Kernel, op: Op, workload: Workload) -> Unprofiled:
    bind(kernel, op, workload)
    return TOO_LARGE


@pytest.mark.parametrize(
    ("text", "changed", "said"),
    [
        (WHOLE, {}, "name one with --function"),
        (FAST, {"axes": {"rows": 4}}, "the axes of exp are rows, cols"),
        (FAST, {"axes": {"rows": 4, "cols": -4}}, "cols is -4"),
        (FAST, {"dtype": "int32"}, "int32"),
        (FAST, {"bench": "nothing"}, "unknown bench case of exp 'nothing'"),
    ],
)
def test_what_does_not_fit_is_said_with_the_name_of_the_file(
    tmp_path: Path, text: str, changed: dict[str, Any], said: str
) -> None:
    path = tmp_path / "mine.metal"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"mine\.metal") as caught:
        list(_predicted(str(path), asked(**changed), Profiler(cast(WorkerPool, None))))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--function", "f"), "--function needs --threadgroup"),
        (("--buffer", "x=7"), "--buffer goes with --function"),
        pytest.param(
            ("--function", "f", "--threadgroup", "32", "--grid", "64", "--axes", "n=4"),
            "--axes goes with kernel files",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("--function", "g", "--threadgroup", "32", "--grid", "64"),
            "mine.metal: unknown",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_dispatch_that_does_not_fit_exits_2(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    path = tmp_path / "mine.metal"
    path.write_text(WHOLE)
    done = run("predict", str(path), "--chip", "m1", *words)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'#include "missing.h"\n{WHOLE}', "missing.h"),
        pytest.param(WHOLE.replace("= 1;", "= y;"), "'y'", marks=pytest.mark.slow),
    ],
)
def test_a_function_of_a_file_that_does_not_build_exits_as_sanitize_does(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "mine.metal"
    path.write_text(text)
    words = ("--function", "f", "--threadgroup", "32", "--grid", "64", "--buffer", "x=f32[64]:new")
    done = run("predict", str(path), "--chip", "m1", *words)
    assert done.returncode == 4, done.stderr
    assert "on m1, not predicted: " in done.stdout
    assert said in done.stdout


def test_every_option_of_a_dispatch_is_named_as_it_is_typed() -> None:
    options = click.command()(function_options(lambda: None)).params
    others = [one for one in options if one.name != "function"]
    assert len(others) == len(options) - 1 == 7
    nothing: dict[str, Any] = {str(one.name): () if one.multiple else None for one in options}
    for one in others:
        given = Asked(**{**nothing, str(one.name): ("x",) if one.multiple else "x"})
        with pytest.raises(UsageError, match=f"^{one.opts[0]} goes with --function NAME"):
            _ = given.is_wanted


def test_a_table_says_what_is_left_out() -> None:
    said = SimpleNamespace(us=1.0, low_us=0.5, high_us=2.0, bound="memory", left_out=("l2",))
    one = Predicted("k.metal", "exp", "m5-max", cast(Prediction, said))
    assert _cells(one)[-1] == "memory (l2 not known)"


@pytest.mark.slow
def test_a_function_of_a_whole_file_is_predicted_for_one_dispatch(tmp_path: Path) -> None:
    path = tmp_path / "mine.metal"
    path.write_text(WHOLE)
    words = ("--function", "f", "--threadgroup", "256", "--buffer", "x=f32[4194304]:new")
    done = run("predict", str(path), "--chip", "m1", *words, "--grid", "4194304", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["kind"], found["workload"]) == ("prediction", "f, 4194304 threads by 256")
    # 16 MiB at 68 GB/s.
    assert found["predicted_us"] > 4 * 4194304 / 68.3e3


def test_a_database_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    done = run("chips", "fit", "--db", str(tmp_path / "d.db"), "-o", str(tmp_path / "fit.toml"))
    assert done.returncode == 2
    assert "--db goes with --from-store" in done.stderr
    assert not (tmp_path / "fit.toml").exists()


@pytest.mark.slow
def test_the_accuracy_is_told_as_json() -> None:
    done = run("chips", "accuracy", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["pairs"] == found["ways"][0]["pairs"] > 0
