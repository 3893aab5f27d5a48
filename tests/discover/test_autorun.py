from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from click.testing import CliRunner, Result
from toy import DEVICE

from discover.autorun.autorun import settings, share
from discover.autorun.products import Written, write_products
from discover.autorun.recipe import Products, Recipe
from discover.autorun.standing import Standing
from discover.budget.limits import Limits, Spend
from discover.cli.commands import application
from discover.recipes import read
from discover.search.workbench import Workbench
from foundry.catalog.reader import read_wheel
from foundry.errors import UsageError
from foundry.store import Store
from ops import registry as registry_of_ops

RECIPES = Path(__file__).parents[2] / "runs"
RECIPE = """
name = "tiny"
ops = ["silu"]
seed = 3
device = "cpu"
confirm = 0
[per_op]
evaluations = 4
[products]
catalog = "tiny_kernels"
"""


def autorun(folder: Path, *more: object, code: int = 0, recipe: str = RECIPE) -> Result:
    file = folder / "tiny.toml"
    file.write_text(recipe)
    arguments = ["autorun", file, "-o", folder / "out", "--db", folder / "a.db", *more]
    result = CliRunner().invoke(application, [str(a) for a in arguments])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


@pytest.mark.slow
def test_an_autorun_leaves_dataset_wheel_and_report(tmp_path: Path) -> None:
    found = json.loads(autorun(tmp_path, "--json").stdout)
    assert found["searches"][0]["op"] == "silu"
    assert found["searches"][0]["evaluations"] == 4
    products = {p["kind"]: Path(p["path"]) for p in found["products"]}
    assert products["catalog"].name.startswith("tiny_kernels-")
    shipped = [entry.kernel.hash for entry in read_wheel(products["catalog"])]
    assert shipped == [found["searches"][0]["best"]["kernel_hash"]]
    rows = (products["dataset"] / "attempts.jsonl").read_text().splitlines()
    assert len(rows) >= 4
    assert json.loads(products["report"].read_text())[0]["best"]["kernel_hash"]
    assert list((products["training"] / "sft").glob("*.jsonl"))


@pytest.mark.slow
def test_the_table_and_the_next_commands_are_printed(tmp_path: Path) -> None:
    result = autorun(tmp_path)
    assert "base us" in result.stdout
    assert "speedup [95 %]" in result.stdout
    assert "catalog: " in result.stdout
    assert "no API key: proposer mutate" in result.stderr
    assert "next: pip install" in result.stderr


ELSEWHERE = """
[elsewhere]
chip = "m4-max"
per_op = { evaluations = 2 }
"""


@pytest.mark.slow
def test_without_a_gpu_a_chip_is_searched_for_as_well(tmp_path: Path) -> None:
    result = autorun(tmp_path, "--json", recipe=RECIPE + ELSEWHERE)
    both = json.loads(result.stdout)["elsewhere"]
    assert both["chip"] == "m4-max"
    assert [row["found_for"] for row in both["kernels"]] == ["this machine", "m4-max"]
    for row in both["kernels"]:
        assert row["measured_here_us"] > 0
        assert row["predicted"][0]["kind"] == "prediction"
        assert row["predicted"][0]["bound"]
    with Store.open(str(tmp_path / "a.db"), read_only=True) as store:
        kinds = {stored.device.kind: stored.evaluation for stored in store.evaluations()}
        of_chip = [e.evaluation for e in store.evaluations() if e.device.kind == "model"]
    assert set(kinds) == {"cpu", "model"}
    assert all(e.score is None and e.status != "faster" for e in of_chip)


def test_what_is_searched_for_a_chip_is_the_recipe_on_that_device() -> None:
    recipe = read(RECIPES / "quick.toml", Recipe)
    asked = recipe.of_chip()
    assert asked is not None
    assert asked.device == "model:m4-max"
    assert asked.tasks() == recipe.tasks()
    assert asked.of_chip() is None
    assert settings(asked) | {"device": recipe.device} == settings(recipe)


@pytest.mark.slow
def test_a_search_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    autorun(tmp_path)
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}") as store:
        runs = store.runs()
        before = sum(1 for _ in store.evaluations())
        # As a kill between the last search and the end of the autorun leaves it.
        store.finish_run(runs[0].id, "interrupted")
    found = json.loads(autorun(tmp_path, "--json").stdout)
    assert found["resumed"]
    assert found["run_id"] == runs[0].id
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}", read_only=True) as store:
        assert sum(1 for _ in store.evaluations()) == before
        assert [r.kind for r in store.runs()] == ["autorun", "search"]


@pytest.mark.slow
def test_every_op_keeps_its_share_of_the_total(tmp_path: Path) -> None:
    recipe = RECIPE.replace('["silu"]', '["silu", "rms_norm"]') + "[total]\nevaluations = 4\n"
    found = json.loads(autorun(tmp_path, "--json", recipe=recipe).stdout)
    assert [s["op"] for s in found["searches"]] == ["silu", "rms_norm"]
    assert [s["evaluations"] for s in found["searches"]] == [2, 2]


