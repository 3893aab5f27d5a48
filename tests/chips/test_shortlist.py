"""Which kernels go onto a shortlist, and how it is kept."""

from __future__ import annotations

import json
from dataclasses import replace
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
    partly = replace(candidate("a", 10), left_out=("arithmetic", "cache"))
    write(path, "m5-max", [partly])
    assert read(path) == ("m5-max", [partly])
    assert partly.document("m5-max")["left_out"] == ("arithmetic", "cache")
    older = json.loads(path.read_text())
    del older["kernels"][0]["left_out"]
    path.write_text(json.dumps(older))
    assert read(path) == ("m5-max", [candidate("a", 10)])
    path.write_text('{"kind": "other"}')
    with pytest.raises(UsageError, match="is no shortlist"):
        read(path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("predicted_us", "10", "predicted_us is '10', not a number"),
        ("predicted_us", float("nan"), "predicted_us is nan"),
        ("text", None, "text is None, not a text"),
        ("left_out", "l2", "left_out is 'l2', not a list of texts"),
        ("hash", "a", "unexpected keyword argument 'hash'"),
    ],
)
def test_a_field_that_is_no_good_is_named_with_the_file(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    path = tmp_path / "list.json"
    write(path, "m4-max", [candidate("a", 10)])
    found = json.loads(path.read_text())
    found["kernels"][0][field] = value
    path.write_text(json.dumps(found))
    with pytest.raises(UsageError, match=r"list\.json is no shortlist") as caught:
        read(path)
    assert said in str(caught.value)
