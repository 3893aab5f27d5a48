"""The frame: errors as one line, exit codes, interrupts, settings, lazy commands."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from foundry.cli.app import Application
from foundry.cli.failures import explain
from foundry.cli.options import db_option, debug_option, seed_option
from foundry.cli.parameters import DURATION
from foundry.errors import EnvironmentUnusable, InvalidKernel, UsageError, unknown


def _application(act: Callable[..., int | None], table: str | None = None) -> Application:
    application = Application(name="foundry", lazy={"lazily": "no.such.module:command"})
    application.settings_table = table

    @application.command("act")
    @seed_option
    @db_option
    @click.option("--budget", type=int, default=7)
    @click.option("--time", "time_s", type=DURATION)
    @debug_option
    def command(**options: object) -> int | None:
        """Act."""
        return act(**options)

    application.lazy = {}
    return application


def _run(act: Callable[..., int | None], *args: str, table: str | None = None) -> Result:
    return CliRunner().invoke(_application(act, table), ["act", *args])


def _raise(error: BaseException) -> Callable[..., int | None]:
    def act(**_: object) -> int | None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (unknown("op", "sofmax", ["softmax"]), 2, "unknown op 'sofmax': did you mean softmax?"),
        (EnvironmentUnusable("No GPU.", "Use --device cpu."), 3, "No GPU. Use --device cpu."),
        (InvalidKernel("the body is empty", 7), 4, "line 7: the body is empty"),
        (OSError(errno.ENOSPC, "x", "/d/f"), 3, "/d/f: the disk is full; free some space"),
        (PermissionError(errno.EACCES, "x", "/d"), 3, "/d: permission denied"),
        (ZeroDivisionError("division"), 1, "internal error: ZeroDivisionError: division"),
    ],
)
def test_an_error_is_one_line_and_a_code(error: Exception, code: int, line: str) -> None:
    result = _run(_raise(error))
    assert result.exit_code == code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: {line}")


def test_a_wrong_option_names_the_nearest_and_the_help() -> None:
    result = _run(lambda **_: 0, "--budgit", "3")
    assert result.exit_code == 2
    assert "--budget" in result.stderr
    assert result.stderr.splitlines()[-1] == "try: foundry act --help"


def test_debug_lets_the_exception_through() -> None:
    result = _run(_raise(ZeroDivisionError("division")), "--debug")
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_interrupt_prints_the_command_that_goes_on() -> None:
    result = _run(_raise(KeyboardInterrupt()), "--budget", "3", "--db", "a b.db")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "resume: foundry act --budget 3 --db 'a b.db'"


def test_a_command_may_return_its_exit_code() -> None:
    assert _run(lambda **_: 4).exit_code == 4
    assert _run(lambda **_: None).exit_code == 0


def test_no_command_module_loads_unless_named() -> None:
    application = Application(name="foundry", lazy={"lazily": "no.such.module:command"})
    assert CliRunner().invoke(application, ["--version"]).exit_code == 0
    assert CliRunner().invoke(application, ["lazily"]).exit_code == 1


def test_every_command_of_foundry_loads_and_has_help() -> None:
    from foundry.cli.commands import application

    context = click.Context(application)
    for name in application.list_commands(context):
        command = application.get_command(context, name)
        assert command is not None
        assert command.help, name


def test_precedence_is_flag_then_variable_then_file_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def act(**options: object) -> int:
        seen.update(options)
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOUNDRY_DB")
    _run(act)
    assert seen == {"seed": 0, "db": None, "budget": 7, "time_s": None}
    (tmp_path / "foundry.toml").write_text('seed = 3\ndb = "x.db"\n[act]\nbudget = 9\ntime="2m"\n')
    _run(act)
    assert seen == {"seed": 3, "db": "x.db", "budget": 9, "time_s": 120.0}
    monkeypatch.setenv("FOUNDRY_SEED", "4")
    monkeypatch.setenv("FOUNDRY_ACT_BUDGET", "10")
    _run(act)
    assert (seen["seed"], seen["budget"]) == (4, 10)
    _run(act, "--seed", "5", "--budget", "11")
    assert (seen["seed"], seen["budget"]) == (5, 11)


def test_paths_of_the_settings_file_are_meant_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def act(**options: object) -> int:
        seen.update(options)
        return 0

    (tmp_path / "foundry.toml").write_text('db = "x.db"\n')
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    monkeypatch.delenv("FOUNDRY_DB")
    _run(act)
    assert seen["db"] == str(tmp_path / "x.db")
    (tmp_path / "foundry.toml").write_text('db = "postgresql://host/x"\n')
    _run(act)
    assert seen["db"] == "postgresql://host/x"


def test_ops_and_flags_may_stand_in_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foundry.cli.commands import application

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("no python(")
    (tmp_path / "foundry.toml").write_text('[list]\nop-file = ["mine.py"]\njson = true\n')
    result = CliRunner().invoke(application, ["list"])
    assert result.exit_code == 2
    assert "cannot load ops from" in result.stderr
    (tmp_path / "foundry.toml").write_text("[list]\njson = true\n")
    assert CliRunner().invoke(application, ["list"]).stdout.startswith("[")


def test_the_file_of_another_program_has_its_own_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def act(**options: object) -> int:
        seen.update(options)
        return 0

    monkeypatch.chdir(tmp_path)
    (tmp_path / "foundry.toml").write_text("seed = 3\n[run]\nx = 1\n[discover.act]\nbudget = 9\n")
    assert _run(act, table="discover").exit_code == 0
    assert (seen["seed"], seen["budget"]) == (3, 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[act]\nbugdet = 1", "unknown option of [act] 'bugdet': did you mean budget?"),
        ("[akt]\nbudget = 1", "unknown setting 'akt': did you mean act"),
        ("sed = 1", "unknown setting 'sed': did you mean seed"),
        ("act = 1", "'act' is a table: [act]"),
        ("[act", "is not TOML"),
        ("[act]\nbudget = 'many'", "'many' is not a valid int"),
        ("[act]\ntime = -1", "must be more than 0 seconds"),
    ],
)
def test_a_wrong_settings_file_is_a_usage_error(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "foundry.toml").write_text(text)
    result = _run(lambda **_: 0)
    assert result.exit_code == 2
    assert said in result.stderr


def test_settings_are_looked_for_up_to_the_root_of_the_repository(tmp_path: Path) -> None:
    from foundry.config import find

    inner = tmp_path / "repository" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "foundry.toml").touch()
    (tmp_path / "repository" / ".git").mkdir()
    assert find(inner) is None
    (tmp_path / "repository" / "foundry.toml").touch()
    assert find(inner) == tmp_path / "repository" / "foundry.toml"


def test_a_real_sqlite_error_is_explained(tmp_path: Path) -> None:
    not_a_database = tmp_path / "x.db"
    not_a_database.write_text("this is a text file, and a long enough one at that" * 100)
    connection = sqlite3.connect(not_a_database)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        connection.execute("select * from t")
    connection.close()
    failure = explain(caught.value)
    assert failure.exit_code == 3
    assert "not a database" in failure.message


def test_explain_keeps_the_line_of_a_usage_error_whole() -> None:
    assert explain(UsageError("a\n  b")).message == "a b"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), (12, 12)]
)
def test_durations(text: object, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "-3s", "5 days", "0", "nan", True])
def test_no_durations(text: object) -> None:
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "foundry", "catalog", "biuld"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr == "error: unknown catalog command 'biuld': did you mean build?\n"


_INTERRUPTED_WHILE_LOADING = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "foundry.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["/usr/bin/foundry", "run", "--ops", "soft max"]
from foundry.cli import main
main()
"""


def test_an_interrupt_while_modules_load_is_no_traceback() -> None:
    result = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED_WHILE_LOADING],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 130
    assert result.stderr.splitlines()[1:] == ["resume: foundry run --ops 'soft max'"]
