"""One frame for every command line here: lazy commands, settings, errors, interrupts.

1. `start` (the console script) runs an `Application`; a command's module is imported only when
   that command is named.
2. `foundry.toml` becomes click's default map, so: flags > `FOUNDRY_*` > `foundry.toml` > defaults.
3. Whatever a command raises leaves as one line on stderr and an exit code: 0 done, 1 failed,
   2 usage, 3 environment not usable, 4 kernel rejected, 130 interrupted. A command may also
   return its exit code. `--debug` shows the traceback.
4. Every command is safe to repeat, so an interrupt prints the command that was given.

Owned elsewhere: what an exception means (`failures`), shared options (`options`), the settings
file (`foundry.config`), tables and JSON (`output`).
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NoReturn

import click

from foundry import config
from foundry.cli import interrupts
from foundry.cli.failures import INTERRUPTED, explain
from foundry.errors import EnvironmentUnusable, UsageError, unknown
from ops import plugins

_TYPED = "foundry.typed"


class LazyGroup(click.Group):
    """A group whose commands are `module:attribute` texts until they are needed."""

    def __init__(self, *args: Any, lazy: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order given, none loaded."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of one command."""
        target = self.lazy.get(cmd_name)
        if target is None:
            return super().get_command(ctx, cmd_name)
        module, attribute = target.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest ones."""
        known = self.list_commands(ctx)
        if not ctx.resilient_parsing and args[0] not in known and not args[0].startswith("-"):
            raise unknown(f"{ctx.info_name} command", args[0], known)
        return super().resolve_command(ctx, args)


class Application(LazyGroup):
    """The root group: reads settings, and turns every failure into one line and an exit code."""

    def __init__(
        self, *, settings_table: str | None = None, extensions: str | None = None, **kwargs: Any
    ) -> None:
        """Take the arguments of `LazyGroup`.

        Args:
            settings_table: Table of `foundry.toml` that holds this program's command tables;
                None: the top level. It also joins the environment prefix.
            extensions: Entry point group through which other packages add commands.
            kwargs: Passed on.
        """
        prefix = f"FOUNDRY_{settings_table.upper()}" if settings_table else "FOUNDRY"
        kwargs.setdefault("context_settings", {}).setdefault("auto_envvar_prefix", prefix)
        kwargs["context_settings"].setdefault("help_option_names", ["-h", "--help"])
        kwargs.setdefault("no_args_is_help", True)
        super().__init__(**kwargs)
        self.settings_table = settings_table
        self._extensions = extensions
        click.version_option(package_name="metal-foundry", prog_name=self.name)(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the own commands, then of those that other packages add."""
        return [*super().list_commands(ctx), *self._added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command, an own or an added one."""
        point = self._added().get(cmd_name)
        return _added(point) if point else super().get_command(ctx, cmd_name)

    def _added(self) -> Mapping[str, EntryPoint]:
        if self._extensions is None:
            return {}
        return plugins.points(self._extensions, "command", [*self.lazy, *self.commands])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and give it the defaults that `foundry.toml` holds for it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name and command and ctx.default_map is None:
            settings = config.read()
            known = self.list_commands(ctx)
            table = config.command_table(settings, self.settings_table, known, name)
            ctx.default_map = {name: _defaults(settings, command, table, name)}
        return name, command, rest

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse, and keep the command line as it was typed."""
        typed = f"{info_name or ''} {shlex.join(args)}".strip()
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[_TYPED] = typed
        return context

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and exit; with `standalone_mode=False` errors are left to the caller."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        given = list(sys.argv[1:] if args is None else args)
        program = prog_name or self.name or "foundry"
        run = super().main
        sys.exit(
            _guarded(
                lambda: run(given, program, complete_var, standalone_mode=False, **extra),
                f"{program} {shlex.join(given)}".strip(),
                debug="--debug" in given or bool(os.environ.get("FOUNDRY_DEBUG")),
            )
        )


def _added(point: EntryPoint) -> click.Command:
    """A command of another package; one that does not load says so when it is run or listed."""
    try:
        command = plugins.load(point, "command")
        if not isinstance(command, click.Command):
            raise plugins.broken(point, "command", "is no click command")
    except EnvironmentUnusable as error:
        return _unusable(point.name, error)
    return command


def _unusable(name: str, error: EnvironmentUnusable) -> click.Command:
    def fail(arguments: tuple[str, ...]) -> NoReturn:
        raise error

    return click.Command(
        name,
        callback=fail,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        help=f"Cannot be used: {error}",
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
    )


def _defaults(
    settings: config.Settings, command: click.Command, table: Mapping[str, Any], where: str
) -> dict[str, Any]:
    if not isinstance(command, click.Group):
        found = config.option_defaults(settings, table, where, _flags(command))
        return {name: _beside(settings, command, name, value) for name, value in found.items()}
    context = click.Context(command)
    known = command.list_commands(context)
    for key in table:
        if key not in known:
            raise UsageError(f"{settings.path}: {unknown(f'command of [{where}]', key, known)}")
    members = {name: command.get_command(context, name) for name in known}
    return {
        name: _defaults(settings, member, table.get(name, {}), f"{where}.{name}")
        for name, member in members.items()
        if member is not None
    }


def _flags(command: click.Command) -> dict[str, str]:
    """Parameter name by flag without dashes, of what a settings file may hold."""
    return {
        flag.lstrip("-"): parameter.name
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name and parameter.name != "debug"
        for flag in parameter.opts
    }


def _beside(settings: config.Settings, command: click.Command, name: str, value: Any) -> Any:
    """Paths of a settings file are meant from its folder, wherever the command is given."""
    kind = next(parameter.type for parameter in command.params if parameter.name == name)
    if settings.path is None or not (isinstance(kind, click.Path) or name == "db"):
        return value
    folder = settings.path.parent
    if isinstance(value, list):
        return [_beside(settings, command, name, item) for item in value]
    if not isinstance(value, str) or "://" in value or folder == Path.cwd():
        return value
    return str(folder / Path(value).expanduser())


def command_line() -> str:
    """The command that is running, as it was typed; for records."""
    context = click.get_current_context().find_root()
    return str(context.meta.get(_TYPED, context.info_name or ""))


def is_typed(option: str) -> bool:
    """Whether an option of the running command was given on the command line."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def _guarded(run: Callable[[], Any], command_line: str, *, debug: bool) -> int:
    """Call `run`; the exit code, after one line on stderr for whatever it raised."""
    try:
        result = run()
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return _interrupted(command_line)
    except BrokenPipeError:
        # The reader of a pipe left (`foundry list | head -1`); Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except Exception as error:
        if interrupts.was_heard():
            return _interrupted(command_line)
        if debug:
            raise
        failure = explain(error)
        click.echo(f"error: {failure.message}", err=True)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"try: {error.ctx.command_path} --help", err=True)
        return failure.exit_code
    return result if isinstance(result, int) else 0


def _interrupted(command_line: str) -> int:
    click.echo("interrupted; everything committed is kept", err=True)
    click.echo(f"resume: {command_line}", err=True)
    return INTERRUPTED


def start(target: str) -> NoReturn:
    """Run the application named `module:attribute` as a console script; never returns."""
    module, attribute = target.split(":")
    application: Application = getattr(importlib.import_module(module), attribute)
    try:
        interrupts.listen()
        application.main(prog_name=_program(application.name or "foundry"))
    except KeyboardInterrupt:
        interrupts.leave()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            interrupts.leave()
        raise
    raise AssertionError("Application.main exits")


def _program(name: str) -> str:
    run_as_module = Path(sys.argv[0]).name == "__main__.py"
    return f"python -m {name}" if run_as_module else name
