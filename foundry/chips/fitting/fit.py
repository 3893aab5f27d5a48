"""The constants of a family of chips, fitted to the log ratios of pairs. Pure.

Each constant starts from what sources say and is pulled back to it: data that needs no change gets
none. Coordinate search in factors; the loss of a pair is bounded, so that a kernel that
the model does not understand does not bend the rest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace

from foundry.chips.constants import Constants
from foundry.chips.fitted import DYNAMIC, FAMILIES, FIXED
from foundry.chips.fitting.accuracy import Cost, Pair, pairs
from foundry.chips.fitting.rows import Row
from foundry.chips.model import seconds
from foundry.msl.gpu.profile import GpuProfile

_PULL = 5.0
"""Times that what sources say weighs as much as: few times move the constants little."""
_BOUND = 1.5
_LEAST_FAR = 1.0
"""No memory is faster than its specification."""
_FACTORS = (2.0, 1.5, 1.25, 1.1)


def family_of(row: Row) -> str:
    """Of the chip that a row ran on."""
    return DYNAMIC if row.speeds.is_dynamic else FIXED


def fit(rows: Sequence[Row], profiles: Mapping[str, GpuProfile]) -> dict[str, Constants]:
    """Constants of all families; those of a family without data are what sources say."""
    found = {}
    for family in FAMILIES:
        taken = list(pairs(row for row in rows if family_of(row) == family))
        found[family] = _fit(taken, profiles) if taken else Constants()
    return found


def spread(taken: Sequence[Pair], cost: Cost) -> float:
    """Standard deviation of the logarithm of predicted over measured ratios."""
    errors = [math.log(cost(p.slow) / cost(p.fast) / p.ratio) for p in taken]
    return math.sqrt(sum(e * e for e in errors) / len(errors)) if errors else math.nan


def leave_one_out(
    rows: Sequence[Row], profiles: Mapping[str, GpuProfile]
) -> Callable[[Row], Constants]:
    """Constants for each row that were fitted without its op."""
    names = sorted({row.op for row in rows})
    fits = {op: fit([row for row in rows if row.op != op], profiles) for op in names}
    return lambda row: fits[row.op][family_of(row)]


def _fit(taken: Sequence[Pair], profiles: Mapping[str, GpuProfile]) -> Constants:
    start = best = Constants()
    pull = _PULL / len({id(row) for pair in taken for row in (pair.slow, pair.fast)})

    def loss(constants: Constants) -> float:
        errors = _errors(taken, profiles, constants)
        pulled = sum(
            math.log(getattr(constants, f.name) / getattr(start, f.name)) ** 2
            for f in fields(Constants)
        )
        return sum(min(abs(e), _BOUND) for e in errors) / len(errors) + pull * pulled

    least = loss(best)
    for factor in _FACTORS:
        tried = True
        while tried:
            tried = False
            for field, step in itertools.product(fields(Constants), (factor, 1 / factor)):
                other = replace(best, **{field.name: getattr(best, field.name) * step})
                if other.far >= _LEAST_FAR and (found := loss(other)) < least - 1e-4:
                    best, least, tried = other, found, True
    return best


def _errors(
    taken: Sequence[Pair], profiles: Mapping[str, GpuProfile], constants: Constants
) -> list[float]:
    rows = {id(row): row for pair in taken for row in (pair.slow, pair.fast)}
    logs = {
        key: math.log(seconds(profiles[row.key], row.speeds, constants))
        for key, row in rows.items()
    }
    return [logs[id(p.slow)] - logs[id(p.fast)] - math.log(p.ratio) for p in taken]
