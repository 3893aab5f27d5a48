"""A shortlist on the device that is here: each kernel is proven, timed, and kept at once.

Cut short, the same command goes on: what its unfinished run holds is not judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from foundry.chips.judged import JudgeSeat
from foundry.chips.shortlist import ChosenKernel
from foundry.errors import InvalidKernel, UsageError
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel, parse
from foundry.msl.frontend.language import DEFAULT
from foundry.program import Device
from foundry.store import Store, settings_key
from foundry.store.records import Origin
from ops import registry


@dataclass(frozen=True)
class Confirmed:
    """A kernel of a shortlist, and what became of it here."""

    candidate: ChosenKernel
    evaluation: Evaluation
    fresh: bool = True
    """Whether it was judged now, and not before this command was cut short."""

    @property
    def us(self) -> float | None:
        """Measured here, on the workload that was predicted; None where that was not timed."""
        timings = {timing.workload: timing for timing in self.evaluation.timings}
        found = timings.get(self.candidate.workload)
        return found.kernel_us if found else None

    def document(self, device: Device) -> dict[str, Any]:
        """What `--json` prints of it: both times, each under its own name.

        Args:
            device: That it ran on.
        """
        one, found = self.candidate, self.evaluation
        return {
            "op": one.op,
            "kernel_hash": found.kernel_hash,
            "workload": one.workload,
            "predicted_us": one.predicted_us,
            "measured_us": self.us,
            "device": {"id": device.id, "kind": device.kind, "name": device.name},
            "status": str(found.status),
            "passed": found.status.passed,
            "evaluations": [found.model_dump(mode="json")],
        }


@dataclass(frozen=True)
class Confirmation:
    """What is confirmed, and where it is kept."""

    name: str
    """Of the shortlist."""
    candidates: Sequence[ChosenKernel]
    bench: str
    seed: int | None
    """Of the inputs; None: drawn in secret."""
    command: str
    language: str = DEFAULT
    """Version of the Metal Shading Language that kernels are read as."""

    def settings(self) -> dict[str, Any]:
        """What two commands share that continue one another."""
        chosen = [[one.kernel_hash, one.dtype] for one in self.candidates]
        # A run of inputs drawn in secret does not continue one of seed 0, nor the other way round.
        return {
            "shortlist": chosen,
            "bench": self.bench,
            "seed": self.seed,
            "language": self.language,
        }


def confirm(
    asked: Confirmation, store: Store, seat: JudgeSeat, heard: Callable[[Confirmed], None]
) -> list[Confirmed]:
    """Judge and time the kernels of a shortlist, those that an unfinished run holds excepted.

    Args:
        asked: What.
        store: Where each evaluation is kept as soon as it is made.
        seat: The device.
        heard: Called with each, in the order of the list.

    Raises:
        UsageError: A text is no kernel, its op is unknown, or another process is at it.
        EnvironmentUnusable: The device stopped working.
    """
    kernels = [_kernel(asked.name, one) for one in asked.candidates]
    confirmed = []
    with _run(asked, store, seat) as run_id:
        known = {
            (one.evaluation.kernel_hash, one.evaluation.dtype): one.evaluation
            for one in store.evaluations(run_id=run_id)
        }
        for one, kernel in zip(asked.candidates, kernels, strict=True):
            held = known.get((kernel.hash, one.dtype))
            found = held or _judged(one, kernel, asked, seat)
            if held is None:
                store.save(run_id, kernel, one.text, found, Origin("file", asked.name))
            confirmed.append(Confirmed(one, found, held is None))
            heard(confirmed[-1])
    return confirmed


def _judged(one: ChosenKernel, kernel: Kernel, asked: Confirmation, seat: JudgeSeat) -> Evaluation:
    return seat.judge.evaluate(one.text, registry.get(kernel.op), one.dtype, asked.seed)


def _kernel(name: str, one: ChosenKernel) -> Kernel:
    try:
        kernel = parse(one.text)
        registry.get(kernel.op)
    except (InvalidKernel, UsageError) as error:
        raise UsageError(f"{name}, kernel {one.kernel_hash[:12]}: {error}") from None
    return kernel


@contextmanager
def _run(asked: Confirmation, store: Store, seat: JudgeSeat) -> Iterator[int]:
    """The unfinished run of this list on this device, or a new one; how it ends is kept."""
    settings, seed = asked.settings(), asked.seed or 0
    run_id = store.resumable("run", settings_key(settings, seed, seat.device))
    if run_id is None:
        run_id = store.begin_run("run", asked.command, settings, seed, seat.device)
    else:
        store.resume_run(run_id)
    try:
        yield run_id
    except BaseException:
        store.finish_run(run_id, "interrupted")
        raise
    store.finish_run(run_id, "done")
