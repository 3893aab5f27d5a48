"""Progress: plain lines, the live table, figures."""

from __future__ import annotations

import io
import os
import pty

import pytest

from foundry.report.display import PlainDisplay, open_display
from foundry.report.format import duration, interval, latency, statuses
from foundry.report.progress import Progress, TaskProgress, totals
from foundry.report.table import Column, table

SOFTMAX = TaskProgress(
    "softmax float32",
    workload="smollm2-135m decode",
    baseline_us=117.4,
    best_us=82.06,
    speedup=1.431,
    speedup_low=1.38,
    speedup_high=1.472,
    statuses={"correct": 2, "faster": 1, "wrong_result": 1},
)
PROGRESS = Progress((SOFTMAX,), done=4, budget=40, fresh=4)


def test_plain_lines_count_and_carry_no_escape_codes() -> None:
    stream = io.StringIO()
    with open_display("softmax on cpu", stream=stream) as display:
        display.event("before anything is known")
        display.update(PROGRESS)
        display.event("softmax row_simd threads=32: faster")
    assert stream.getvalue().splitlines() == [
        "softmax on cpu",
        "before anything is known",
        "[ 4/40] softmax row_simd threads=32: faster",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_event_during_a_redraw_ends_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that redraws would end by it, and the screen stand still for the rest."""
    from foundry.report.terminal import TerminalDisplay

    display = TerminalDisplay("t", _Terminal(), iter(range(100)).__next__)
    text_of = display._event_text

    def slow(line: str) -> object:
        display.event("another one")
        return text_of(line)

    monkeypatch.setattr(display, "_event_text", slow)
    display.event("the first")
    display.render()
    assert len(display._events) == 2


@pytest.mark.parametrize("columns", [48, 60, 80, 140])
def test_the_live_table_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from foundry.report.terminal import TerminalDisplay

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    display = open_display("t", stream=_Terminal(), clock=iter(range(100)).__next__)
    assert isinstance(display, TerminalDisplay)
    display.update(PROGRESS)
    display.event("softmax row_simd threads=32: " + "long " * 40)
    console = Console(width=columns, file=io.StringIO(), record=True)
    console.print(display.render())
    shown = console.export_text()
    assert max(len(line) for line in shown.splitlines()) <= columns
    assert "82.1" in shown
    assert ("smollm2-135m decode" in shown) == (columns == 140)
    if columns >= 80:
        assert "1.43x [1.38, 1.47]" in shown


def test_a_terminal_without_colour_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = _Terminal()
    with open_display("title", stream=stream) as display:
        display.update(PROGRESS)
    assert "1.43x" in stream.getvalue()
    assert "\x1b[32m" not in stream.getvalue()


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_display("t", stream=_Terminal()), PlainDisplay)


def test_a_real_terminal_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        assert not isinstance(open_display("t", stream=stream), PlainDisplay)
    os.close(leader)


def test_totals_show_rate_time_left_and_money() -> None:
    line = totals(Progress((), 10, 40, fresh=10, cost_usd=0.031, tokens=12345), elapsed_s=5.0)
    assert line == "10/40 · 2.0/s · 5s, 15s left · 12,345 tokens · $0.03"
    assert totals(Progress((), 0, time_budget_s=60), 5.0) == "0 · 5s, 55s left"


def test_steps_found_in_the_database_do_not_flatter_the_rate() -> None:
    assert "1.0/s" in totals(Progress((), done=35, budget=40, fresh=5), elapsed_s=5.0)


def test_figures() -> None:
    assert [latency(v) for v in (None, 1.234, 82.06, 1240.4)] == ["-", "1.23", "82.1", "1,240"]
    assert [duration(v) for v in (8.9, 125, 3899)] == ["8s", "2m05s", "1h04m"]
    assert interval(1.4, None, None) == "1.40x"
    assert interval(0.0034, 0.0031, 0.012) == "0.0034x [0.0031, 0.01]"
    assert latency(0.0021) == "0.0021"
    assert latency(0.0) == "0.00"
    assert statuses({"wrong_result": 1, "faster": 2, "correct": 0}) == "faster 2, wrong_result 1"


def test_tables_align_and_shorten_elastic_columns() -> None:
    columns = [Column("name", elastic=True), Column("us", right=True)]
    rows = [["a-long-name-of-a-kernel", "1.0"], ["b", "100.0"]]
    assert table(columns, rows, None).splitlines()[1] == "a-long-name-of-a-kernel    1.0"
    narrow = table(columns, rows, 20).splitlines()
    assert narrow == ["name              us", "a-long-name-…    1.0", "b              100.0"]


def test_a_table_too_narrow_for_all_leaves_out_the_last_elastic_column() -> None:
    columns = [Column("a", elastic=True), Column("b"), Column("c", elastic=True)]
    rows = [["x" * 30, "y" * 10, "z" * 30]]
    for width in range(20, 80):
        shown = table(columns, rows, width).splitlines()
        assert max(map(len, shown)) <= width, width
        assert ("c" in shown[0]) == (width >= 30), width
    assert table(columns, rows, 5).splitlines()[1] == "y" * 10
