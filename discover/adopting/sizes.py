"""From the numbers of recorded calls to expressions over axes. Pure.

1. Sizes that are equal in every call are one axis; a size of 1 in every call is a 1. That a size
   follows from others (`cols // 8`) is for the author to say.
2. A grid, a threadgroup or a constant of the template is the simplest expression over the axes that
   gives its number in every call: products of axes, rounded up to threads; else the number itself.

What is guessed wrong is caught: the judge tries every kernel on other sizes. Several calls with
unlike sizes leave less to guess.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from discover.adopting.recording import RecordedArray, RecordedCall
from foundry.errors import UsageError
from ops.texts.expressions import ExpressionError, evaluate

Numbers = tuple[int, ...]
"""One of each call."""
_NAMES: Mapping[int, tuple[str, ...]] = {
    1: ("n",),
    2: ("rows", "cols"),
    3: ("batch", "rows", "cols"),
}
_FACTORS = (2, 3, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_WORD = re.compile(r"[^\W\d]\w*")
_MOST_AXES = 4
"""In one product."""


@dataclass(frozen=True)
class Axes:
    """The axes of some calls."""

    sizes: dict[str, Numbers]
    following: dict[Numbers, str] = field(default_factory=dict)
    """Sizes that follow from those, and how: `cols // 8`."""

    def name_of(self, numbers: Numbers) -> int | str:
        """The axis of these sizes, what they follow from, or the number that they all are."""
        found = next((name for name, known in self.sizes.items() if known == numbers), None)
        return self.following.get(numbers, numbers[0]) if found is None else found

    def of_calls(self) -> list[dict[str, int]]:
        """The sizes of every call."""
        return [
            dict(zip(self.sizes, column, strict=True))
            for column in zip(*self.sizes.values(), strict=True)
        ]

    def each(self) -> list[dict[str, int]]:
        """The sizes of every call, calls of equal sizes once."""
        names = tuple(self.sizes)
        rows = dict.fromkeys(zip(*self.sizes.values(), strict=True))
        return [dict(zip(names, row, strict=True)) for row in rows]


def axes_of(calls: Sequence[RecordedCall], names: Sequence[str]) -> Axes:
    """The axes of calls of one kernel.

    Args:
        calls: Their arrays have as many dimensions in each.
        names: Of the axes, in the order in which their sizes come; none: plain ones. A size that
            follows from other axes has arithmetic over them in place of a name.

    Raises:
        UsageError: Names for other axes, one name for two, or arithmetic that gives other sizes.
    """
    found = list(dict.fromkeys(n for shape in shapes_of(calls) for n in shape if set(n) != {1}))
    usual = _NAMES.get(len(found), tuple(f"d{at}" for at in range(len(found))))
    chosen = tuple(names) or usual
    if len(chosen) != len(found):
        told = ", ".join("x".join(map(str, dict.fromkeys(n))) for n in found)
        raise UsageError(f"there are {len(found)} axes, of sizes {told}; {len(chosen)} are named")
    if twice := [name for name, count in Counter(chosen).items() if count > 1]:
        raise UsageError(f"{' and '.join(twice)} among the axes is given twice; each has one name")
    named = list(zip(chosen, found, strict=True))
    axes = Axes(
        {name: numbers for name, numbers in named if name.isidentifier()},
        {numbers: text for text, numbers in named if not text.isidentifier()},
    )
    _check(axes)
    return _renamed(axes, {*calls[0].kernel.input_names, *calls[0].kernel.output_names})


def _renamed(axes: Axes, taken: Collection[str]) -> Axes:
    """The same axes, those called as an array is under names of their own."""
    known = {*taken, *axes.sizes}
    own = {name: _free(f"{name}_size", known) for name in axes.sizes if name in taken}
    return Axes(
        {own.get(name, name): numbers for name, numbers in axes.sizes.items()},
        {
            numbers: _WORD.sub(lambda word: own.get(word[0], word[0]), text)
            for numbers, text in axes.following.items()
        },
    )


def _free(name: str, known: Collection[str]) -> str:
    return name if name not in known else _free(f"{name}_", known)


def _check(axes: Axes) -> None:
    for numbers, text in axes.following.items():
        try:
            given = tuple(evaluate(text, sizes) for sizes in axes.of_calls())
        except ExpressionError as error:
            raise UsageError(f"'{text}' among the axes: {error}") from None
        if given != numbers:
            told, wanted = ("x".join(map(str, dict.fromkeys(n))) for n in (given, numbers))
            raise UsageError(f"'{text}' among the axes gives {told}, and the size is {wanted}")


def shapes_of(calls: Sequence[RecordedCall]) -> list[list[Numbers]]:
    """The sizes of every array, inputs first, each over all calls."""
    return [
        list(zip(*(array.shape for array in arrays), strict=True))
        for arrays in zip(*(_arrays(call) for call in calls), strict=True)
    ]


def _arrays(call: RecordedCall) -> list[RecordedArray]:
    return [*(a for a in call.inputs if isinstance(a, RecordedArray)), *call.outputs]


def expression(numbers: Numbers, axes: Axes, threads: Numbers) -> int | str:
    """The simplest expression over the axes that gives these numbers.

    Args:
        numbers: One of each call.
        axes: The axes of the calls.
        threads: Of a threadgroup along this dimension, in each call.
    """
    if len(set(numbers)) == 1 and numbers[0] <= 1:
        return numbers[0]
    if numbers in axes.following:
        return axes.following[numbers]
    known = axes.of_calls()
    for text in _candidates(tuple(axes.sizes), threads):
        if all(evaluate(text, k) == n for k, n in zip(known, numbers, strict=True)):
            return text
    return numbers[0]


def _candidates(names: Sequence[str], threads: Numbers) -> Iterator[str]:
    """Expressions from the likeliest to the least likely."""
    subsets = [
        " * ".join(chosen)
        for count in range(min(len(names), _MOST_AXES), 0, -1)
        for chosen in itertools.combinations(names, count)
    ]
    yield from subsets
    own = [threads[0]] if len(set(threads)) == 1 and threads[0] > 1 else []
    factors = list(dict.fromkeys((*own, *_FACTORS)))
    for factor in factors:
        for product in subsets:
            yield f"{product} * {factor}"
            yield f"ceildiv({product}, {factor}) * {factor}"
    for per, width in itertools.product(_FACTORS, (1, *factors)):
        for product in subsets:
            yield (
                f"ceildiv({product}, {per})"
                if width == 1
                else (f"ceildiv(ceildiv({product}, {per}), {width}) * {width}")
            )
            yield f"ceildiv({product}, {per}) * {width}"
