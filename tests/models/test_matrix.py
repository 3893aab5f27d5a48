"""`validate`, `matrix` and `capsule` from the command line: what is kept, shown and compared."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pattern_package import OPS, at_work, entry, written

pytest.importorskip("mlx_lm")

from foundry.catalog.build import write_wheel
from foundry.catalog.reader import read_wheel
from foundry.cli.models.validating import validated
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.models import matrix
from foundry.models.capsule import Capsule, differences, read, render
from foundry.models.comparing import PromptComparison, throughput
from foundry.models.conditions import ValidationConditions, ValidationPlan, command
from foundry.models.loading import load
from foundry.models.measured import of_validation
from foundry.models.package import catalog
from foundry.models.page import page
from foundry.models.validation import ModelValidation, validate
from foundry.program import Device
from foundry.store import Store, validations
from foundry.store.validations import ValidationKey


def foundry(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "FOUNDRY_DB": str(folder / "ledger.db"),
        "PATTERNS_CACHE_DIR": str(folder),
    }
    return subprocess.run(
        [sys.executable, "-m", "foundry", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_matrix_is_kept_and_its_cells_can_be_repeated(tmp_path: Path) -> None:
    entries = [entry(op, "float32") for op in OPS]
    wheel = write_wheel(tmp_path, "patterns", "0.1.0", entries)
    recipe = tmp_path / "models.toml"
    recipe.write_text(
        f'catalog = "{wheel.name}"\nmodes = ["stable", "fast"]\ntokens = 6\npairs = 2\n'
        '[[models]]\nname = "tiny:llama"\n[[models]]\nname = "tiny:llama"\ndtype = "bfloat16"\n'
    )
    call = ("matrix", "models.toml", "--every-kernel", "--csv", "a.csv", "--html", "a.html")
    first = foundry(tmp_path, *call)
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("kept as validation") == 4
    assert (tmp_path / "a.csv").read_text().count("\n") == 5
    assert "tiny:llama bfloat16" in (tmp_path / "a.html").read_text()
    again = foundry(tmp_path, *call)
    assert "kept as validation" not in again.stderr
    assert again.stdout == first.stdout
    one = foundry(tmp_path, "capsule", "write", "one.json", "--validation", "1")
    assert one.returncode == 0, one.stderr
    other = foundry(tmp_path, "capsule", "write", "two.json", "--validation", "2")
    assert other.returncode == 0, other.stderr
    shown = foundry(tmp_path, "capsule", "show", "one.json")
    assert "foundry validate tiny:llama --catalog patterns --mode stable" in shown.stdout
    assert "--tokens 6 --pairs 2 --every-kernel" in shown.stdout
    assert "mlx-lm" in shown.stdout
    compared = json.loads(
        foundry(tmp_path, "capsule", "compare", "one.json", "two.json", "--json").stdout
    )
    assert "document.mode" in {row["where"] for row in compared}
    unknown = foundry(tmp_path, "validate", "tiny:lama", "--catalog", wheel.name)
    assert unknown.returncode == 2
    assert "did you mean llama" in unknown.stderr, unknown.stderr
    assert foundry(tmp_path, "validate", "nowhere", "--catalog", wheel.name).returncode == 2


UNDER = ValidationConditions(source="tiny:llama", tokens=6, pairs=2, tuned="t", mlx_lm="0.32")
OTHERWISE: list[dict[str, Any]] = [
    {"tokens": 7}, {"pairs": 3}, {"only": ("norms",)}, {"without": ("rope",)},
    {"dispatch": "all"}, {"tuned": "u"}, {"mlx_lm": "0.33"}, {"dtype": "bfloat16"},
]  # fmt: skip


def test_a_cell_is_known_under_its_own_conditions_alone(tmp_path: Path) -> None:
    device = Device("cpu", "a CPU")
    key = ValidationKey("tiny:llama", "w", "stable", "c", device.id)
    with Store.open(f"sqlite:///{tmp_path / 'ledger.db'}") as store:
        validations.keep(store, key, device, validation().model_dump(mode="json"))
        assert validations.latest(store, key, UNDER.model_dump(mode="json"))
        for changed in OTHERWISE:
            under = UNDER.model_copy(update=changed).model_dump(mode="json")
            assert validations.latest(store, key, under) is None, changed


def test_a_database_that_cannot_be_used_is_said_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("foundry.models.validation.validate", decoded)
    (tmp_path / "a.db").write_text("hello")
    with pytest.raises(EnvironmentUnusable, match="is not a database"):
        validated(None, None, None, str(tmp_path / "a.db"), save=True)  # type: ignore[arg-type]


def test_a_validation_without_conditions_is_answered_in_a_sentence(tmp_path: Path) -> None:
    """Rows of a version that did not keep them."""
    device = Device("cpu", "a CPU")
    key = ValidationKey("tiny:llama", "w", "stable", "c", device.id)
    document = validation().model_dump(mode="json")
    del document["conditions"]
    with Store.open(f"sqlite:///{tmp_path / 'ledger.db'}") as store:
        number = validations.keep(store, key, device, document)
        with pytest.raises(UsageError, match=f"validation {number} does not say .* conditions"):
            of_validation(store, number)


def test_a_command_says_all_that_a_result_depends_on() -> None:
    assert command(UNDER, "mine", "fast") == (
        "foundry validate tiny:llama --catalog mine --mode fast --tokens 6 --pairs 2"
    )
    under = ValidationConditions(
        source="my model", dtype="bfloat16", quantised=4, tokens=9, pairs=0, only=("norms", "glu"),
        without=("rope",), dispatch="all", tuned="t", mlx_lm="0.32",
    )  # fmt: skip
    assert command(under, "mine", "stable") == (
        "foundry validate 'my model' --catalog mine --mode stable --tokens 9 --pairs 0"
        " --dtype bfloat16 --quantised 4 --only norms,glu --without rope --every-kernel"
    )
    off = command(UNDER.model_copy(update={"dispatch": "off"}), "mine", "stable")
    assert off.startswith("MINE_DISPATCH=off foundry")


def validation(**changed: Any) -> ModelValidation:
    values: dict[str, Any] = {
        "conditions": UNDER,
        "model": "tiny:llama", "family": "llama", "weights_hash": "w", "mode": "stable",
        "catalog": "mine", "catalog_version": "0.1.0", "catalog_hash": "c",
        "patterns": {"norms": 5}, "kernels_ran": {"rms_norm": 2},
        "prompts": (PromptComparison(tokens=6, identical=6, furthest=1e-6),),
    }  # fmt: skip
    return ModelValidation(**(values | changed))


PARTED = PromptComparison(tokens=6, identical=2, furthest=0.1, plain_margin=0.02, parted_by=0.1)


def test_a_cell_says_where_tokens_part_and_why_nothing_ran() -> None:
    assert matrix.why(validation()) == ""
    assert matrix.why(validation(kernels_ran={})) == "no kernel answered a call on this machine"
    idle = validation(kernels_ran={}, kernels_idle={"rope": "no Metal", "rms_norm": "no Metal"})
    assert matrix.why(idle) == "no kernel answered a call on this machine: no Metal"
    said = matrix.why(validation(prompts=(PARTED,)))
    assert said == (
        "parts at token 2: the plain model preferred its own by 0.02, logits differ by 0.1"
    )
    assert matrix.row_of(validation(prompts=(PARTED,)))[6:9] == ("6", "2", "0.1")


def test_the_page_and_the_table_hold_what_was_found() -> None:
    found = [validation(model="<b>"), validation(prompts=(PARTED,)), validation(kernels_ran={})]
    text = page(found, "a CPU")
    assert "&lt;b&gt;" in text
    assert text.count("class='parts'") == 1
    assert "3 cells; in 2 kernels answered calls, and in 1 of these" in text
    assert matrix.as_csv([matrix.row_of(v) for v in found]).count("\n") == 4


RECIPE = 'catalog = "a"\ntokens = 9\n[[models]]\nname = "tiny:llama"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("catalog = 3", "needs catalog"),
        ('catalog = "a"', "needs catalog and"),
        ('catalog = "a"\nmodel = []\n[[models]]\nname="tiny:llama"', "knows no 'model'"),
        ('catalog = "a"\nmodes = ["fats"]\n[[models]]\nname="x"', "mode 'fats'"),
        ('catalog = "a"\n[[models]]\nnam="x"', "a model has name"),
        ("[", "is no recipe"),
        (RECIPE.replace("tokens = 9", "tokens = 1"), "tokens is 1; give a whole number of 2"),
        (RECIPE.replace("tokens = 9", 'tokens = "9"'), "tokens is '9'; give a whole number"),
        (RECIPE.replace("tokens = 9", "pairs = -1"), "pairs is -1; give a whole number of 0"),
        (RECIPE.replace("tokens = 9", "modes = []"), "modes is []; give a list of stable"),
        (RECIPE.replace("tokens = 9", "modes = 3"), "modes is 3; give a list of stable"),
        (RECIPE.replace("tokens = 9", "modes = [[3]]"), "mode '[3]'; give stable"),
        ('catalog = "a"\nmodels = 3', "models is 3; give a table"),
        ('catalog = "a"\nmodels = ["x"]', "give a table [[models]] for each"),
        (RECIPE + 'dtype = "float8"', "dtype is float32, float16, bfloat16, and quantised 4 or 8"),
        (RECIPE + "quantised = 3", "and quantised 4 or 8"),
        (RECIPE + "quantised = []", "and quantised 4 or 8"),
        (RECIPE + "quantised = 4.0", "and quantised 4 or 8"),
        (RECIPE + "quantised = false", "and quantised 4 or 8"),
    ],
)
def test_a_recipe_that_means_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "models.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        matrix.read(file)


def test_a_model_that_is_not_there_is_said_before_the_first_is_decoded(tmp_path: Path) -> None:
    recipe = tmp_path / "models.toml"
    names = "".join(f'[[models]]\nname = "{name}"\n' for name in ("tiny:llama", "tiny:lama"))
    recipe.write_text(f'catalog = "no_such_package"\n{names}')
    done = foundry(tmp_path, "matrix", "models.toml")
    assert done.returncode == 2
    assert "unknown tiny model 'lama': did you mean llama" in done.stderr


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "dist/my_kernels", "a b"])
def test_what_names_no_package_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no package; give its import name"), catalog(name):
        pass


@pytest.mark.parametrize("held", [{}, {"a/__init__.py": ""}, {"a/catalog.json": "[]"}])
def test_a_wheel_without_a_catalog_is_told_so(tmp_path: Path, held: dict[str, str]) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in held.items():
            archive.writestr(name, text)
    said = "is not a catalog wheel" if held.keys() - {"a/__init__.py"} else "holds no catalog.json"
    with pytest.raises(UsageError, match=said):
        read_wheel(wheel)


@pytest.mark.parametrize(
    ("init", "ops", "said"),
    [
        ("1 / 0", "[]", "ZeroDivisionError: division by zero"),
        ("def", "[]", "SyntaxError"),
        ("from . import part", "[]", "ImportError: cannot import name 'part'"),
        ("import a_broken_wheel.part", "[]", "No module named 'a_broken_wheel.part'"),
        ("import a_library_that_is_not_there", "[]", "No module named 'a_library_that"),
        ("", "{}", "lists no ops"),
        ("FUNCTIONS = {}", "[]", "it has no dispatch"),
    ],
)
def test_a_wheel_that_cannot_be_imported_says_why(
    tmp_path: Path, init: str, ops: str, said: str
) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a_broken_wheel/__init__.py", init)
        archive.writestr("a_broken_wheel/catalog.json", f'{{"ops": {ops}}}')
    with pytest.raises(UsageError, match=f"a_broken_wheel is not a catalog .*{said}"):
        catalog(str(wheel)).__enter__()
    assert "a_broken_wheel" not in sys.modules


def test_a_wheel_whose_bytes_were_changed_is_told_so(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/catalog.json", json.dumps({"ops": list(range(4000))}))
    whole = wheel.read_bytes()
    for at in range(0, len(whole), 7):
        wheel.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        for reading in (read_wheel, lambda path: catalog(str(path)).__enter__()):
            with pytest.raises(UsageError, match="is not a catalog"):
                reading(wheel)


def test_a_pattern_that_there_is_not_is_said_before_anything_is_decoded(tmp_path: Path) -> None:
    name = "no_pattern"
    with at_work(written(tmp_path, name, ops=("rms_norm",)), name) as package:
        loaded = dataclasses.replace(load("tiny:llama"), prompts=((None,),))  # type: ignore[arg-type]
        plan = ValidationPlan("stable", 5, 0, ("norm",))
        with pytest.raises(UsageError, match="no pattern 'norm'; there are norms"):
            validate(loaded, package, plan)


def test_a_ratio_of_equal_times_is_one() -> None:
    found = throughput(10, [1.0, 2.0, 1.5], [1.0, 2.0, 1.5])
    assert (found.gain, found.gain_low, found.gain_high) == (1.0, 1.0, 1.0)
    assert found.plain_tokens_s == 10 / 1.5


def capsule(**changed: Any) -> Capsule:
    values: dict[str, Any] = {
        "kind": "evaluation", "device": {"name": "a CPU", "kind": "cpu"},
        "environment": {"python": "3.11"}, "hashes": {"kernel": "k"}, "command": "foundry bench",
        "document": {"timings": [{"samples": [1.0, 2.0]}]},
    }  # fmt: skip
    return Capsule(**(values | changed))


def test_a_capsule_reads_back_and_one_that_was_changed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "capsule.json"
    file.write_text(render(capsule()))
    assert read(file) == capsule()
    file.write_text(render(capsule()).replace("2.0", "1.0"))
    with pytest.raises(UsageError, match="was changed after it was written"):
        read(file)
    for text in ("{}", "", "[]", "null", "[" * 100_000):
        file.write_text(text)
        with pytest.raises(UsageError, match="is no capsule"):
            read(file)


def test_capsules_differ_in_what_differs() -> None:
    other = capsule(document={"timings": [{"samples": [1.0, 3.0]}]}, environment={})
    found = differences(capsule(), other)
    assert [where for where, _, _ in found] == [
        "environment.python",
        "document.timings[0].samples",
    ]
    assert differences(capsule(), capsule()) == []
