"""Work under way: LLM calls and evaluations, each on a thread of its own.

Threads are daemons, so that a call which takes minutes holds up neither Ctrl-C nor the end of the
process: its row says `sent`, and the next start knows what to do about it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True)
class Landed(Generic[K]):
    """What came back: a result, or the exception of a fault of ours."""

    key: K
    result: object = None
    error: BaseException | None = None


class Flights(Generic[K]):
    """Starts work and hands results back in the order in which they land."""

    def __init__(self) -> None:
        self._landed: queue.Queue[Landed[K]] = queue.Queue()
        self._flying: set[K] = set()

    def __len__(self) -> int:
        return len(self._flying)

    def __contains__(self, key: K) -> bool:
        return key in self._flying

    def keys(self) -> list[K]:
        """Keys of what is under way."""
        return list(self._flying)

    def start(self, key: K, work: Callable[[], object]) -> None:
        """Run `work` on its own thread."""
        self._flying.add(key)
        threading.Thread(target=self._fly, args=(key, work), daemon=True).start()

    def next(self, timeout_s: float) -> Landed[K] | None:
        """The next result, or None when none lands in time. Results of the abandoned are lost."""
        try:
            landed = self._landed.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None
        if landed.key not in self._flying:
            return None
        self._flying.discard(landed.key)
        return landed

    def abandon(self, key: K) -> None:
        """Wait for it no longer."""
        self._flying.discard(key)

    def _fly(self, key: K, work: Callable[[], object]) -> None:
        try:
            self._landed.put(Landed(key, work()))
        except BaseException as error:
            # Carried to the thread that waits, which raises it.
            self._landed.put(Landed(key, error=error))
