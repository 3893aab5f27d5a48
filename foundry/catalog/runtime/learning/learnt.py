"""What was learnt of this machine, kept in one JSON file beside its identity.

A file that is broken, of another form or of another identity counts as absent, and so does a
folder in its place: what it held is learnt anew. Where it cannot be written, what was learnt lasts
as long as the process. Several processes and threads may learn at once: each adds what it found to
what is on file by then.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .regions import AxisSizes, TimedPoint, key_of_sizes

FORM = 3
_BROKEN = (
    OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
"""What reading a file of any contents raises."""
_LOCK = threading.RLock()
"""Held by the thread that changes or writes what was learnt."""


@dataclass(frozen=True)
class KernelVerdict:
    """Whether a kernel gives what the op's formula gives, on this machine."""

    passed: bool
    detail: str
    """Empty, or what is wrong."""
    same_bits: bool = False
    """Whether it gave the very bits of the code that it replaces on every check."""


@dataclass
class Learnt:
    """Verdicts and times of one identity."""

    file: Path
    identity: dict[str, str]
    axes: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By the kernel's key the sizes that a point of it has; of a key that is not here: any."""
    verdicts: dict[str, KernelVerdict] = field(default_factory=dict)
    """By the kernel's key: its hash and dtype."""
    points: dict[str, list[TimedPoint]] = field(default_factory=dict)
    """By the same keys; a kernel that was timed nowhere has none."""
    _news: list[Callable[[Learnt], object]] = field(default_factory=list, repr=False, compare=False)
    """What was found since the file was written, to be told to what is on file by then."""

    def judge(self, key: str, verdict: KernelVerdict) -> None:
        """The verdict on a kernel."""
        self._hear(lambda learnt: learnt.verdicts.__setitem__(key, verdict))

    def add(self, key: str, found: Iterable[TimedPoint]) -> None:
        """Points of a kernel; of those at equal sizes the new ones count."""
        new = list(found)
        if new:
            self._hear(lambda learnt: learnt._join(key, new))

    def doubt(self, key: str) -> None:
        """Whether a kernel is right is to be found out again; its times stand."""
        self._hear(lambda learnt: learnt.verdicts.pop(key, None))

    def keep(self) -> bool:
        """Write the file in one step; False where that is not possible: nothing else happens."""
        with _LOCK, contextlib.suppress(OSError), _only_one(self.file):
            now = read(self.file, self.identity, self.axes)
            for told in self._news:
                told(now)
            part = _no_folder(self.file.with_suffix(".part"))
            part.write_text(json.dumps(now._document(), indent=1))
            part.replace(_no_folder(self.file))
            self.verdicts, self.points, self._news = now.verdicts, now.points, []
            return True
        return False

    def _hear(self, told: Callable[[Learnt], object]) -> None:
        with _LOCK:
            told(self)
            self._news.append(told)

    def _join(self, key: str, new: list[TimedPoint]) -> None:
        points = [*self.points.get(key, []), *new]
        self.points[key] = list({key_of_sizes(p.axes): p for p in points}.values())

    def _document(self) -> dict[str, Any]:
        return {
            "form": FORM,
            "identity": self.identity,
            "verdicts": {key: asdict(verdict) for key, verdict in self.verdicts.items()},
            "points": {key: [asdict(p) for p in found] for key, found in self.points.items()},
        }


def read(
    file: Path, identity: dict[str, str], axes: Mapping[str, Collection[str]] | None = None
) -> Learnt:
    """What is on file for an identity, or nothing.

    Args:
        file: The file.
        identity: Of this machine and package.
        axes: By the kernel's key the sizes that a point of it has; a file with others is broken.
    """
    nothing = Learnt(file, identity, axes or {})
    try:
        if not file.is_file():  # a pipe would be waited for
            return nothing
        document = json.loads(file.read_text())
        if document["form"] != FORM or document["identity"] != identity:
            return nothing
        verdicts = {k: _verdict(v) for k, v in document["verdicts"].items()}
        points = {k: [_point(p) for p in found] for k, found in document["points"].items()}
        _check_axes(points, nothing.axes)
    except _BROKEN:
        return nothing
    return Learnt(file, identity, nothing.axes, verdicts, points)


@contextlib.contextmanager
def _only_one(file: Path) -> Iterator[None]:
    """No other process writes the file inside.

    Raises:
        OSError: Nothing can be written there.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with _no_folder(file.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _no_folder(file: Path) -> Path:
    """A place for a file: a folder that lies there is put aside under another name.

    Raises:
        OSError: It cannot be moved.
    """
    if file.is_dir() and not file.is_symlink():
        file.rename(file.with_name(f"{file.name}.{time.time_ns()}.folder"))
    return file


def _check_axes(
    points: Mapping[str, Iterable[TimedPoint]], axes: Mapping[str, Collection[str]]
) -> None:
    """A `ValueError` where a point has other sizes than its kernel's op."""
    for key, found in points.items():
        if key in axes and any(point.axes.keys() != set(axes[key]) for point in found):
            raise ValueError("a time is of sizes that the op has")


def _verdict(found: dict[str, Any]) -> KernelVerdict:
    verdict = KernelVerdict(**found)
    if not isinstance(verdict.passed, bool) or not isinstance(verdict.same_bits, bool):
        raise TypeError("a verdict is true or false")
    return verdict


def _point(found: dict[str, Any]) -> TimedPoint:
    axes: AxisSizes = {str(name): int(size) for name, size in found.pop("axes").items()}
    numbers = {name: float(found.pop(name)) for name in ("speedup", "low", "high", "chance")}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a time is a number")
    same_bits, baseline = bool(found.pop("same_bits")), str(found.pop("baseline"))
    return TimedPoint(axes=axes, same_bits=same_bits, baseline=baseline, **numbers)
