"""What a dataset is made of: distinct kernels, planted faults, and the order in which they come."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from discover.cli.dataset import command
from discover.corpus.faults import FAULTS, planted
from discover.corpus.field import Field, Plot
from discover.corpus.kernels import Made, kernels
from discover.corpus.maker import _lacks
from discover.corpus.recipe import CorpusRecipe
from discover.corpus.thrift import MOST_HELD, ONE_IN, is_built_for_sizes, measured, shares, thrifty
from discover.recipes import read
from foundry.errors import UsageError
from foundry.judge.time.counting import KEY as COUNTERS
from foundry.judge.verdict import Diagnostic, Evaluation, Proven, Status
from foundry.kernel import parse
from foundry.kernel.normal_form import normalise
from ops import get


def made(op: str, count: int, seed: int = 3) -> list[Made]:
    return list(itertools.islice(kernels(get(op), seed), count))


def test_kernels_of_an_op_are_distinct_and_decided_by_the_seed() -> None:
    found = made("row_sum", 24)
    texts = [one.text for one in found]
    assert texts == [one.text for one in made("row_sum", 24)]
    assert texts != [one.text for one in made("row_sum", 24, seed=4)]
    assert len({normalise(text) for text in texts}) == 24
    assert all(parse(one.text).hash == one.kernel.hash for one in found)


def test_rewrites_name_what_they_were_made_from() -> None:
    found = made("row_sum", 24)
    before: set[str] = set()
    for one in found:
        is_rewrite = one.origin.name == "mutate"
        assert (one.parent in before) is is_rewrite, one.origin
        before.add(one.kernel.hash)
    assert any(one.parent for one in found)
    assert any(not one.parent for one in found)


KERNELS = [one.text for op in ("softmax", "matmul", "row_sum", "exp") for one in made(op, 6)]


def test_ops_that_are_compiled_for_every_size_give_few() -> None:
    found = shares([get(name) for name in ("row_sum", "attention", "softmax")], 330)
    assert found == {"row_sum": 164, "softmax": 164, "attention": 4}


def test_of_an_op_that_gives_few_not_all_are_measured() -> None:
    assert measured(get("attention"), 4, 8, 2) == 2
    assert measured(get("attention"), 3, 8, 4) == 0
    assert measured(get("attention"), 400, 8, 4) == 8
    assert measured(get("row_sum"), 4, 8, 2) == 8
    assert shares([get("attention")], 7) == {"attention": 7}
    assert all(count >= 1 for count in shares([get("row_sum"), get("attention")], 1).values())


def test_few_kernels_are_compiled_for_every_size_and_none_is_lost() -> None:
    op = get("row_sum")
    plain = made("row_sum", 160)
    found = list(thrifty(iter(plain), op))
    costly = [is_built_for_sizes(one.kernel, op) for one in found]
    assert {one.kernel.hash for one in found} == {one.kernel.hash for one in plain}
    assert sum(costly) > 10
    assert sum(costly[:64]) <= 64 // ONE_IN
    assert sum(is_built_for_sizes(one.kernel, op) for one in plain[:64]) > 64 // ONE_IN
    before: set[str | None] = {None}
    for one in found:
        assert one.parent in before
        before.add(one.kernel.hash)


def test_what_an_op_always_compiles_in_is_held_back_no_longer_than_needed() -> None:
    """Not where the op says so of an axis, and not for ever where all kernels are of that kind."""
    op = get("attention")
    assert not any(is_built_for_sizes(one.kernel, op) for one in made("attention", 4))
    row_sum = get("row_sum")
    costly = [one for one in made("row_sum", 400) if is_built_for_sizes(one.kernel, row_sum)]
    taken = 0

    def counted() -> Iterator[Made]:
        nonlocal taken
        for one in costly:
            taken += 1
            yield one

    next(thrifty(counted(), row_sum))
    assert taken == min(MOST_HELD + 1, len(costly))


def test_a_planted_fault_changes_one_place() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    met: set[str] = set()
    for number, text in enumerate(KERNELS):
        for fault, broken in planted(text, number):
            spans = list(fault.places(text))
            begin, end = spans[number % len(spans)]
            assert broken != text
            assert broken.startswith(text[:begin])
            assert broken.endswith(text[end:])
            met.add(fault.name)
    assert len(met) > len(FAULTS) / 2, sorted({fault.name for fault in FAULTS} - met)


def test_faults_leave_comments_alone() -> None:
    marker, said = "// --- body ---\n", "// exp(x) + sqrt(y); float a = 0.0f;\n"
    text = KERNELS[0].replace(marker, marker + said)
    begin = text.index(said)
    for fault in FAULTS:
        if not fault.header:
            inside = [span for span in fault.places(text) if begin < span[0] < begin + len(said)]
            assert not inside, fault.name


def recipe(**given: object) -> CorpusRecipe:
    values = {"name": "few", "ops": ("row_sum", "exp"), "kernels": 6, "faults": 1.0, "rounds": 2}
    return CorpusRecipe.model_validate(values | given)


def judged(plot: Plot, status: Status) -> Evaluation:
    proven = Proven(axes={}, elements=1) if status.passed else None
    why = () if status.passed else (Diagnostic(stage="verify", message="it is wrong"),)
    return Evaluation(
        kernel_hash=plot.hash, op=plot.op.name, dtype=plot.dtype, device_id="cpu-1",
        status=status, proven=proven, diagnostics=why,
    )  # fmt: skip


def harvested(asked: CorpusRecipe, status: Status = Status.CORRECT) -> tuple[list[Plot], Field]:
    """Every plot of a recipe: what is planted fails, all else is as given."""
    field = Field(asked, [get(name) for name in asked.op_names()])
    plots = []
    while len(plots) < 100 and (plot := field.take()) is not None:
        plots.append(plot)
        field.grew(plot, judged(plot, Status.WRONG_RESULT if plot.is_planted else status))
    return plots, field


def test_ops_take_turns_and_faults_follow_what_was_proven() -> None:
    plots, field = harvested(recipe())
    assert field.verified == {"row_sum": 4, "exp": 2}
    assert field.statuses == {"correct": 6, "wrong_result": 6}
    assert field.faults == {"wrong_result": 6}
    for before, plot in itertools.pairwise(plots):
        if plot.is_planted:
            assert plot.parent == before.hash
            assert plot.origin.detail["fault"] in {fault.name for fault in FAULTS}
    whole = [plot.op.name for plot in plots if not plot.is_planted]
    assert whole == ["row_sum", "row_sum", "exp", "exp", "row_sum", "row_sum"]
    assert len({plot.hash for plot in plots}) == len(plots)


def test_nothing_is_planted_into_what_failed() -> None:
    plots, field = harvested(recipe(), Status.BUILD_ERROR)
    assert not any(plot.is_planted for plot in plots)
    assert not field.verified


def test_a_recipe_decides_how_much_and_in_which_dtype() -> None:
    again = [plot.hash for plot in harvested(recipe())[0]]
    assert again == [plot.hash for plot in harvested(recipe())[0]]
    assert not any(plot.is_planted for plot in harvested(recipe(faults=0))[0])
    some = sum(plot.is_planted for plot in harvested(recipe(faults=0.5, kernels=20))[0])
    assert 4 <= some <= 16
    plots, _ = harvested(recipe(faults=0, timed=1, explained=2, dtypes=("float32", "float16")))
    of_one = [plot for plot in plots if plot.op.name == "row_sum"]
    assert [plot.timed for plot in of_one[:3]] == [True, False, False]
    assert [plot.explained for plot in of_one[:3]] == [True, True, False]
    assert [plot.dtype for plot in of_one[:4]] == ["float32", "float32", "float32", "float16"]


def test_what_a_run_goes_on_from_is_the_same_for_more_kernels() -> None:
    assert recipe(kernels=9).settings() == recipe().settings()
    assert recipe(faults=2.0).settings() != recipe().settings()
    assert recipe(ops=("all",), hold_out=("softmax",)).op_names().count("softmax") == 0
    families = recipe(valid=("reductions", "scan")).choice({"row_sum": 3}).valid
    assert families == (get("row_sum").family,)


@pytest.mark.slow
def test_a_dataset_is_made_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text(
        'name = "few"\nops = ["exp", "row_sum"]\nkernels = 3\nfaults = 1.0\ntimed = 0\n'
        'explained = 0\nrounds = 1\ndevice = "cpu"\ndtypes = ["float32"]\n'
    )

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=os.environ | {"FOUNDRY_DB": str(tmp_path / "few.db")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    command = ("-m", "discover", "dataset", "few.toml", "-o", "out", "--json")
    first = json.loads(run(*command))
    assert first["made"]["kernels"] >= 3
    assert first["made"]["fresh"] >= 6
    assert sum(first["made"]["faults"].values()) >= 1
    again = json.loads(run(*command))
    assert again["made"]["fresh"] == 0
    assert again["files"] == first["files"]
    rows = tmp_path / "out" / "sft" / "train.jsonl"
    verify = ("-m", "foundry", "data", "verify", "--device", "cpu", "--json")
    said = json.loads(run(*verify, str(rows)))
    assert said["rows"] == len(rows.read_text().splitlines())
    assert not said["wrong"]
    assert not said["leaking"]
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    lines[0]["messages"][-1]["content"] = lines[0]["messages"][-1]["content"].replace("+", "-")
    lines[-1]["messages"][0]["content"] += " See /Users/somebody/notes.txt."
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    said = json.loads(run(*verify, str(wrong), code=1))
    assert len(said["wrong"]) == 1
    assert any("/Users/somebody" in what for leak in said["leaking"].values() for what in leak)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('ops = ["all", "row_sums"]', "'ops.row_sums': .*mean row_sum"),
        ('hold_out = ["all"]', "'hold_out.all': unknown op"),
        ('dtypes = ["float31"]', "'dtypes.float31': .*mean float32"),
        ('test = ["atention"]', "'test.atention': .*mean attention"),
        ('device = "cppu"', "'device': .*mean cpu"),
        ('chips = ["m4", "m77"]', "'chips': unknown chip"),
        ('teachers = "nobody"', "'teachers': unknown teachers"),
        (f"seed = {2**63}", "'seed': .*2147483647"),
    ],
)
def test_a_broken_recipe_of_a_dataset_says_where(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "r.toml"
    file.write_text(f'name = "few"\n{line}\n')
    with pytest.raises(UsageError, match=f"r.toml, line 2: {words}"):
        read(file, CorpusRecipe)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"hold_out": ("exp", "row_sum")}, "all 2 ops are held out"),
        ({"valid": ("scan", "reductions"), "test": ("reductions",)}, "valid and in test"),
        ({"valid": ("elementwise",), "test": ("reductions",)}, "no family is left to train on"),
    ],
)
def test_a_recipe_that_ends_in_no_dataset_is_refused_before_anything_is_made(
    more: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        recipe(ops=("exp", "row_sum"), **more).check()
    recipe(ops=("exp", "row_sum"), valid=("elementwise",), test=("scan",)).check()


def test_a_folder_with_files_of_somebody_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("few.toml").write_text('name = "few"\nops = ["exp"]\nkernels = 1\n')
    Path("README.md").write_text("mine")
    found = CliRunner().invoke(command, ["few.toml", "-o", ".", "--db", "few.db"])
    assert isinstance(found.exception, UsageError)
    assert "no export wrote README.md" in str(found.exception)
    assert not Path("few.db").exists()


def test_what_lacks_the_times_or_counters_that_are_asked_for_is_judged_again() -> None:
    plot = harvested(recipe(faults=0))[0][0]
    found = judged(plot, Status.CORRECT)
    assert not _lacks(found, replace(plot, timed=False, explained=False))
    assert _lacks(found, replace(plot, timed=True, explained=False))
    assert _lacks(found, replace(plot, timed=False, explained=True))
    counted = found.model_copy(update={"extra": {COUNTERS: {}}})
    assert not _lacks(counted, replace(plot, timed=False, explained=True))
    failed = judged(plot, Status.BUILD_ERROR)
    assert not _lacks(failed, replace(plot, timed=True, explained=True))
