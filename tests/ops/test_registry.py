"""Ops are found wherever they live, and every way of failing says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import ops
from ops import registry
from ops.errors import EnvironmentUnusable, UsageError

DOUBLE = """
from ops import Case, Op, Tensor, axes

def oracle(inputs, workload):
    return (inputs["x"] * 2.0,)

{name} = Op(
    name="{name}",
    family="mine",
    formula="out[i] = 2 x[i]",
    axes=axes("n"),
    inputs=(Tensor("x", ("n",)),),
    outputs=(Tensor("out", ("n",)),),
    oracle=oracle,
    baselines={{"plain": "x * 2"}},
    flops="n",
    visible=(Case({{"n": 4}}),),
    hidden=(Case({{"n": 7}}),),
    bench=(Case({{"n": 1024}}),),
)
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    registry._loaded.clear()
    registry._union.cache_clear()
    registry._installed.cache_clear()


def write(folder: Path, name: str, extra: str = "") -> Path:
    file = folder / f"{name}.py"
    file.write_text(DOUBLE.format(name=name) + extra)
    return file


def test_the_ops_that_databases_name_are_there() -> None:
    assert set(ops.all_ops()) >= {
        *("silu", "swiglu", "softmax", "rms_norm", "layer_norm"),
        *("rope", "cumsum", "topk", "matmul", "attention"),
    }


@pytest.mark.parametrize(
    ("asked", "near"),
    [("sofmax", "softmax"), ("rmsnorm", "rms_norm"), ("zzz", "known: ada_layer_norm")],
)
def test_an_unknown_op_names_the_nearest(asked: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"unknown op '{asked}'.*{near}") as caught:
        ops.get(asked)
    assert caught.value.exit_code == 2


def test_a_file_adds_an_op(tmp_path: Path) -> None:
    file = write(tmp_path, "double_it")
    (loaded,) = ops.load_file(file)
    assert ops.get("double_it") is loaded
    assert registry.file_of("double_it") == file
    assert registry.file_of("softmax") is None
    assert ops.load_file(file) == (loaded,), "loading a file again changes nothing"


def test_the_environment_adds_ops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write(tmp_path, "first_op"), write(tmp_path, "second_op")]
    monkeypatch.setenv("FOUNDRY_OPS", os.pathsep.join(map(str, files)))
    assert ops.get("first_op").name == "first_op"
    assert registry.file_of("second_op") == files[1]
    monkeypatch.delenv("FOUNDRY_OPS")
    with pytest.raises(UsageError):
        ops.get("first_op")


def test_another_process_finds_them(tmp_path: Path) -> None:
    file = write(tmp_path, "double_it")
    code = "import ops; print(ops.get('double_it').formula)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FOUNDRY_OPS": str(file)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "out[i] = 2 x[i]\n"


def test_an_imported_op_is_not_redefined(tmp_path: Path) -> None:
    extra = "\nfrom ops.families.rows.softmax import softmax\n"
    assert [op.name for op in ops.load_file(write(tmp_path, "double_it", extra))] == ["double_it"]


def test_a_built_in_name_is_taken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"softmax.py defines 'softmax', which exists"):
        ops.load_file(write(tmp_path, "softmax"))
    assert ops.get("softmax").family == "softmax", "a refused file leaves nothing behind"
    assert registry.file_of("softmax") is None


def test_two_files_cannot_share_a_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    ops.load_file(write(tmp_path, "double_it"))
    with pytest.raises(UsageError, match="'double_it', which exists"):
        ops.load_file(write(tmp_path / "a", "double_it"))
    assert registry.file_of("double_it") == tmp_path / "double_it.py"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no file .*take paths of .py files"),
        ("x = 1\n", "defines no Op at module level; see docs/add-an-op.md"),
        ("x = 1\ny = x / 0\n", "line 2: ZeroDivisionError"),
        ("raise SystemExit(3)\n", "line 1: SystemExit: 3"),
        ("import no_such_module_here\n", "line 1: ModuleNotFoundError"),
        ("def f(:\n", r"SyntaxError: .*line 1"),
    ],
)
def test_a_file_that_does_not_load(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "broken_ops.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        ops.load_file(file)
    assert str(file) in str(caught.value)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "ops.toml"
    file.write_text("")
    with pytest.raises(UsageError, match="ops.toml: not a Python file"):
        ops.load_file(file)


def test_a_file_whose_op_breaks_a_rule(tmp_path: Path) -> None:
    file = write(tmp_path, "double_it")
    file.write_text(file.read_text().replace('Tensor("x", ("n",))', 'Tensor("x", ("m",))'))
    with pytest.raises(UsageError, match=r"double_it.py: op 'double_it': shape of x uses 'm'"):
        ops.load_file(file)


def entry(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    point = EntryPoint(name="theirs", value=value, group=registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    registry._installed.cache_clear()


def test_an_installed_package_adds_ops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "theirs_op")
    monkeypatch.syspath_prepend(tmp_path)
    entry(monkeypatch, "theirs_op")
    assert ops.get("theirs_op").family == "mine"
    entry(monkeypatch, "theirs_op:theirs_op")
    assert ops.get("theirs_op").family == "mine"


def test_an_installed_package_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    entry(monkeypatch, "no_such_package_here.ops")
    with pytest.raises(EnvironmentUnusable, match=r"no_such_package_here.*uninstall") as caught:
        ops.all_ops()
    assert caught.value.exit_code == 3


def test_the_ops_of_tables_are_found(tmp_path: Path) -> None:
    file = tmp_path / "tables.py"
    file.write_text(
        "from ops import elementwise\n\n\n"
        "def power(n):\n"
        "    return elementwise(f'power{n}', np=lambda x: x**n, mlx=f'x ** {n}',\n"
        "                       metal=' * '.join('x' * n), flops=n)\n\n\n"
        "SQUARE = power(2)\n"
        "LISTED = [SQUARE, power(3)]\n"
        "NAMED = {'fourth': power(4)}\n"
    )
    assert [op.name for op in ops.load_file(file)] == ["power2", "power3", "power4"]
