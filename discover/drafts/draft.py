"""A proposed text before it is judged, and who proposed it."""

from __future__ import annotations

from dataclasses import dataclass

from foundry.store.records import Origin


@dataclass(frozen=True)
class Draft:
    """A text that was proposed, and by whom."""

    text: str
    origin: Origin


def label(origin: Origin) -> str:
    """Where a kernel came from, in a few words: `mutate: vec 4 -> 8`."""
    said = str(origin.detail.get("label") or "")
    # A model's label starts with its proposer's name already.
    if not said or said.split(" ")[0] == origin.name:
        return said or origin.name
    return f"{origin.name}: {said}"
