"""The `foundry` command line."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from typing import NoReturn

_INTERRUPTED = 130


def main() -> None:
    """Entry point of `foundry`: parse, run one command, exit with its code."""
    launch("foundry.cli.commands:application")


def launch(target: str) -> None:
    """Load and run the application named `module:attribute`.

    Until the application runs, an interrupt ends the process at once: nothing has been started, and
    an exception in the middle of an import would leave as a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave_early)
    from foundry.cli.app import start

    start(target)


def _leave_early(signum: int, frame: object) -> NoReturn:
    command = shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
    os.write(2, f"interrupted; everything committed is kept\nresume: {command}\n".encode())
    os._exit(_INTERRUPTED)
