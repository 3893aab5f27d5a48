"""How long a prompt is, and what its first part says: for large models, and for small ones.

A form is chosen once, for a search, a dataset or a reward: a model is asked as it was taught.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PromptForm:
    """One way to ask."""

    system: str
    """Template of the system part, beside `user.j2`."""
    tokens: int
    """Of a prompt, system and user part together, at most: what is known beside the kernel is left
    out until it fits, by what it is worth. The kernel itself is never cut."""


FULL = PromptForm("system.j2", 16_000)
"""Everything that the judge asks for, and that Metal has here."""
COMPACT = PromptForm("compact.j2", 400)
"""The op and the file format alone: for small models, which have to learn every token of it."""
FORMS: Mapping[str, PromptForm] = {"full": FULL, "compact": COMPACT}
"""By the names that options and recipes take."""
