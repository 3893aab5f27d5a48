"""What is told of a process that died."""

from __future__ import annotations

import io

from foundry.harness.processes.start import last_words


def test_of_a_traceback_only_the_end_is_told() -> None:
    printed = b"noise\nTraceback (most recent call last):\n  File 'x'\nImportError: no y\n"
    assert last_words(io.BytesIO(printed)) == "ImportError: no y"


def test_other_words_are_told_from_their_end() -> None:
    assert last_words(io.BytesIO(b"one\ntwo three\n"), most=5) == "three"
