"""What no row may hold: absolute paths, hidden sizes, seeds, keys. Scrubbed, and looked for. Pure.

`scrubbed` is what every row goes through; `leaks` is the scan that tests and `foundry data verify`
run over what was written. Seeds are looked for by whoever knows them: tests do, a file does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from foundry.judge.verdict import Diagnostic, Evaluation, OutputError
from ops.registry import all_ops

HIDDEN = "a hidden workload"


@dataclass(frozen=True)
class _Finder:
    """An expression, and a quick look whether a text may hold anything that it finds.

    Nearly no text does, and the whole expressions take a hundred times as long as the look.
    """

    pattern: re.Pattern[str]
    may_find: Callable[[str], object]

    def over(self, text: str) -> Iterator[re.Match[str]]:
        """Everything it finds."""
        return self.pattern.finditer(text) if self.may_find(text) else iter(())

    def replaced(self, by: Callable[[re.Match[str]], str], text: str) -> str:
        """The text with everything it finds replaced."""
        return self.pattern.sub(by, text) if self.may_find(text) else text


_FOLDER = re.compile(r"/[\w.@+-]+/")
_HOMES = r"/(?:Users|home|Volumes|private)/(?:[\w.@+ -]*[\w.@+-]/)*"
"""Folders of people, whose names may hold spaces: nothing before them makes them harmless but `:/`,
as in a link to a host of such a name. Other paths begin where a word may."""
_PATH = _Finder(
    re.compile(
        rf"(?:(?<![\w)\]/*.:~-])(?:~|file://)?(?:{_HOMES}|/(?:[\w.@+-]+/)+)|(?<!:/){_HOMES})"
        r"(?P<name>[\w.@+-]*)"
        r"|\b[A-Za-z]:\\(?:[^\s\\'\"]+\\)*(?P<other>[^\s\\'\"]*)"
    ),
    lambda text: ":\\" in text or _FOLDER.search(text),
)
_WORKLOAD = _Finder(
    re.compile(r"\b(?P<op>\w+)\[\w+=[^,\[\]\s]+(?:,\w+=[^,\[\]\s]+)*\]\w+"),
    re.compile(r"\[\w+=").search,
)
_KEY_STARTS = tuple(
    a + b for a in ("sk", "pk", "ghp", "gho", "hf", "xoxa", "xoxb", "xoxp") for b in "-_"
)
_KEY = _Finder(
    re.compile(rf"\b(?:{'|'.join(_KEY_STARTS)})[A-Za-z0-9_-]{{16,}}|\bAKIA[0-9A-Z]{{16}}\b"),
    lambda text: "AKIA" in text or any(start in text for start in _KEY_STARTS),
)
_NUMBER = re.compile(r"(?<![\w.:])\d{2,}(?![\w.])")
_DIGITS = re.compile(r"(?<!\d)\d{3,20}(?!\d)")
"""As many as a seed may have; Python reads no number of thousands of them."""
_STAGES_THAT_QUOTE = ("parse", "build")
"""Their words hold what a hidden size made of an expression."""


@cache
def public_workloads(op: str) -> frozenset[str]:
    """Ids of the workloads of an op that everybody may see: visible and bench, in every dtype."""
    known = all_ops().get(op)
    if known is None:
        return frozenset()
    return frozenset(
        workload.id
        for dtype in known.dtypes
        for kind in ("visible", "bench")
        for workload in known.workloads(kind, dtype)
    )


def is_public(workload: str | None, timed: Collection[str] = ()) -> bool:
    """Whether a workload may be named; what an op of a user's calls its own is unknown here.

    Args:
        workload: Its id.
        timed: Further ones that everybody may see, as in `requested`.
    """
    if workload is None or workload in timed:
        return True
    return workload in public_workloads(workload.partition("[")[0])


def without_paths(text: str) -> str:
    """The text with each absolute path cut down to its last part."""
    return _PATH.replaced(lambda found: found["name"] or found["other"] or "", text)


def scrubbed(value: Any, timed: Collection[str] = ()) -> Any:
    """Plain data without paths, keys, and names of workloads that are hidden."""
    match value:
        case str():
            without_keys = _KEY.replaced(lambda _: "...", without_paths(value))
            return _WORKLOAD.replaced(lambda found: _named(found, timed), without_keys)
        case Mapping():
            return {scrubbed(key, timed): scrubbed(item, timed) for key, item in value.items()}
        case list() | tuple():
            return [scrubbed(item, timed) for item in value]
    return value


def _named(found: re.Match[str], timed: Collection[str]) -> str:
    return found[0] if is_public(found[0], timed) or found["op"] not in all_ops() else HIDDEN


def diagnostics(evaluation: Evaluation, text: str, timed: Collection[str]) -> list[Diagnostic]:
    """The findings; one of a hidden workload names no size."""
    return [_diagnostic(found, text, timed) for found in evaluation.diagnostics]


def _diagnostic(found: Diagnostic, text: str, timed: Collection[str]) -> Diagnostic:
    hidden = found.hidden or not is_public(found.workload, timed)
    message = str(scrubbed(found.message, timed))
    if hidden and found.stage in _STAGES_THAT_QUOTE:
        own = set(_NUMBER.findall(text))
        message = _NUMBER.sub(lambda number: number[0] if number[0] in own else "...", message)
    changed = {"message": message, "hidden": hidden, "workload": None if hidden else found.workload}
    return found.model_copy(update=changed)


def errors(evaluation: Evaluation, timed: Collection[str]) -> list[dict[str, Any]]:
    """Errors by workload and output; all hidden workloads together are one entry an output."""
    shown = [e.model_dump() for e in evaluation.errors if is_public(e.workload, timed)]
    hidden: dict[str, list[OutputError]] = {}
    for error in evaluation.errors:
        if not is_public(error.workload, timed):
            hidden.setdefault(error.output, []).append(error)
    for output, found in hidden.items():
        largest = {name: _largest(found, name) for name in ("max_abs_error", "bound_ratio")}
        shown.append({"workload": None, "output": output, **largest})
    return shown


def _largest(errors: Collection[OutputError], name: str) -> float:
    """The largest; NaN where one is, for it is no number that is smaller."""
    values = [float(getattr(error, name)) for error in errors]
    return next((value for value in values if value != value), max(values))


def leaks(value: Any, seeds: Collection[int] = (), timed: Collection[str] = ()) -> Iterator[str]:
    """Everything in plain data that must not leave the house, in words.

    Args:
        value: A row: strings, numbers, lists, records.
        seeds: Seeds of inputs that were drawn in secret.
        timed: Ids of workloads that are none of an op's, and may be named all the same.
    """
    match value:
        case str():
            yield from _leaks_of_text(value, seeds, timed)
        case Mapping():
            for key, item in value.items():
                yield from leaks(key, seeds, timed)
                yield from leaks(item, seeds, timed)
        case list() | tuple():
            for item in value:
                yield from leaks(item, seeds, timed)
        case int() if value in seeds and value > 99:
            yield f"seed {value}"


def _leaks_of_text(text: str, seeds: Collection[int], timed: Collection[str]) -> Iterator[str]:
    yield from (f"path {found[0]}" for found in _PATH.over(text))
    yield from (f"key {found[0][:6]}..." for found in _KEY.over(text))
    for found in _WORKLOAD.over(text):
        if _named(found, timed) == HIDDEN:
            yield f"hidden workload {found[0]}"
    if seeds:
        numbers = (int(found[0]) for found in _DIGITS.finditer(text))
        yield from (f"seed {number}" for number in numbers if number in seeds)
