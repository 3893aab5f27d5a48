"""Ctrl-C as a wish: the first is kept for the search to see, the second leaves at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts(*, wait: bool) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, as a function, while the block runs.

    Args:
        wait: False: the first Ctrl-C raises `KeyboardInterrupt` already, as ever.
    """
    if not wait or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def heard(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