ONE = "{ rows = 8, cols = 8 }"
SHAPES = 'name = "x"\nops = ["silu"]\n[shapes]\n'


def used(name: str, evaluations: int, usd: float = 0.0) -> Standing:
    op, dtype = name.split()
    return Standing(op, dtype, evaluations, at_most=Spend(usd=usd))


def test_what_an_op_leaves_goes_to_those_that_wait() -> None:
    recipe = Recipe(
        name="x",
        ops=("silu", "softmax", "rms_norm"),
        per_op=Limits(evaluations=50, usd=5.0),
        total=Limits(usd=6.0),
    )
    assert share(recipe, [], "silu float32", 2) == Limits(evaluations=50, usd=2.0)
    frugal = [used("silu float32", 50, usd=1.0)]
    assert share(recipe, frugal, "softmax float32", 1) == Limits(evaluations=50, usd=2.5)
    # Taken up again, it keeps what it used, and has its share of the rest.
    assert share(recipe, frugal, "silu float32", 2) == Limits(evaluations=50, usd=1 + 5 / 3)
    spent = [used("silu float32", 50, usd=6.0)]
    assert share(recipe, spent, "softmax float32", 1) is None
    assert share(recipe, spent, "silu float32", 2) == Limits(evaluations=50, usd=5.0)


def test_what_a_search_used_before_it_was_begun_anew_is_used() -> None:
    allowed, total = Limits(evaluations=50), Limits(evaluations=80)
    recipe = Recipe(name="x", ops=("silu", "softmax"), per_op=allowed, total=total)
    name, before = "silu float32", [used("silu float32", 20)]
    assert share(recipe, [], name, 0, before) == Limits(evaluations=30)
    going_on = [used(name, 10), used("softmax float32", 40)]
    assert share(recipe, going_on, name, 0, before) == Limits(evaluations=20)
    assert share(recipe, [], name, 0, [used(name, 50)]) is None
    assert share(recipe, [], "softmax float32", 0, [used(name, 70)]) == Limits(evaluations=10)
    free = Recipe(name="x", ops=("silu",), per_op=Limits(usd=0.0))
    assert share(free, [], name, 0) == Limits(usd=0.0)


def test_a_fault_in_one_product_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Written]:
        raise next(iter(()), StopIteration("no such thing"))

    def empty(*_: object) -> list[Written]:
        raise UsageError("nothing to ship")

    said: list[str] = []
    bench = cast(Workbench, SimpleNamespace(store=None, seat=SimpleNamespace(device=DEVICE)))
    for name, fault in (("_dataset", broken), ("_catalog", empty)):
        monkeypatch.setattr(f"discover.autorun.products.{name}", fault)
    written, lost = write_products(bench, [], Products(), tmp_path, said.append)
    assert [product.kind for product in written] == ["report", "page"]
    assert lost == ["dataset"]
    assert said[0].startswith("no dataset: internal error: StopIteration in test_autorun.py, line")
    assert said[1:] == ["no catalog: nothing to ship"]
    assert (tmp_path / "report.html").exists()


def test_what_all_of_a_recipe_may_use_is_its_total_or_its_parts() -> None:
    recipe = Recipe(
        name="x",
        ops=("silu", "softmax"),
        per_op=Limits(evaluations=50, usd=5.0),
        total=Limits(usd=6.0, tokens=1000),
    )
    assert recipe.whole() == Limits(evaluations=100, usd=6.0, tokens=1000)


