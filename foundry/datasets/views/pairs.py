"""Pairs of kernels of which one is surely faster: on one device, in one session.

Measured pairs share a device, a run and the inputs of that run, and their intervals lie apart by
`APART` on every workload that was timed. Predicted pairs are those that the chip model tells apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from foundry.chips.fitted import Fitted
from foundry.chips.prediction import tells_apart
from foundry.datasets.pool import ProvenKernel
from foundry.judge.verdict import TIMING_METHOD, Timing
from foundry.store.records import PREDICTIONS, StoredEvaluation

APART = 1.05


@dataclass(frozen=True)
class Timed:
    """A proven kernel with one evaluation in which it was timed, or predicted."""

    kernel: ProvenKernel
    stored: StoredEvaluation

    @property
    def timings(self) -> dict[str, Timing]:
        """By workload, those of today's method."""
        found = self.stored.evaluation.timings
        return {t.workload: t for t in found if t.method == TIMING_METHOD}


@dataclass(frozen=True)
class SpeedPair:
    """A slower and a faster kernel."""

    slower: Timed
    faster: Timed
    gain: float
    """How much faster, at least: the ends of the intervals that are nearest, on the workload where
    they are; of a prediction, the ratio of the times."""
    chip: str | None = None
    """Of a prediction."""
    workload: str = ""
    """Of a prediction: the id of the only one that it is of."""


def measured(kernels: Sequence[ProvenKernel]) -> Iterator[SpeedPair]:
    """For every kernel that some other is surely slower than: the nearest and the slowest of them.

    Args:
        kernels: Of one op.
    """
    for session in _sessions(kernels).values():
        ordered = sorted(session, key=lambda t: (-_score(t), t.kernel.kernel_hash))
        for place, faster in enumerate(ordered):
            near = next((p for s in ordered[place + 1 :] if (p := _apart(s, faster))), None)
            far = next((p for s in ordered[:place:-1] if (p := _apart(s, faster))), None)
            found = {id(pair.slower): pair for pair in (near, far) if pair is not None}
            yield from found.values()


def _score(timed: Timed) -> float:
    return timed.stored.evaluation.score or 0.0


def _sessions(kernels: Sequence[ProvenKernel]) -> dict[tuple[Any, ...], list[Timed]]:
    """Timed kernels by element type, device, run and seed, and by what they were timed on."""
    found: dict[tuple[Any, ...], list[Timed]] = {}
    for kernel in kernels:
        for stored in kernel.proofs:
            timed, one = Timed(kernel, stored), stored.evaluation
            if timed.timings:
                session = (
                    one.dtype,
                    one.device_id,
                    stored.run_id,
                    one.seed,
                    *sorted(timed.timings),
                )
                found.setdefault(session, []).append(timed)
    return found


def _apart(slower: Timed, faster: Timed) -> SpeedPair | None:
    """The pair, where the intervals lie apart on every workload."""
    ahead = faster.timings
    gains = [ahead[name].speedup_low / t.speedup_high for name, t in slower.timings.items()]
    return SpeedPair(slower, faster, min(gains)) if min(gains) >= APART else None


def predicted(kernels: Sequence[ProvenKernel], fitted: Fitted) -> Iterator[SpeedPair]:
    """The same from what the chip model said: on one workload of one chip."""
    for (chip, workload, _), found in sorted(_predictions(kernels).items()):
        ordered = sorted(found, key=lambda pair: (pair[0], pair[1].kernel.kernel_hash))
        for place, (fast_us, faster) in enumerate(ordered):
            slower = [one for one in ordered[place + 1 :] if tells_apart(one[0], fast_us, fitted)]
            for slow_us, other in {id(one): one for one in (*slower[:1], *slower[-1:])}.values():
                yield SpeedPair(other, faster, slow_us / fast_us, chip, workload)


def _predictions(
    kernels: Sequence[ProvenKernel],
) -> dict[tuple[str, str, str], list[tuple[float, Timed]]]:
    found: dict[tuple[str, str, str], list[tuple[float, Timed]]] = {}
    for kernel in kernels:
        for stored in kernel.proofs:
            said = stored.evaluation.extra.get(PREDICTIONS, {})
            for workload, by_chip in said.items():
                for chip, one in by_chip.items():
                    timed = (float(one["predicted_us"]), Timed(kernel, stored))
                    found.setdefault((chip, workload, stored.evaluation.dtype), []).append(timed)
    return found
