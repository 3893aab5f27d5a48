"""What is judged next for a dataset, and how far it has come. Pure: no clock, no database.

1. Every op gives its share of kernels in each round, those with little to compute first: what is
   cut short has many ops. One that has no more leaves its share to the others. Kernels of one op
   follow one another: they share what the oracle knows. Few are compiled anew for every size
   (`thrift`).
2. Once a kernel is proven, faults are planted into it, and come next.
3. All of it depends on the seed alone: what was judged before is met again, and found.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from discover.corpus.faults import planted
from discover.corpus.kernels import Made, kernels
from discover.corpus.recipe import CorpusRecipe
from discover.corpus.thrift import measured, shares, thrifty
from foundry.datasets.teachers import PLANTER
from foundry.errors import InvalidKernel
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel, parse, render, text_hash
from foundry.store.records import Origin
from ops.spec import Op, plain_flops

_TIMED_ONE_IN, _EXPLAINED_ONE_IN = 4, 2
"""Of the kernels of an op that gives few."""


@dataclass(frozen=True)
class Plot:
    """One kernel, or what was one before a fault was planted: where it goes and what is wanted."""

    op: Op
    dtype: str
    text: str
    kernel: Kernel | None
    origin: Origin
    parent: str | None
    timed: bool = False
    explained: bool = False

    @property
    def hash(self) -> str:
        """Identity, as the judge gives it."""
        return self.kernel.hash if self.kernel else text_hash(self.text)

    @property
    def is_planted(self) -> bool:
        """Whether it holds a planted fault."""
        return self.origin.name == PLANTER


@dataclass(frozen=True)
class _Measured:
    """How many kernels of an op are measured: the first ones."""

    timed: int
    explained: int


class Field:
    """The plots of a recipe, in order, and counts of what came of them."""

    def __init__(self, recipe: CorpusRecipe, ops: Sequence[Op]) -> None:
        self._recipe = recipe
        self._next = self._every(ops)
        self._faults: deque[Plot] = deque()
        self._hashes: set[str] = set()
        self.verified: Counter[str] = Counter()
        """Verified kernels by op."""
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        """Planted faults that the judge found, by status."""

    @property
    def ready(self) -> bool:
        """Always: nothing waits for a result."""
        return True

    def take(self) -> Plot | None:
        """What is judged next; None once there are enough verified kernels, or no more."""
        if self._faults:
            return self._faults.popleft()
        if self.verified.total() >= self._recipe.kernels:
            return None
        return next(self._next, None)

    def learn(self, slot: Plot, score: float | None) -> None:
        """Speed decides nothing here."""

    def grew(self, plot: Plot, evaluation: Evaluation) -> None:
        """Count what came of a plot, and plant faults into a kernel that was proven."""
        self.statuses[str(evaluation.status)] += 1
        if plot.is_planted:
            self.faults[str(evaluation.status)] += not evaluation.status.passed
        elif evaluation.status.passed:
            self.verified[plot.op.name] += 1
            self._faults.extend(self._planted(plot))

    def _planted(self, plot: Plot) -> Iterator[Plot]:
        drawn = int.from_bytes(
            hashlib.sha256(f"{self._recipe.seed} {plot.hash}".encode()).digest()[:8]
        )
        whole, part = divmod(self._recipe.faults, 1.0)
        count = int(whole) + ((drawn % 1000) < 1000 * part)
        for fault, text in itertools.islice(planted(plot.text, drawn), count):
            kernel = _parsed(text)
            broken = render(kernel) if kernel else text
            detail = {"fault": fault.name, "label": fault.why}
            made = Plot(
                plot.op, plot.dtype, broken, kernel, Origin("proposer", PLANTER, detail), plot.hash
            )
            if made.hash not in self._hashes:
                self._hashes.add(made.hash)
                yield made

    def _every(self, ops: Sequence[Op]) -> Iterator[Plot]:
        whole = shares(ops, self._recipe.kernels)
        sources = {op.name: self._of_op(op, whole[op.name]) for op in sorted(ops, key=_work)}
        share = shares(ops, -(-self._recipe.kernels // self._recipe.rounds))
        while sources:
            for name in list(sources):
                found = list(itertools.islice(sources[name], 1))
                if not found:
                    del sources[name]
                    continue
                yield from itertools.chain(found, itertools.islice(sources[name], share[name] - 1))

    def _of_op(self, op: Op, share: int) -> Iterator[Plot]:
        first = _Measured(
            timed=measured(op, share, self._recipe.timed, _TIMED_ONE_IN),
            explained=measured(op, share, self._recipe.explained, _EXPLAINED_ONE_IN),
        )
        dtypes = [dtype for dtype in self._recipe.dtypes if dtype in op.dtypes] or [op.dtypes[0]]
        for number, made in enumerate(thrifty(kernels(op, self._recipe.seed), op)):
            if made.kernel.hash not in self._hashes:
                self._hashes.add(made.kernel.hash)
                yield _plot(op, made, number, dtypes, first)


def _plot(op: Op, made: Made, number: int, dtypes: Sequence[str], first: _Measured) -> Plot:
    timed, explained = number < first.timed, number < first.explained
    dtype = dtypes[0] if timed or explained else dtypes[number % len(dtypes)]
    return Plot(op, dtype, made.text, made.kernel, made.origin, made.parent, timed, explained)


def _work(op: Op) -> int:
    """FLOPs of the workloads that a kernel is proven on."""
    return sum(plain_flops(op, workload) for workload in op.workloads("hidden", op.dtypes[0]))


def _parsed(text: str) -> Kernel | None:
    try:
        return parse(text)
    except InvalidKernel:
        return None
