"""Writes `docs/cli.md` from the help texts of every command: `python -m foundry.cli.reference`.

The programs are the console scripts of the installed package, so `discover` is covered without
being imported by name. With `--check`, nothing is written and a stale page is exit code 1.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import click

PAGE = Path("docs/cli.md")
_WIDTH = 100
_INTRODUCTION = """\
# The command line

This page is made from the commands' own help by `make docs`; a test holds it against them.

**Output.** Results go to standard output, everything else to standard error. Commands that report
take `--json`: one JSON document on standard output and nothing else. On a terminal, progress is a
live table; elsewhere it is one line per event. `NO_COLOR=1` takes the colour away.

**Settings.** Flags come before environment variables, these before `foundry.toml`, this before the
defaults. The file is looked for in the current folder and above, up to the root of the repository
(`FOUNDRY_CONFIG` names another); paths in it are meant from its folder:

```toml
db = "runs/foundry.db"        # db, device and seed hold for every command
device = "cpu"
[run]                         # a command's own options, named as its flags are
ops = ["softmax", "rms_norm"]
budget = 100
[discover.search]             # the commands of discover
llm = "mutate"
```

Every option of `foundry COMMAND` also has a variable: `FOUNDRY_COMMAND_OPTION`, such as
`FOUNDRY_RUN_BUDGET`; for `discover` it is `FOUNDRY_DISCOVER_COMMAND_OPTION`.

**Exit codes.** 0 done · 1 failed · 2 wrong usage · 3 this machine cannot do it, the message says
what to do · 4 a kernel was rejected · 130 interrupted; what was saved is kept, and the command that
goes on is printed. No traceback is shown without `--debug`.

**Shell completion.** `eval "$(_FOUNDRY_COMPLETE=bash_source foundry)"` for bash, `zsh_source` for
zsh, `fish_source` for fish; likewise `_DISCOVER_COMPLETE`.
"""


def programs() -> dict[str, click.Group]:
    """The root group of every console script of this package, by name."""
    found: dict[str, click.Group] = {}
    for script in distribution("metal-foundry").entry_points.select(group="console_scripts"):
        module = importlib.import_module(f"{script.module}.commands")
        found[script.name] = module.application
    return dict(sorted(found.items(), key=lambda item: item[0] != "foundry"))


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, with their full names."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for member in command.list_commands(context):
            found = command.get_command(context, member)
            if found is not None and not found.hidden:
                yield from walk(found, f"{name} {member}")


def help_text(name: str, command: click.Command) -> str:
    """The help of one command, the same on every machine and in every terminal."""
    context = click.Context(
        command,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )
    lines = command.get_help(context).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def page() -> str:
    """The whole of `docs/cli.md`."""
    parts = [_INTRODUCTION]
    for program, root in programs().items():
        for name, command in walk(root, program):
            level = "##" if name == program else "###"
            parts.append(f"{level} {name}\n\n```text\n{help_text(name, command)}\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page, or check it."""
    for variable in [name for name in os.environ if name.startswith("FOUNDRY_")]:
        del os.environ[variable]
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE} is stale; make docs rewrites it")


if __name__ == "__main__":
    main()
