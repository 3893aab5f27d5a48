"""`foundry predict` and `foundry chips`, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
    assert done.returncode == 1
    assert "does not build" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--chip", "m4-mx"), "m4-max"),
        pytest.param(
            ("--chip", "m5-max"), "cores, clock or memory bandwidth", marks=pytest.mark.slow
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


@pytest.mark.slow
def test_the_accuracy_is_told_as_json() -> None:
    done = run("chips", "accuracy", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["pairs"] == found["ways"][0]["pairs"] > 0
