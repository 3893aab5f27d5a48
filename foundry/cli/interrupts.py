"""Ctrl-C and SIGTERM: one `KeyboardInterrupt`, which no library swallows or renames.

Python drops an exception that is raised inside a destructor or a callback of `fork`, and the
initialisation of some C extensions makes an `ImportError` of any. An interrupt that fell into one
of those moments would be lost, so it is raised again a little later, and remembered.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn

from foundry.cli.failures import INTERRUPTED

_AGAIN_S = 0.01
_heard: list[int] = []


def listen() -> None:
    """Raise `KeyboardInterrupt` on SIGINT, unless that is ignored, and on SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable


def was_heard() -> bool:
    """Whether a signal asked this process to stop."""
    return bool(_heard)


def leave() -> NoReturn:
    """Exit as interrupted, without waiting for threads that wait for something themselves."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def _interrupt(signum: int, frame: object) -> NoReturn:
    _heard.append(signum)
    raise KeyboardInterrupt


def _unraisable(dropped: sys.UnraisableHookArgs) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(dropped)
