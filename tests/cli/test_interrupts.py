"""An interrupt is one, whatever code of others it falls into."""

from __future__ import annotations

import subprocess
import sys

import pytest

from foundry.cli import app, interrupts

IN_A_FORK = """
import os, signal, time
from foundry.cli import interrupts
interrupts.listen()
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.{name}))
try:
    os.fork() or os._exit(0)
    time.sleep(20)
    print("never interrupted")
except KeyboardInterrupt:
    interrupts.leave()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_within_a_callback_of_fork_is_not_lost(name: str) -> None:
    script = IN_A_FORK.format(name=name)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_exception_made_of_an_interrupt_is_still_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def import_it() -> None:
        raise ImportError("numpy._core.multiarray failed to import")

    assert app._guarded(import_it, "foundry run", debug=False) == 1
    monkeypatch.setattr(interrupts, "_heard", [15])
    capsys.readouterr()
    assert app._guarded(import_it, "foundry run", debug=False) == 130
    assert capsys.readouterr().err.endswith("resume: foundry run\n")
