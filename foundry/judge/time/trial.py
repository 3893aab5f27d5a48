"""One measurement of a kernel: both sides bound, run in turn, looked at, and doubted.

1. Both sides rotate over the same draws, and their batches alternate. Before and after, the
   baseline is run alone: what it loses beside the kernel is none of the kernel's gain.
2. The outputs of the timed calls themselves must be right, and their inputs as they were.
3. What is no work of the kernel is measured with a program that does nothing.
4. Left alone with its results and the same inputs once more, it must not be faster by far.
5. At last the kernel meets inputs that it never met. If it is slower there than it was, by more
   than the noise, it is as slow as that; far slower, and it remembers what it met before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from foundry.harness.jobs import size_of
from foundry.harness.measuring.jobs import BindSide, Left, Renew
from foundry.harness.processes.process import WorkerProcess
from foundry.judge.candidate import Failed, Target
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.references import SAMPLED_FLOPS, Reference, output_specs
from foundry.judge.oracle.workloads.dealing import is_small
from foundry.judge.proof.allowance import Allowances
from foundry.judge.proof.once import look_closer
from foundry.judge.proof.verify import hold
from foundry.judge.stages import Walk, stopped
from foundry.judge.time import plausible
from foundry.judge.time.baselines import Bar, bind_baseline, metered
from foundry.judge.time.confirmation import derived_seed
from foundry.judge.time.meter import (
    SETS,
    Halted,
    Meter,
    answered,
    latency_us,
    slots_for,
    undisturbed_us,
)
from foundry.judge.time.pairs import Latencies, Line, measure
from foundry.judge.time.slopes import Batch
from foundry.judge.time.work import Taken
from foundry.judge.verdict import Diagnostic, Status
from foundry.program import Arrays
from ops.spec import elements_of, plain_flops
from ops.workload import Workload

DISTRIBUTION = "normal"
_KERNEL, _GHOST, _LINKS = "kernel", "ghost", "links"
_FEW_COUPLES = 5
_UNSEEN_ROUNDS = 3
_TEMPTATIONS = 3
_TICK_US = 0.01
_AFFORDABLE = 1 << 20
"""Elements of a workload up to which there is more than one round of inputs never met."""


@dataclass(frozen=True)
class TimedTask:
    """One program on the workload it is timed on."""

    walk: Walk
    target: Target
    program: int
    sets: tuple[Reference, ...]
    seed: int


@dataclass(frozen=True)
class Trial(TimedTask):
    """The same against a bar, with the worker of the other side."""

    bar: Bar
    kind: str
    """Of the device."""
    trusted: WorkerProcess

    def meter(self, side: str) -> Meter:
        """A side of the kernel's worker."""
        launches = self.target.program.launches
        written = sum(size_of(spec) for launch in launches for spec in launch.outputs)
        slots = min(slots_for(self.kind, written), self.baseline.slots)
        return Meter(self.walk.worker, side, self.walk.options.time_limit_s, self.kind, slots)

    @property
    def baseline(self) -> Meter:
        """The side of the trusted worker."""
        return metered(self.trusted, self.kind, self.walk.candidate.op, self.target.workload)

    @property
    def inputs(self) -> tuple[Arrays, ...]:
        """Of every set."""
        return tuple(reference.inputs for reference in self.sets)


@dataclass(frozen=True)
class Tried:
    """What a trial found."""

    latencies: Latencies
    alone_us: float
    """The baseline alone, before or after the pairs: the slower of both, for a machine may run at
    another speed a moment later."""
    taken: Taken
    unseen_factor: float
    """How much slower the kernel is on inputs that it never met; 1 within the noise."""
    held: int
    """Bytes that calls go through before they come to the same again."""


def seeds(seed: int, what: str) -> tuple[int, ...]:
    """Seeds of independent draws, one for every set."""
    return tuple(derived_seed(seed, f"{what} {number}") for number in range(SETS))


def reference(walk: Walk, workload: Workload, seed: int) -> Reference:
    """What timed calls on the draw of a seed are held to.

    There are many draws, and each kernel was held to the whole oracle on this workload before. So
    of a large one the oracle is asked at places drawn in secret, and wherever an element is far
    from the baseline (`look_closer`).
    """
    op = walk.candidate.op
    is_sampled = not is_small(op, workload) and plain_flops(op, workload) <= SAMPLED_FLOPS
    return walk.references.get(op, workload, DISTRIBUTION, seed, sampled=is_sampled)


