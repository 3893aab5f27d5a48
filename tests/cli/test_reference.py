"""The documentation holds what the commands say."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from foundry.cli.reference import page, programs, walk
from foundry.report import family_pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
COMMANDS = [
    (name, command) for program, root in programs().items() for name, command in walk(root, program)
]


def test_the_reference_is_made_from_the_help_texts() -> None:
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == page(), "stale: make docs rewrites it"


def test_the_pages_of_families_are_made_from_the_registry() -> None:
    found = {file.name: file.read_text(encoding="utf-8") for file in (DOCS / "ops").glob("*.md")}
    assert found == family_pages.pages(), "stale: make docs rewrites them"


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_and_option_is_documented(name: str, command: click.Command) -> None:
    assert f"\n{'#' * (2 if ' ' not in name else 3)} {name}\n" in (DOCS / "cli.md").read_text()
    assert command.help, f"{name} has no help"
    assert command.get_short_help_str(200).endswith("."), f"{name}: help is a sentence"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[-1]} has no help"


def test_the_programs_are_the_console_scripts() -> None:
    assert list(programs()) == ["foundry", "discover"]


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS if " " in name])
def test_every_command_appears_in_a_page_written_by_hand(name: str) -> None:
    pages = [p for p in [*DOCS.glob("*.md"), ROOT / "README.md"] if p.name != "cli.md"]
    assert any(name in p.read_text(encoding="utf-8") for p in pages), f"no page tells of {name}"


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    import re

    for source in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", source.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (source.parent / target).exists(), f"{source.name} links to {target}"


def test_commands_in_the_documentation_have_only_options_that_exist() -> None:
    """Every `foundry ...` and `discover ...` line of a shell block parses."""
    roots = programs()
    for source in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        added = _added_commands(source)
        for line in _shell_lines(source):
            program, *words = line.split()
            command: click.Command = roots[program]
            if words[0] in added:
                continue
            while isinstance(command, click.Group) and words:
                found = command.get_command(click.Context(command), words.pop(0))
                assert found is not None, f"{source.name}: {line}"
                command = found
            options = {o for p in command.params for o in p.opts} | {"--help", "--version"}
            for word in words:
                if word.startswith("--"):
                    assert word.split("=")[0] in options, f"{source.name}: {line}"


def _added_commands(source: Path) -> set[str]:
    """Commands that a page makes itself, in the entry points it shows."""
    _, _, entries = source.read_text(encoding="utf-8").partition("[metal_foundry.commands]\n")
    lines = entries.split("```")[0].split("[")[0].splitlines()
    return {line.split("=")[0].strip() for line in lines if "=" in line}


def _shell_lines(source: Path) -> list[str]:
    lines, inside = [], False
    for line in source.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = line.strip() in ("```sh", "```shell", "```bash", "```console") and not inside
        elif inside:
            text = line.removeprefix("$ ").split("  #")[0].split(" | ")[0].split(" > ")[0].strip()
            if text.split(" ")[0] in ("foundry", "discover"):
                lines.append(text.removesuffix("\\"))
    return lines