@pytest.mark.parametrize(
    "file", [RECIPES / "quick.toml", RECIPES / "overnight.toml"], ids=lambda f: f.stem
)
def test_the_shipped_recipes_are_whole(file: Path) -> None:
    recipe = read(file, Recipe)
    assert recipe.tasks()
    assert recipe.name == file.stem
    assert set(settings(recipe)) & {"per_op", "total"} == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "is not TOML"),
        ('name = "x"', "'ops': Field required"),
        ('name = "x"\nops = []', "r.toml, line 2: 'ops'"),
        ('name = "../x"\nops = ["silu"]', "'name'"),
        ('name = "x"\nops = ["silu"]\nbudget = 3', "line 3: 'budget': unknown key"),
        ('name = "x"\nops = ["silu"]\nsed = 3', "'sed': .*did you mean seed"),
        ('name = "x"\nops = ["silu"]\n[per_op]\nevaluation = 3', "line 4: .*mean evaluations"),
        ('name = "x"\nops = ["silu"]\n[elsewhere]\nchp = 3', "'elsewhere.ch.*mean chip"),
        ('name = "x"\nops = ["silu", "sillu"]', "line 2: 'ops.sillu': .*did you mean silu"),
        (
            'name = "x"\nops = ["silu"]\ndtypes = ["float31"]',
            "line 3: 'dtypes.float31': .*mean float",
        ),
        (
            'name = "x"\nops = ["silu"]\nproposers = ["opnai:m"]',
            "line 3: 'proposers': .*mean openai",
        ),
        (
            'name = "x"\nops = ["silu"]\n[per_op]\nusd = 1\nevaluations = 0',
            "line 5: 'per_op.evaluations'",
        ),
        ('name = "x"\nops = ["silu"]\nper_op = { tokens = -1 }', "line 3: 'per_op.tokens'"),
        ('name = "x"\nops = ["silu"]\n[products] # all\nwheel = 1', "line 4: 'products.wheel'"),
        ('name = "x"\nops = ["silu"]\n[shapes]\nsilu = [{ n = "a" }]', "line 4: 'shapes.silu"),
        ('name = "x"\nops = ["silu"]\nproposers = []', "name at least one"),
        (f'name = "x"\nops = ["silu"]\nseed = {2**63}', "line 3: 'seed': .*2147483647"),
        ('name = "x"\nops = ["silu"]\nexploration = inf', "line 3: 'exploration': .*finite"),
        ('name = "x"\nops = ["silu"]\n[total]\nusd = inf', "line 4: 'total.usd': .*finite"),
        ('name = "x"\nops = ["silu"]\n[weights]\nsilu = inf', "line 4: 'weights.silu': .*finite"),
        (SHAPES + "sillu = [{ rows = 8 }]", "line 4: 'shapes.sillu': .*did you mean silu"),
        (SHAPES + f"silu = [{ONE}, {{ row = 8 }}]", "line 4: 'shapes.silu.1': unknown axis"),
        (SHAPES + "silu = [{ rows = -8, cols = 1 }]", "line 4: 'shapes.silu.0': .*sizes are >= 0"),
        (SHAPES + "silu = []", "line 4: 'shapes.silu': name at least one shape"),
        (
            'name = "x"\nops = ["silu"]\n[[shapes.silu]]\nrows = 8\ncols = 8\n'
            "[[shapes.silu]]\nrow = 8",
            "line 6: 'shapes.silu.1'",
        ),
        ('name = "x"\nops = ["silu"]\n[weights]\nsillu = 1', "line 4: 'weights.sillu'"),
        (
            'name = "x"\nops = ["silu", "exp"]\n[weights]\nsilu = 1.0',
            "'weights': exp has no weight above 0, so it would never be searched",
        ),
        (
            'name = "x"\nops = ["silu"]\n[weights]\nsilu = 1.0\nexp = 1.0',
            "'weights.exp': exp is none of the ops that are searched",
        ),
        ('name = "x"\nops = ["silu"]\ndevice = "mettal"', "line 3: 'device': .*mean metal"),
        ('name = "x"\nops = ["silu"]\ndevice = "model:m77"', "line 3: 'device': unknown chip"),
        ('name = "x"\nops = ["silu"]\neffort = "hihg"', "line 3: 'effort': .*mean high"),
        ('name = "x"\nops = ["silu"]\nbase_url = "me"', "line 3: 'base_url': .*no address"),
        (
            'name = "x"\nops = ["silu"]\n[products]\ncatalog = "my kernels"',
            "line 4: 'products.catalog': .*no package name",
        ),
        (
            'name = "x"\nops = ["silu"]\nbench = "lama-3.2-1b decode"',
            "line 3: 'bench': unknown bench case of silu .*mean llama-3.2-1b decode",
        ),
    ],
)
def test_a_broken_recipe_says_where(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=words):
        read(file, Recipe)


def test_unknown_names_carry_the_nearest() -> None:
    recipe = Recipe(name="x", ops=("silu",))
    with pytest.raises(UsageError, match="did you mean silu"):
        recipe.model_copy(update={"ops": ("sillu",)}).tasks()
    with pytest.raises(UsageError, match="did you mean float"):
        recipe.model_copy(update={"dtypes": ("float31",)}).tasks()
    with pytest.raises(UsageError, match="cannot read the recipe"):
        read(Path("/no/such/recipe.toml"), Recipe)


def test_of_all_ops_each_is_searched_in_the_dtypes_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = replace(registry_of_ops.get("silu"), dtypes=("float16",))
    ops = {"silu": half, "softmax": registry_of_ops.get("softmax")}
    monkeypatch.setattr("discover.autorun.recipe.all_ops", lambda: ops)
    recipe = Recipe(name="x", ops=("all",), dtypes=("float32", "float16"))
    both = [("softmax", "float32"), ("softmax", "float16")]
    assert recipe.tasks() == (("silu", "float16"), *both)
    with pytest.raises(UsageError, match="did you mean float32"):
        recipe.model_copy(update={"dtypes": ("float31",)}).tasks()


def test_a_server_that_is_down_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*given: object) -> None:
        pytest.fail("workers were started")

    monkeypatch.setattr("discover.search.workbench.workbench", started)
    server = ("--llm", "openai-chat:m", "--base-url", "http://127.0.0.1:9")
    assert "nothing was sent" in autorun(tmp_path, *server, code=3).output
    assert not (tmp_path / "a.db").exists()