def attempt(trial: Trial) -> Tried | Failed:
    """Measure once."""
    try:
        return _attempt(trial)
    except Halted as halted:
        return stopped(halted.failure, "benchmark", trial.target)


def untimed(target: Target, why: str) -> Failed:
    """A kernel that stays proven, and has no time."""
    said = Diagnostic(stage="benchmark", message=why, workload=target.workload.id)
    return Failed(Status.CORRECT, said)


def rejected(target: Target, why: str) -> Failed:
    """A kernel that is right, but whose times cannot be believed."""
    said = Diagnostic(stage="benchmark", message=why, workload=target.workload.id)
    return Failed(Status.REJECTED, said)


def _attempt(trial: Trial) -> Tried | Failed:
    plan, bar, op = trial.walk.options.plan, trial.bar, trial.walk.candidate.op
    workload, baseline, kernel = trial.target.workload, trial.baseline, trial.meter(_KERNEL)
    job = bind_baseline(op, workload, bar.name, trial.inputs, trial.kind)
    if (nodes := baseline.bind(job).nodes) != bar.nodes:
        return untimed(trial.target, _other_graph(bar, nodes))
    kernel.bind(BindSide(_KERNEL, trial.inputs, kernel.slots, trial.program))
    lines = baseline.line(plan), kernel.line(plan)
    before_us, _ = latency_us(lines[0], _FEW_COUPLES)
    latencies = measure(*lines, plan)
    after_us, _ = latency_us(lines[0], _FEW_COUPLES)
    calls = lines[1].lengths.long
    if failed := _look(trial, kernel.batch, calls) or _tempt(trial, kernel, calls, latencies):
        return failed
    taken = Taken(bar.dispatch_us, _dispatch_us(trial))
    factor = _unseen_factor(trial, kernel, latencies, lines[0])
    if isinstance(factor, Failed):
        return factor
    read = sum(array.nbytes for inputs in trial.inputs for array in inputs.values())
    written = calls * sum(size_of(spec) for spec in output_specs(op, workload))
    return Tried(latencies, max(before_us, after_us), taken, factor, read + written)


def _look(trial: Trial, batch: Batch, calls: int) -> Failed | None:
    """Hold some calls of one more batch against the oracle: one of every set, any of them."""
    calls = max(calls, SETS)
    batch(calls)
    for number in [random.choice(range(first, calls, SETS)) for first in range(SETS)]:
        if failed := _hold(trial, number, trial.sets[number % SETS]):
            return failed
    return None


def _tempt(trial: Trial, kernel: Meter, calls: int, latencies: Latencies) -> Failed | None:
    """Run the same calls on the same inputs over the memory that they left, as nobody is timed.

    Whoever keeps results there finds them all now, and is far faster than it was. A machine that
    was busy before looks alike, so who does is asked once more, both ways in turn.
    """
    timed_us = undisturbed_us(latencies.kernel_us)
    kept_us = max(_call_us(kernel, calls, latencies, keep=True) for _ in range(_TEMPTATIONS))
    if not plausible.is_far_slower(timed_us, kept_us):
        return None
    turns = [
        [_call_us(kernel, calls, latencies, keep=keep) for keep in (False, True)]
        for _ in range(_TEMPTATIONS)
    ]
    timed_us, kept_us = min(fresh for fresh, _ in turns), max(kept for _, kept in turns)
    if not plausible.is_far_slower(timed_us, kept_us):
        return None
    return rejected(
        trial.target,
        f"it takes {timed_us:.3g} us, but {kept_us:.3g} us where its outputs and temporaries still "
        "hold what it wrote for the same inputs: it keeps what it computed.",
    )


def _call_us(kernel: Meter, calls: int, latencies: Latencies, *, keep: bool = False) -> float:
    """Of one call, by a batch of them."""
    spent_us = kernel.batch(calls, keep=keep) * 1e6 - latencies.fixed_us
    return max(spent_us / calls, _TICK_US)


