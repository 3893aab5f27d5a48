"""Splits by op family: no family is in two splits, so a test row is never a cousin of training.

Deterministic: the same families and seed give the same splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from foundry.errors import UsageError

TRAIN, VALID, TEST = SPLITS = ("train", "valid", "test")
_HELD_OUT_SHARE = 0.1


def assign(
    rows: Mapping[str, int],
    seed: int = 0,
    *,
    valid: Collection[str] = (),
    test: Collection[str] = (),
) -> dict[str, str]:
    """The split of every family.

    A tenth of the families each, at least one, go to test and valid, chosen by hash; of those that
    are not named the one with the most rows stays in train. One family alone is train, two are
    train and valid.

    Args:
        rows: Rows by family.
        seed: Another seed, another choice.
        valid: Families for valid instead of chosen ones.
        test: Families for test instead of chosen ones.

    Raises:
        UsageError: A named family has no rows, or is named twice, or none is left to train on.
    """
    _check_named(rows, valid, test)
    split = dict.fromkeys(rows, TRAIN) | dict.fromkeys(valid, VALID) | dict.fromkeys(test, TEST)
    left = [family for family in rows if split[family] == TRAIN]
    largest = max(left, key=lambda family: (rows[family], family), default="")
    free = sorted((f for f in left if f != largest), key=lambda f: _order(f, seed))
    share = max(1, round(_HELD_OUT_SHARE * len(rows)))
    for name, given in ((VALID, valid), (TEST, test)):
        if not given:
            split.update(dict.fromkeys(free[:share], name))
            free = free[share:]
    return split


def _order(family: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{family}".encode()).hexdigest()


def _check_named(rows: Mapping[str, int], valid: Collection[str], test: Collection[str]) -> None:
    if both := sorted(set(valid) & set(test)):
        raise UsageError(f"family '{both[0]}' cannot be in valid and in test")
    for family in [*valid, *test]:
        if family not in rows:
            raise UsageError(
                f"family '{family}' has no rows to export; with rows: {', '.join(sorted(rows))}"
            )
    if rows and not set(rows) - set(valid) - set(test):
        raise UsageError("no family is left to train on; name fewer for valid and test")
