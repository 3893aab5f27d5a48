"""The states of a search that may be parents: those that passed, as columns in order of rank.

Columns of numbers instead of nodes: choosing among 20,000 states is one pass of vector arithmetic,
about a tenth of a millisecond; adding one shifts the columns behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_FIRST_ROOM = 64
T = TypeVar("T", bound=np.generic)


class Buffer:
    """States by rank of their own reward, the best first, the oldest of equals first."""

    def __init__(self) -> None:
        self._count = 0
        self._ids = np.zeros(_FIRST_ROOM, np.int64)
        self._rewards = np.zeros(_FIRST_ROOM)
        # By node and not by rank: they change far more often than the ranks do.
        self._value_of = np.zeros(_FIRST_ROOM)
        self._visits_of = np.zeros(_FIRST_ROOM)
        self._expansions_of = np.zeros(_FIRST_ROOM)

    def __len__(self) -> int:
        return self._count

    @property
    def ids(self) -> NDArray[np.int64]:
        """Node of every state."""
        return self._ids[: self._count]

    @property
    def rewards(self) -> NDArray[np.float64]:
        """Own reward, from the highest."""
        return self._rewards[: self._count]

    @property
    def values(self) -> NDArray[np.float64]:
        """Best reward of a state and its children."""
        return self._value_of[self.ids]

    @property
    def visits(self) -> NDArray[np.float64]:
        """Expansions of a state and its descendants, those in flight included."""
        return self._visits_of[self.ids]

    @property
    def expansions(self) -> NDArray[np.float64]:
        """Expansions of a state alone, those in flight included."""
        return self._expansions_of[self.ids]

    def add(
        self, node_id: int, reward: float, value: float, visits: int = 0, expansions: int = 0
    ) -> None:
        """Take in a state that passed."""
        if self._count == len(self._ids):
            self._ids, self._rewards = _roomier(self._ids), _roomier(self._rewards)
        while node_id >= len(self._value_of):
            self._value_of, self._visits_of = _roomier(self._value_of), _roomier(self._visits_of)
            self._expansions_of = _roomier(self._expansions_of)
        place = self._place(node_id, reward)
        for column, entry in ((self._ids, node_id), (self._rewards, reward)):
            column[place + 1 : self._count + 1] = column[place : self._count].copy()
            column[place] = entry
        self._value_of[node_id], self._visits_of[node_id] = value, visits
        self._expansions_of[node_id] = expansions
        self._count += 1

    def remove(self, node_id: int, reward: float) -> None:
        """Take a state out."""
        place = self._place(node_id, reward)
        for column in (self._ids, self._rewards):
            column[place : self._count - 1] = column[place + 1 : self._count].copy()
        self._count -= 1

    def visit(self, node_id: int, step: int) -> None:
        """Count an expansion of a state or of a descendant."""
        self._visits_of[node_id] += step

    def expand(self, node_id: int, step: int) -> None:
        """Count an expansion of a state itself."""
        self._expansions_of[node_id] += step

    def revalue(self, node_id: int, value: float) -> None:
        """A child changed what a state is worth."""
        self._value_of[node_id] = value

    def allowed(self, exclude: Iterable[int]) -> NDArray[np.bool_]:
        """Which states are not excluded."""
        left_out = np.fromiter(exclude, np.int64)
        return ~np.isin(self.ids, left_out) if len(left_out) else np.ones(self._count, np.bool_)

    def _place(self, node_id: int, reward: float) -> int:
        """Where a state stands, or would."""
        falling = -self.rewards
        low = int(np.searchsorted(falling, -reward, "left"))
        high = int(np.searchsorted(falling, -reward, "right"))
        return low + int(np.searchsorted(self._ids[low:high], node_id))


def _roomier(column: NDArray[T]) -> NDArray[T]:
    return np.concatenate([column, np.zeros_like(column)])