def _hold(trial: Trial, number: int, expected: Reference) -> Failed | None:
    kernel, candidate = trial.meter(_KERNEL), trial.walk.candidate
    specs = output_specs(candidate.op, trial.target.workload)
    found = answered(kernel.worker.ask(Left(_KERNEL, (number,), specs), kernel.limit_s))
    outputs = found.outputs[0]
    if failed := hold(candidate, trial.target, expected, outputs) or look_closer(
        trial.walk, trial.target, expected, outputs, Allowances()
    ):
        said = f"its timed calls went wrong: {failed.diagnostic.message}"
        return rejected(trial.target, said)
    if found.changed is not None:
        return rejected(trial.target, f"its timed calls wrote to their input '{found.changed}'.")
    return None


def _dispatch_us(trial: Trial) -> float:
    """Of a call of the kernel, what is none of its work: that of one which does nothing."""
    walk, plan = trial.walk, trial.walk.options.plan
    if trial.kind != "cpu":
        meter = trial.meter(_LINKS)
        meter.bind(BindSide(_LINKS, trial.inputs[:1], meter.slots, trial.program, links=True))
    elif walk.candidate.probe is not None:
        meter = trial.meter(_GHOST)
        meter.bind(BindSide(_GHOST, (), meter.slots, walk.ghost))
    else:
        return 0.0
    return latency_us(meter.line(plan), _FEW_COUPLES)[0]


def _unseen_factor(
    trial: Trial, kernel: Meter, latencies: Latencies, baseline: Line
) -> float | Failed:
    """How much slower the kernel is where it meets every input for the first time.

    The least of a few rounds counts, for whatever else happens makes calls slower, never faster.
    Where the baseline has become slower as well, it is the machine that did.
    """
    timed_us = undisturbed_us(latencies.kernel_us)
    found: list[float] = []
    for number, renewed in enumerate(_unseen(trial)):
        answered(kernel.worker.ask(Renew(_KERNEL, renewed), kernel.limit_s))
        found.append(_call_us(kernel, SETS, latencies))
        if number == 0 and (failed := _hold_unseen(trial)):
            return failed
    factor = plausible.unseen_factor(min(found), timed_us)
    if factor > 1.0:
        now_us, _ = latency_us(baseline, _FEW_COUPLES)
        slower = max(1.0, now_us / undisturbed_us(latencies.baseline_us))
        factor = plausible.unseen_factor(min(found) / slower, timed_us)
    if not plausible.remembers(factor):
        return factor
    again_us = _met_again_us(trial, kernel, latencies)
    if not plausible.is_far_slower(min(found), again_us):
        return factor
    return rejected(
        trial.target,
        f"it takes {min(found):.3g} us on inputs that it never met, and {again_us:.3g} us on those "
        "that it met before: it keeps what it computed.",
    )


def _met_again_us(trial: Trial, kernel: Meter, latencies: Latencies) -> float:
    """Latency on inputs that were met: the last ones once more, and those that were timed.

    One that remembers is fast on some of them, however few it keeps. Where neither is, the machine
    is slower than it was.
    """
    last_us = _call_us(kernel, SETS, latencies)
    answered(kernel.worker.ask(Renew(_KERNEL, trial.inputs), kernel.limit_s))
    return min(last_us, *(_call_us(kernel, SETS, latencies) for _ in range(_TEMPTATIONS)))


def _unseen(trial: Trial) -> Iterator[tuple[Arrays, ...]]:
    """Round by round, inputs for every set that the kernel has never met."""
    op, workload = trial.walk.candidate.op, trial.target.workload
    rounds = _UNSEEN_ROUNDS if elements_of(op, workload) <= _AFFORDABLE else 1
    for number in range(rounds):
        drawn = seeds(trial.seed, f"unseen {number}")
        yield tuple(make_inputs(op, workload, DISTRIBUTION, seed) for seed in drawn)


def _hold_unseen(trial: Trial) -> Failed | None:
    """Hold one call on inputs never met against the oracle."""
    seed = seeds(trial.seed, "unseen 0")[0]
    return _hold(trial, 0, reference(trial.walk, trial.target.workload, seed))


def _other_graph(bar: Bar, nodes: int) -> str:
    return (
        f"proven, but not timed: MLX makes {nodes} operations of the baseline '{bar.name}', and "
        f"made {bar.nodes} of it before. Run `foundry doctor`."
    )
