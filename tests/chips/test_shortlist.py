"""Which kernels go onto a shortlist, and how it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundry.chips import fitted
from foundry.chips.shortlist import ChosenKernel, read, shortest, write
from foundry.errors import UsageError


def candidate(name: str, us: float) -> ChosenKernel:
    return ChosenKernel("softmax", "float32", "softmax[rows=1]", name, "text", us, "memory")


def test_the_fastest_are_kept_with_those_that_tie_with_the_last() -> None:
    found = [candidate(*one) for one in (("d", 400), ("b", 20), ("a", 10), ("c", 24), ("e", 26))]
    kept = shortest(found, 2, fitted.built_in())
    assert [one.kernel_hash for one in kept] == ["a", "b", "c"]


def test_ties_do_not_fill_the_list_without_end() -> None:
    found = [candidate(f"{n:02d}", 10 + n / 100) for n in range(50)]
    assert len(shortest(found, 5, fitted.built_in())) == 10
    assert shortest([], 5, fitted.built_in()) == []


def test_a_shortlist_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    write(path, "m4-max", [candidate("a", 10)])
    assert read(path) == ("m4-max", [candidate("a", 10)])
    path.write_text('{"kind": "other"}')
    with pytest.raises(UsageError, match="is no shortlist"):
        read(path)
