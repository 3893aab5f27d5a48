"""Template files: what is found, in which order, and every way of being refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from ops.errors import UsageError
from templates import registry
from templates.registry import all_templates, for_op, get, load_folder
from templates.render import render

Install = Callable[[Callable[[], object]], None]

GOOD = (
    'op = "softmax"\nsummary = "mine"\nconstraints = ["a * b < 9"]\n[knobs]\na=[1, 8]\nb=[2, 1]\n'
)
FAMILY = GOOD.replace('op = "softmax"', 'family = "elementwise"') + "\n"


def identity(value: object) -> object:
    return value


def write(folder: Path, name: str, toml: str, metal: str | None = "text {{ a }}") -> Path:
    (folder / f"{name}.toml").write_text(toml)
    if metal is not None:
        (folder / f"{name}.metal").write_text(metal)
    return folder


def test_exactly_one_template_of_an_op_starts_its_search() -> None:
    for op in {t.op for t in all_templates().values()}:
        first, *others = for_op(op)
        assert first.start
        assert not any(t.start for t in others), op


def test_unknown_names_carry_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean softmax_simdgroup"):
        get("softmax_simdgrop")
    assert for_op("no such op") == ()


def test_folders_of_the_environment_follow_the_built_in_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "my_softmax", GOOD)
    monkeypatch.setenv("FOUNDRY_TEMPLATES", str(tmp_path))
    assert get("my_softmax").knobs == {"a": (1, 8), "b": (2, 1)}
    assert for_op("softmax")[0].name == "softmax_simdgroup"
    assert "my_softmax" in [t.name for t in for_op("softmax")]


def test_a_name_used_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "softmax_simdgroup", GOOD)
    monkeypatch.setenv("FOUNDRY_TEMPLATES", str(tmp_path))
    with pytest.raises(UsageError, match="exists already; choose a new name"):
        all_templates()


@pytest.fixture
def entry_point(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs one entry point that loads what the function gives."""

    def install(load: Callable[[], object]) -> None:
        points = [SimpleNamespace(name="mine", load=load)]
        monkeypatch.setattr(
            registry, "entry_points", lambda group: points if group.endswith(".templates") else []
        )
        registry._collect.cache_clear()

    yield install
    registry._collect.cache_clear()


def test_entry_points_name_folders_or_packages(tmp_path: Path, entry_point: Install) -> None:
    write(tmp_path, "from_a_package", GOOD)
    package = ModuleType("package")
    package.__path__ = [str(tmp_path)]
    for target in (tmp_path, str(tmp_path), package):
        entry_point(partial(identity, target))
        assert get("from_a_package").op == "softmax"


def test_a_broken_entry_point_is_named(
    entry_point: Install,
) -> None:
    def fails() -> object:
        raise ImportError("no module named nothing")

    entry_point(fails)
    with pytest.raises(UsageError, match="entry point mine: no module named nothing"):
        all_templates()
    entry_point(lambda: ModuleType("plain"))
    with pytest.raises(UsageError, match="entry point mine of .* names no folder"):
        all_templates()


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ("op = ", "cannot read template"),
        ('summary = "s"', "op is missing"),
        ('op = "softmax"', "summary is missing"),
        ('family = "mine"\n' + GOOD, "op and family exclude each other"),
        (FAMILY + '[uses]\nfast = "exp"', "did you mean"),
        (FAMILY + "[uses]\na = 1", "names a function by knob"),
        (FAMILY + '[uses]\na = "exp"', "no constraint may use it"),
        (GOOD.replace("constraints", "constraint"), "did you mean constraints"),
        (GOOD.replace("[1, 8]", "[]"), "knob 'a' needs a list of values"),
        (GOOD.replace("[1, 8]", "1"), "knob 'a' needs a list of values"),
        (GOOD.replace("[1, 8]", "[1, 1]"), "knob 'a' lists a value twice"),
        (GOOD.replace("[1, 8]", "[2, true]"), "all integers, all booleans or all text"),
        (GOOD.replace("[1, 8]", "[1.5]"), "all integers, all booleans or all text"),
        (GOOD.replace("a=[", '"a b"=['), "knob 'a b' is not a name"),
        (GOOD.replace("a * b < 9", "a * c < 9"), "unknown integer or boolean knob 'c'"),
        (GOOD.replace("a * b < 9", "a ** b < 9"), "not plain arithmetic"),
        (GOOD.replace("a * b < 9", "a * b < 2"), r"the default, but a \* b < 2 is not met"),
        (GOOD.replace('["a * b < 9"]', '"a * b < 9"'), "constraints is a list"),
        (GOOD.replace("[1, 8]", '["x", "y"]'), "unknown integer or boolean knob 'a'"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, toml: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        load_folder(write(tmp_path, "mine", toml))
    assert "mine.toml" in str(caught.value)


def test_missing_text_and_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no template"):
        load_folder(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"mine\.metal"):
        load_folder(write(tmp_path, "mine", GOOD, metal=None))


def test_a_template_of_a_family_is_bound_to_every_member(tmp_path: Path) -> None:
    text = FAMILY.replace('constraints = ["a * b < 9"]', "") + '[uses]\nb = "exp"\n'
    write(tmp_path, "mine", text, "{{ op.name }} {{ op.metal.outputs.out }}")
    found = {template.op: template for template in load_folder(tmp_path)}
    assert {"relu", "silu", "add"} <= set(found)
    assert found["relu"].name == "relu_mine"
    assert (list(found["silu"].knobs), list(found["relu"].knobs)) == (["a", "b"], ["a"])
    assert render(found["relu"], {}) == "relu max(x, 0.0f)\n"


def test_a_template_of_its_own_starts_the_search_of_a_member() -> None:
    own = [t.name for t in for_op("attention") if t.start]
    assert own == ["attention_simdgroup"]
    assert "attention_masked" in [t.name for t in for_op("attention")]
    shared = [t.name for t in for_op("attention_prefix") if t.start]
    assert shared == ["attention_prefix_masked"]
