"""What `verify` and `bench` say while they work."""

from __future__ import annotations

import io

import pytest

from foundry.cli.kernels.judging import _announced


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_what_is_judged_and_a_file_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal, file = Terminal(), io.StringIO()
    dtypes = ("float32", "float16")
    assert tuple(_announced("silu", dtypes, terminal)) == dtypes
    assert terminal.getvalue() == (
        "\r\x1b[Kjudging silu in float32 (1 of 2)\r\x1b[Kjudging silu in float16 (2 of 2)\r\x1b[K"
    )
    assert tuple(_announced("silu", dtypes, file)) == dtypes
    assert file.getvalue() == ""
