"""`foundry bench` shows the roofline and the counters beside its times."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from foundry.cli.commands import application
from foundry.cli.kernels.judging import Judged, KernelText
from foundry.cli.kernels.rooflines import show_counters, show_rooflines
from foundry.harness.frames import Frame
from foundry.harness.measuring.jobs import Calibrate, Peaks, Reach
from foundry.judge.verdict import Evaluation, Timing
from foundry.kernel import parse
from foundry.msl.counters import count, summarise
from foundry.program import Device, Launch, Program, TensorSpec
from foundry.report import counters as shown
from foundry.report.format import factor, percent, size
from foundry.report.roofline import ARITHMETIC, CACHE, MEMORY, roofline
from foundry.report.table import table
from ops import registry

COLUMN_SUMS = """/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.x, cols = x_shape[1];
float peak = -INFINITY, total = 0;
for (uint c = 0; c < cols; ++c) peak = max(peak, float(x[row * cols + c]));
for (uint c = 0; c < cols; ++c) total += exp(float(x[row * cols + c]) - peak);
for (uint c = 0; c < cols; ++c) out[row * cols + c] = exp(float(x[row * cols + c]) - peak) / total;
"""
PEAKS = Peaks((Reach(1 << 20, 100.0),), 10.0, 50.0)


@pytest.fixture(autouse=True)
def private_device_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # Other tests run on the same cores, so a machine that is busy is no finding here.
    monkeypatch.setattr("foundry.judge.time.plausible.agrees", lambda *us: True)
    monkeypatch.setattr("foundry.judge.time.benchmark.is_mostly_dispatch", lambda *us: False)


def bench(text: str, *args: str) -> Result:
    return CliRunner().invoke(application, ["bench", "-", *args], input=text)


@pytest.mark.slow
def test_bench_counts_what_the_kernel_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "k.metal"
    path.write_text(COLUMN_SUMS)
    chosen = ["--bench", "smollm2-135m prefill scores, 128 tokens", "--json"]
    result = CliRunner().invoke(application, ["bench", str(path), *chosen])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (one,) = document["evaluations"][0]["extra"]["counters"].values()
    # 1,152 rows of 128: 36 SIMD-groups of 32 lanes, each on a line of its own.
    assert one["loads"]["instructions"] == 36 * 3 * 128
    assert one["loads"]["transactions"] == 36 * 3 * 128 * 32
    assert one["loads"]["coalescing"] == pytest.approx(1 / 32)
    assert one["ideal_bytes"] == 2 * 1152 * 128 * 4
    assert one["moved_bytes"] == 4 * 1152 * 128 * 4
    assert {line["line"] for line in one["lines"]} == {9, 10, 11}
    assert document["peaks"]["memory_gb_s"] > 0
    (roof,) = document["rooflines"]
    assert roof["dtype"] == "float32"
    assert roof["share_of_roof"] > 0
    printed = _printed(document, capsys)
    assert re.search(r"^Roofline of this device \(cpu\): .* GB/s in", printed, re.M)
    assert "Counters (a GPU modelled, not timed): lines of 128 bytes" in printed
    assert "    9 | for (uint c = 0; c < cols; ++c) peak = max(peak" in printed
    assert "= 32 transactions per SIMD-group load of x where 1 would do" in printed


def _printed(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    judged = Judged(
        KernelText("k.metal", COLUMN_SUMS),
        parse(COLUMN_SUMS),
        registry.get("softmax"),
        Device("cpu", "a processor"),
        tuple(Evaluation.model_validate(e) for e in document["evaluations"]),
        Calibrate().decode(Frame(document["peaks"], memoryview(b""))),
    )
    show_rooflines(judged)
    show_counters(judged)
    return capsys.readouterr().out


def test_a_kernel_that_fails_has_no_counters() -> None:
    result = bench(COLUMN_SUMS.replace("x[row * cols + c]", "x[row * cols + c + 1]"))
    assert result.exit_code == 4
    assert "<stdin>:" in result.stdout
    assert "out-of-bounds" in result.stdout
    assert "Counters" not in result.stdout
    assert "Roofline" not in result.stdout
    result = bench(COLUMN_SUMS.replace("float peak", "flot peak"), "--json")
    assert result.exit_code == 4
    document = json.loads(result.stdout)
    assert document["rooflines"] == []
    assert "counters" not in document["evaluations"][0]["extra"]


@pytest.mark.slow
def test_counters_can_be_left_out() -> None:
    result = bench(COLUMN_SUMS, "--no-counters")
    assert result.exit_code == 0, result.output
    assert "Counters" not in result.stdout
    assert "Roofline" not in result.stdout


def timing(bytes_moved: int = 50_000, flops: int = 10_000, kernel_us: float = 1.0) -> Timing:
    return Timing(
        workload="w",
        baseline="mlx",
        baseline_us=2.0,
        kernel_us=kernel_us,
        speedup=2.0,
        speedup_low=1.9,
        speedup_high=2.1,
        bytes_moved=bytes_moved,
        flops=flops,
    )


def test_the_roof_is_the_slower_of_traffic_and_arithmetic() -> None:
    low = roofline(timing(), PEAKS)
    assert low is not None
    assert (low.roof, low.achieved_gb_s, low.achieved_gflop_s) == (CACHE, 50.0, 10.0)
    assert low.share_of_roof == pytest.approx(0.5)
    assert low.roof_gflop_s == pytest.approx(20.0)
    high = roofline(timing(flops=40_000), PEAKS)
    assert high is not None
    assert high.roof == ARITHMETIC
    assert high.share_of_roof == pytest.approx(0.8)
    assert high.roof_gflop_s == 50.0
    large = roofline(timing(bytes_moved=2 << 20, kernel_us=419.4304), PEAKS)
    assert large is not None
    assert large.roof == MEMORY
    assert large.share_of_roof == pytest.approx(0.5)
    far = roofline(timing(), PEAKS, held_bytes=64 << 20)
    assert far is not None
    assert (far.roof, far.roof_gb_s) == (large.roof, large.roof_gb_s)


def test_no_roof_without_figures() -> None:
    assert roofline(timing(), Peaks((), np.inf, np.inf)) is None
    assert roofline(timing(bytes_moved=0), PEAKS) is None


def test_tables_fit_eighty_characters() -> None:
    x, out = TensorSpec("x", (4096,), "float32"), TensorSpec("out", (4096,), "float32")
    body = """threadgroup float tile[1024];
