"""No input has a narrow band of values that a kernel may misread unseen.

For every op and each of its inputs that may hold values of any size: the oracle's answer to inputs
of which a band of width 1 reads 0 leaves what the judge lets through, in some of the hidden runs
that it deals, or of those that leave remainders. Elements that count alone meet every value in a
run of their own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.judge.candidate import _dealt
from foundry.judge.matching import Expected
from foundry.judge.options import JudgeOptions
from foundry.judge.oracle.draws import nonfinite, spots
from foundry.judge.oracle.expecting import expected, values
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.sampling import SameOp
from foundry.judge.oracle.workloads.every import is_elementwise
from foundry.judge.oracle.workloads.swept import remainders
from foundry.program import Arrays
from ops import all_ops
from ops.fills import Real
from ops.matches import Distribution
from ops.spec import Op
from ops.workload import Workload, fill_of

SEED = 20261130
OCTAVES = (4, 8, 16, 32, 64)
"""One band of each, in either sign."""
MOST_UNSEEN = 0.2
"""Share of the bands: what is drawn may miss some, and some are below all others of a selection."""
IN_FLOAT32 = ("router_load_balance",)
"""One number for all rows: half precision hides what a single value adds to it."""
_TRIES = 6
"""Runs with the most elements in the band that are looked at."""


@dataclass(frozen=True)
class Dealt:
    """A run of the judge on a hidden workload."""

    op: Op
    workload: Workload
    distribution: str

    @cached_property
    def inputs(self) -> Arrays:
        return make_inputs(self.op, self.workload, self.distribution, SEED)

    @cached_property
    def expected(self) -> tuple[Expected, ...]:
        rng = np.random.default_rng([SEED, 1])
        return expected(self.op, self.workload, self.inputs, {}, rng)

    def hits(self, name: str, band: int) -> NDArray[np.bool_]:
        given = self.inputs[name].astype(np.float64)
        return (np.abs(given) >= abs(band)) & (np.abs(given) < abs(band) + 1) & (given * band > 0)

    def shows(self, name: str, hits: NDArray[np.bool_]) -> bool:
        given = self.inputs[name]
        misread = self.inputs | {name: np.where(hits, 0, given).astype(given.dtype)}
        found = values(self.op, self.workload, misread)
        pairs = zip(self.op.outputs, self.expected, strict=True)
        return any(want.compare(found[t.name]).fault is not None for t, want in pairs)


QUICK = ("attention_dq", "moe_combine", "cross_entropy", "rms_norm_vjp", "qmm_4bit", "cumprod")
"""Of each kind one; `make test-slow` tries all."""
OPS = [
    op
    for op in all_ops().values()
    if not is_elementwise(op) and not any(isinstance(t.match, Distribution) for t in op.outputs)
]


def dealt(op: Op, dtype: str) -> list[Dealt]:
    _, (hidden, _), _ = _dealt(SameOp(op), dtype, JudgeOptions(timed=False), SEED)
    swept = [(w, spots.of_op(op, w)[:1]) for w in remainders(op, dtype)]
    return [
        Dealt(op, workload, name)
        for workload, names in (*hidden, *swept)
        for name in names
        if all(workload.axes.values()) and name not in nonfinite.DRAWS
    ]


def bands(op: Op, name: str, workload: Workload) -> Iterator[int]:
    rng = random.Random(f"{op.name} {name}")
    (tensor,) = (t for t in op.inputs if t.name == name)
    signs = (1, -1) if fill_of(tensor, workload) == Real() else (1,)
    for least in OCTAVES:
        for sign in signs:
            yield sign * rng.randrange(least, min(2 * least, 100))


@pytest.mark.parametrize(
    "op",
    [
        pytest.param(op, id=op.name, marks=() if op.name in QUICK else pytest.mark.slow)
        for op in OPS
    ],
)
def test_every_band_of_every_input_shows(op: Op) -> None:
    known = op.dtypes if op.name not in IN_FLOAT32 else ("float32",)
    dtype = known[len(op.name) % len(known)]
    runs = dealt(op, dtype)
    able = sorted({name for run in runs for name in spots.able(op, run.workload)})
    names = [name for name in able if _counts(runs, name)]
    drawn = [(name, band) for name in names for band in bands(op, name, runs[0].workload)]
    signs = {(name, sign): _counts(runs, name, sign) for name in names for sign in (1, -1)}
    wanted = [(name, band) for name, band in drawn if signs[name, 1 if band > 0 else -1]]
    unseen = [(name, band) for name, band in wanted if not _is_seen(runs, name, band)]
    assert len(unseen) <= MOST_UNSEEN * len(wanted), (dtype, unseen)


def _counts(runs: Sequence[Dealt], name: str, sign: int = 0) -> bool:
    """Whether the op's answer depends on an input at all; on its values of a sign, where given."""
    given = [run for run in runs if name in spots.able(run.op, run.workload)][:_TRIES]
    return any(run.shows(name, run.inputs[name].astype(np.float64) * sign >= 0) for run in given)


def _is_seen(runs: Sequence[Dealt], name: str, band: int) -> bool:
    hits = [(run, run.hits(name, band)) for run in runs if name not in run.workload.absent]
    held = sorted((h for h in hits if h[1].any()), key=lambda h: -int(h[1].sum()))
    return any(run.shows(name, hit) for run, hit in held[:_TRIES])
