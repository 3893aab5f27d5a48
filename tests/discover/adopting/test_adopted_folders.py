"""Folders of adopted calls: whole or not there, and known to every command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from test_adopting import CALL

from discover.adopting import workspace
from discover.adopting.call import AdoptedCall, read_call
from discover.adopting.workspace import (
    _DISCOVERING,
    _KNOWING,
    _STARTED,
    KERNEL_FILE,
    OP_FILE,
    SETTINGS_FILE,
    Workspace,
)
from discover.cli.agents.adopt import _from_json
from discover.cli.commands import application
from foundry.cli.app import Application
from foundry.cli.commands import application as foundry_application
from foundry.errors import UsageError
from ops import registry


def test_options_go_with_a_call_as_json(tmp_path: Path) -> None:
    file = tmp_path / "call.json"
    file.write_text(json.dumps({**CALL, "multiples": {"rows": 2}}))
    call = _from_json(file, {"name": "other", "reference": None}, ("rows",), {"cols": 4})
    assert (call.name, call.fixed) == ("other", ("rows",))
    assert call.multiples == {"rows": 2, "cols": 4}
    for option in (("--axes", "a,b"), ("--kernel", "k")):
        done = CliRunner().invoke(application, ["adopt", str(file), *option])
        assert done.exit_code == 2
        assert f"{option[0]} goes with a script" in done.stderr


def with_ops_of_a_users_own(group: click.Group, before: str = "") -> Iterator[str]:
    """The commands that take `--op-file`, as a settings file names their tables."""
    context = click.Context(group)
    own = group.lazy if isinstance(group, Application) else group.list_commands(context)
    for name in own:
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from with_ops_of_a_users_own(command, f"{before}{name}.")
        elif any("--op-file" in parameter.opts for parameter in command.params):
            yield before + name


def test_an_adopted_folder_has_settings_for_every_command_that_takes_ops() -> None:
    assert set(_KNOWING) == set(with_ops_of_a_users_own(foundry_application))
    assert {*_DISCOVERING, *_STARTED} == set(with_ops_of_a_users_own(application))


def test_only_whole_folders_are_loaded(tmp_path: Path) -> None:
    for folder, files in (
        (".draft-1", (OP_FILE, KERNEL_FILE, SETTINGS_FILE)),
        ("half", (OP_FILE, KERNEL_FILE)),
    ):
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).write_text("no Python")
    Workspace(tmp_path).load()
    shutil.copytree(tmp_path / ".draft-1", tmp_path / "whole")
    with pytest.raises(UsageError, match="cannot load ops"):
        Workspace(tmp_path).load()


@pytest.mark.parametrize("is_same", [True, False])
def test_of_two_processes_that_adopt_one_name_the_first_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_same: bool
) -> None:
    def check(draft: Path, _: AdoptedCall) -> None:
        shutil.copytree(draft, tmp_path / "my_norm")
        if not is_same:
            (tmp_path / "my_norm" / KERNEL_FILE).write_text("other")

    monkeypatch.setattr(workspace, "_check", check)
    try:
        if is_same:
            assert Workspace(tmp_path).adopt(read_call(CALL)).name == "my_norm"
        else:
            with pytest.raises(UsageError, match="holds another 'my_norm' already"):
                Workspace(tmp_path).adopt(read_call(CALL))
    finally:
        registry.forget_file(tmp_path / "my_norm" / OP_FILE)
    assert [folder.name for folder in tmp_path.iterdir()] == ["my_norm"]