uint t = thread_position_in_threadgroup.x, i = thread_position_in_grid.x;
tile[t] = x[i];
threadgroup_barrier(mem_flags::mem_threadgroup);
out[i] = tile[(t * 32) % 256];"""
    launch = Launch("k", ("x",), (out,), body, (4096, 1, 1), (256, 1, 1))
    counted = count(
        Program((x,), ("out",), (launch,)), {"x": np.zeros(4096, np.float32)}, threadgroups=4
    )
    summary = summarise(counted, 4096, 32768, lambda stage, part, line: line + 5)
    assert shown.sampled(summary) == "sampled 4 of 16 threadgroups; totals are estimates"
    for columns, rows in (
        (shown.ARRAYS, shown.arrays(summary)),
        (shown.SHARED, shown.shared(summary)),
    ):
        assert rows
        assert max(map(len, table(columns, rows, None).splitlines())) <= 80
    text = "\n".join([*shown.facts(summary), *shown.hottest(summary)])
    assert "bank conflicts: degree 4.50 on average (1.00 without any), worst 8" in text
    assert "16 threadgroup barriers" in text
    assert shown.sentences(summary) == [
        "line 10: 8 bank passes per SIMD-group load of tile where 1 would do"
        " (`out[i] = tile[(t * 32) % 256];`)"
    ]


def test_figures_are_short() -> None:
    assert [size(n) for n in (0, 999, 1000, 18_432, 2_359_296, 5e12)] == [
        "0 B", "999 B", "1.00 KB", "18.4 KB", "2.36 MB", "5.00 TB",
    ]  # fmt: skip
    assert [factor(v) for v in (1.0, 1.5, 9.96, 20736.0)] == ["1x", "1.5x", "10x", "20,736x"]
    assert [percent(v) for v in (1.0, 0.125, 0.05, 0.00043, 0.0)] == [
        "100 %", "12 %", "5.0 %", "0.043 %", "0 %",
    ]  # fmt: skip
