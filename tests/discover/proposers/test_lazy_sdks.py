"""LLM SDKs take a second to load and may be broken: whoever asks no LLM never loads one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from discover.cli.commands import application
import discover.cli
try:
    application.main(sys.argv[1:])
except SystemExit as leaving:
    assert leaving.code == 0, leaving.code
print("loaded:", *(name for name in ("anthropic", "openai", "httpx2") if name in sys.modules))
"""


def loaded(folder: Path, *arguments: str) -> list[str]:
    """Which SDKs a command of `discover` loads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("search", "--help"),
        ("autorun", "--help"),
        pytest.param(
            ("search", "silu", "--max-evaluations", "3", "--db", "x.db"), marks=pytest.mark.slow
        ),
    ],
)
def test_no_sdk_loads_without_an_llm(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a key that nobody asked to use")
    assert loaded(tmp_path, *arguments) == []


def test_the_script_tells_what_is_loaded(tmp_path: Path) -> None:
    """A check that cannot fail would be none."""
    code = SCRIPT.replace("import discover.cli\n", "import openai\n")
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    assert done.stdout.splitlines()[-1].startswith("loaded: openai")
