"""One attack on the judge, and the files that hold them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from foundry.errors import UsageError
from foundry.judge.verdict import Proven, Status

CONTROLS = "controls"
REFUSED = (
    Status.WRONG_RESULT,
    Status.SANITIZER_ERROR,
    Status.REJECTED,
    Status.CRASH,
    Status.TIMEOUT,
)
"""What may become of a kernel that builds and is wrong."""


@dataclass(frozen=True)
class Attack:
    """One text that the judge must refuse, or a control that it must accept."""

    kind: str
    """Such as `cheats`, `mutants` or `controls`; of a file, its folder."""
    name: str
    op: str
    dtype: str
    why: str
    """What is wrong with it."""
    expect: tuple[Status, ...]
    """Statuses that are right for it."""
    text: str
    timed: bool = False
    """Aims at the measurement: it is judged up to the end."""
    beyond: Mapping[str, float] = field(default_factory=dict)
    """Sizes of axes, `elements`, `flops` or parameters, from which on it is wrong, all of them met;
    empty: anywhere."""

    @property
    def full_name(self) -> str:
        """Its kind and name, as users choose it."""
        return f"{self.kind}/{self.name}"

    @property
    def is_control(self) -> bool:
        """Whether it is honest."""
        return self.kind == CONTROLS

    def is_right_within(self, proven: Proven | None) -> bool:
        """Whether it does no harm where it was proven, outside of which nobody uses a kernel."""
        if proven is None:
            return False
        ends = {**proven.axes, **proven.params}
        largest: dict[str, float] = {name: most for name, (_, most) in ends.items()}
        known = {
            **largest,
            "elements": proven.elements,
            "written": proven.written,
            "flops": proven.flops,
        }
        return any(known.get(name, size) < size for name, size in self.beyond.items())


def load(folder: Path) -> tuple[Attack, ...]:
    """Every attack file of a folder and its sub-folders.

    Raises:
        UsageError: No attack files, or one that does not parse.
    """
    attacks = tuple(a for path in sorted(folder.rglob("*.metal")) for a in _read(path))
    if not attacks:
        raise UsageError(f"no attack files (*.metal) in {folder}")
    return attacks


def _read(path: Path) -> list[Attack]:
    """The attack of a file, once for every dtype that it names."""
    head, found, text = path.read_text().removeprefix("+++\n").partition("\n+++\n")
    try:
        fields = tomllib.loads(head if found else "")
        dtypes = fields["dtype"]
        one = Attack(
            kind=path.parent.name,
            name=path.stem,
            op=fields["op"],
            dtype="",
            why=fields["why"],
            expect=tuple(Status(status) for status in fields["expect"]),
            text=text,
            timed=fields.get("timed", False),
        )
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is no attack file: {error}") from error
    named = [dtypes] if isinstance(dtypes, str) else dtypes
    return [replace(one, dtype=dtype) for dtype in named]
