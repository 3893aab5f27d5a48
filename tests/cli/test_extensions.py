"""What installed packages add to both command lines, and how a package at fault is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
import click
from foundry.engines.cpu import CpuEngine

class Mine(CpuEngine):
    name = "mine"

class Hollow:
    pass

@click.command()
@click.argument("word")
def shout(word):
    "Say WORD loudly."
    click.echo(word.upper())

def hollow(model, options):
    return Hollow()

text = "no command"
"""


def package(folder: Path, **groups: dict[str, str]) -> Path:
    """A package `acme` that Python finds in a folder, with these entry points."""
    lines = []
    for group, entries in groups.items():
        lines += [f"[metal_foundry.{group}]", *(f"{k} = {v}" for k, v in entries.items())]
    info = folder / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / "acme.py").write_text(MODULE)
    return folder


def call(
    folder: Path, program: str, *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command line where the packages of a folder are installed."""
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env={**os.environ, "PYTHONPATH": path, "FOUNDRY_DB": str(folder / "x.db")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.parametrize(
    ("program", "group"),
    [("foundry", "commands"), ("discover", "discover_commands")],
)
def test_a_command_of_a_package_is_listed_and_runs(
    tmp_path: Path, program: str, group: str
) -> None:
    package(tmp_path, **{group: {"shout": "acme:shout"}})
    listed = call(tmp_path, program, "--help").stdout
    assert "shout" in listed
    assert "Say WORD loudly." in listed
    assert call(tmp_path, program, "shout", "hello").stdout == "HELLO\n"
    (tmp_path / "foundry.toml").write_text("[shout]\nnope = 1\n[discover.shout]\nnope = 1\n")
    assert "nope" in call(tmp_path, program, "shout", "hello", code=2).stderr


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("acme:missing", "does not load: AttributeError"),
        ("no_such_module:command", "does not load: ModuleNotFoundError"),
        ("acme:text", "is no click command"),
    ],
)
def test_a_broken_command_spoils_no_other(tmp_path: Path, value: str, words: str) -> None:
    package(tmp_path, commands={"shout": value})
    assert "Cannot be used: acme" in call(tmp_path, "foundry", "--help").stdout
    told = call(tmp_path, "foundry", "shout", "--loud", "x", code=3).stderr
    assert words in told
    assert "uninstall acme" in told
    assert json.loads(call(tmp_path, "foundry", "list", "--json").stdout)


def test_a_name_that_exists_is_refused(tmp_path: Path) -> None:
    package(tmp_path / "command", commands={"run": "acme:shout"})
    told = call(tmp_path / "command", "foundry", "list", code=3).stderr
    assert "acme adds the command 'run', which is built in. Rename it in acme" in told
    package(tmp_path / "engine", engines={"cpu": "acme:Mine"})
    told = call(tmp_path / "engine", "foundry", "run", "silu", "--device", "cpu", code=3).stderr
    assert "acme adds the engine 'cpu', which is built in" in told
    package(tmp_path / "proposer", proposers={"mutate": "acme:hollow"})
    told = call(tmp_path / "proposer", "discover", "search", "silu", code=3).stderr
    assert "acme adds the proposer 'mutate', which is built in" in told


def test_two_packages_of_one_name_are_told_apart(tmp_path: Path) -> None:
    package(tmp_path, commands={"shout": "acme:shout"})
    other = tmp_path / "other-2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 2.0\n")
    (other / "entry_points.txt").write_text("[metal_foundry.commands]\nshout = acme:text\n")
    told = call(tmp_path, "foundry", "list", code=3).stderr
    assert "the command 'shout', which" in told
    assert "adds as well" in told
    assert "acme" in told
    assert "other" in told


@pytest.mark.slow
def test_an_engine_or_proposer_that_lacks_members_names_its_package(tmp_path: Path) -> None:
    package(tmp_path, engines={"hollow": "acme:Hollow"}, proposers={"hollow": "acme:hollow"})
    search = ("search", "silu", "--max-evaluations", "2")
    told = call(tmp_path, "discover", *search, "--device", "hollow", code=3).stderr
    assert "acme names the engine 'acme:Hollow', which lacks members" in told
    told = call(tmp_path, "discover", *search, "--llm", "hollow", code=3).stderr
    assert "acme names the proposer 'acme:hollow', which lacks members" in told
    told = call(tmp_path, "discover", *search, "--device", "no_such:Engine", code=3).stderr
    assert "engine 'no_such:Engine' does not load: ModuleNotFoundError" in told
    told = call(tmp_path, "discover", *search, "--device", "hollo", code=2).stderr
    assert "did you mean hollow?" in told
