"""Diffs in prompts show the line that failed, however much was changed around it."""

from __future__ import annotations

from foundry.prompts.differences import changes

OLD = "\n".join(f"old {n}" for n in range(1, 61))
NEW = "\n".join(f"new {n}" for n in range(1, 61))


def test_the_line_that_failed_is_shown_where_everything_was_rewritten() -> None:
    for failed in (1, 30, 60):
        said = changes(OLD, NEW, failed=failed, lines=20)
        assert f"+new {failed}    <-- line {failed}" in said
        assert len(said.splitlines()) <= 21
        assert "more lines)" in said


def test_a_small_change_is_shown_whole() -> None:
    said = changes(OLD, OLD.replace("old 7\n", "new 7\n"), failed=7, lines=20)
    assert "-old 7" in said
    assert "+new 7    <-- line 7" in said
    assert "more lines" not in said
