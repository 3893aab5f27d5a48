"""What the judge knows before any kernel runs: inputs, oracle and bounds, computed once per run.

A reference belongs to one op, workload, distribution and seed. BaselineRun outputs, which the error
model needs, come from the trusted worker. Least recently used references are dropped when all
together grow beyond the limit.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator

from foundry.errors import EnvironmentUnusable, NoAnswer
from foundry.harness.jobs import BaselineRun, Crash, Timeout
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.matching import Expected
from foundry.judge.oracle.draws import coinciding, nonfinite, opposite
from foundry.judge.oracle.draws.distributions import EVERY
from foundry.judge.oracle.expecting import expected, expected_of_baseline, values
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.pace import Paces
from foundry.judge.oracle.sampling import Sample, sample
from foundry.judge.oracle.workloads.every import eased, is_elementwise, lost, tamed
from foundry.program import Arrays, TensorSpec
from ops.registry import file_of
from ops.spec import Op, plain_flops
from ops.workload import ELEMENT, Workload, dtype_of, shape_of

BASELINE_LIMIT_S = 60.0
_FAR_LIMIT_S = 10.0
"""Of a baseline that is asked for a large workload's sake: one that is slow there leaves it out."""
_ORACLE_FLOPS = 4e8
"""Beyond this, a workload is compared with the baseline: the oracle would take seconds."""
SAMPLED_FLOPS = 3e7
"""The same where many large workloads are run once each."""
_WHOLE_FLOPS = 1e9
"""Beyond this, a baseline is not asked for all of a sampled workload."""
_CACHE_BYTES = 1 << 30
_BYTES_PER_ELEMENT = 64
"""Of an input or output, while its oracle and bounds are computed: eight float64 arrays."""

Key = tuple[str, str, str, int, str]


@dataclass(frozen=True)
class Reference:
    """Inputs of one workload, and what must come out."""

    op: Op
    workload: Workload
    distribution: str
    inputs: Arrays
    expected: tuple[Expected, ...]
    """Of the sample, where there is one."""
    baseline: Arrays
    """Outputs of the op's first baseline that runs, on the same inputs or their sample."""
    sample: Sample | None = None
    """The part of a large workload that is held to the oracle; None: all of it is."""
    whole: Arrays = field(default_factory=dict)
    """What the baseline gives for all of a sampled workload; empty where that costs too much. Where
    nothing is expected, what the oracle gives."""

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Name, shape and dtype of what `expected` describes."""
        return output_specs(self.op, self.sample.part if self.sample else self.workload)

    def part_of(self, outputs: Arrays) -> Arrays:
        """What `expected` describes, cut out of outputs; one of a wrong shape stays as it is."""
        if self.sample is None:
            return outputs
        found = dict(outputs)
        for tensor in self.op.outputs:
            array = found.get(tensor.name)
            if array is not None and array.shape == shape_of(tensor, self.workload):
                found[tensor.name] = self.sample.of(tensor, array)
        return found

    @functools.cached_property
    def nbytes(self) -> int:
        """Memory it holds."""
        arrays = (*self.inputs.values(), *self.baseline.values(), *self.whole.values())
        return sum(a.nbytes for a in arrays) + sum(e.nbytes for e in self.expected)


class References:
    """Computes references, each once."""

    def __init__(self, pool: WorkerPool, limit_bytes: int = _CACHE_BYTES) -> None:
        self._pool = pool
        self._paces = Paces()
        """Of answers with their bounds."""
        self._paces_of_values = Paces()
        """Of values alone, which take a fraction of that."""
        self._limit = limit_bytes
        self._guard = threading.Lock()
        self._found: OrderedDict[Key, Reference] = OrderedDict()
        self._held = 0
        """Bytes of all that was found."""
        self._making: dict[Key, threading.Lock] = {}

    def get(
        self, op: Op, workload: Workload, distribution: str, seed: int, *, sampled: bool = False
    ) -> Reference:
        """The reference, from memory or computed now.

        Args:
            op: The op.
            workload: One of its workloads.
            distribution: What fills the inputs.
            seed: Draws inputs and samples.
            sampled: Ask the oracle for a part alone, where the op has independent axes.

        Raises:
            NoAnswer: No baseline runs on this workload, it is larger than the memory, or sampled
                and too much for a slow oracle.
            EnvironmentUnusable: The oracle fails.
        """
        key = (op.name, workload.id, distribution, seed, "sampled" if sampled else "whole")
        return self._kept(key, lambda: self._make(op, workload, distribution, seed, sampled))

    def values(self, op: Op, workload: Workload, distribution: str, seed: int) -> Reference:
        """The same without bounds: `whole` holds what the oracle gives, and nothing is expected.

        Raises:
            NoAnswer: It is larger than the memory, or too much for a slow oracle.
            EnvironmentUnusable: The oracle fails.
        """
        key = (op.name, workload.id, distribution, seed, "values")
        return self._kept(key, lambda: self._values(op, workload, distribution, seed))

    def inputs(self, op: Op, workload: Workload, distribution: str, seed: int) -> Arrays:
        """Inputs of which nothing is known but that a kernel takes them."""
        key = (op.name, workload.id, distribution, seed, "inputs")

        def made() -> Reference:
            drawn = make_inputs(op, workload, distribution, seed)
            return Reference(op, workload, distribution, drawn, (), {})

        return self._kept(key, made).inputs

    def _kept(self, key: Key, make: Callable[[], Reference]) -> Reference:
        with self._guard:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._guard:
                if key in self._found:
                    self._found.move_to_end(key)
                    return self._found[key]
            reference = make()
            with self._guard:
                self._found[key] = reference
                self._held += reference.nbytes
                self._drop_oldest()
        return reference

    def _drop_oldest(self) -> None:
        while self._held > self._limit and len(self._found) > 1:
            key, oldest = self._found.popitem(last=False)
            self._held -= oldest.nbytes
            self._making.pop(key, None)

    def closer(self, reference: Reference, places: Sample) -> Reference:
        """The reference at other places of the same inputs, computed now."""
        rng = np.random.default_rng([places.part.axes[name] for name in places.part.axes])
        return self._at(reference, places, rng, at_any_cost=True)

    def _values(self, op: Op, workload: Workload, distribution: str, seed: int) -> Reference:
        check_size(op, workload, _BYTES_PER_ELEMENT)
        inputs = make_inputs(op, workload, distribution, seed)
        asked = self._paces_of_values.asked(op, workload, at_any_cost=False)
        with asked, _blaming(op, workload):
            known = values(op, workload, inputs)
        return Reference(op, workload, distribution, inputs, (), {}, whole=known)

    def _make(
        self, op: Op, workload: Workload, distribution: str, seed: int, sampled: bool
    ) -> Reference:
        check_size(op, workload, _BYTES_PER_ELEMENT)
        rng = np.random.default_rng([seed, 1])
        part = sample(op, workload, rng) if sampled else None
        asked = part.part if part else workload
        affordable = plain_flops(op, asked) <= (SAMPLED_FLOPS if sampled else _ORACLE_FLOPS)
        if sampled and not affordable:
            # The baseline is no oracle for what is drawn to be hard.
            distribution = "normal"
        inputs = make_inputs(op, workload, distribution, seed)
        fresh = Reference(op, workload, distribution, inputs, (), {})
        if part and affordable:
            whole = plain_flops(op, workload) <= _WHOLE_FLOPS
            # A row that loses a NaN shows in any sample of rows; an element among others does not.
            numbers = distribution not in nonfinite.DRAWS or is_elementwise(op)
            asked_whole = whole and numbers
            known = self._of_far(op, workload, inputs) if asked_whole else {}
            return replace(self._at(fresh, part, rng), whole=known)
        known_by = self._of_far if sampled else self._of
        baseline = known_by(op, workload, inputs)
        if not affordable:
            with _blaming(op, workload):
                exact = self._in_float32(op, workload, inputs) if _is_narrow(workload) else baseline
                found = expected_of_baseline(op, workload, inputs, exact, rng)
            return replace(fresh, expected=found, baseline=baseline)
        with self._paces.asked(op, workload, at_any_cost=not sampled), _blaming(op, workload):
            found = expected(op, workload, inputs, baseline, rng)
            if distribution == EVERY and (tame := tamed(op, inputs, found, baseline)):
                fresh = replace(fresh, inputs=tame)
                baseline = first_baseline(self._pool, op, workload, tame)
                found = expected(op, workload, tame, baseline, rng)
            found = self._eased(op, workload, fresh.inputs, found, baseline)
            if distribution in nonfinite.DRAWS:
                found = nonfinite.stated(op, distribution, found, baseline)
            if distribution in (coinciding.COINCIDING, opposite.OPPOSITE):
                found = coinciding.stated(op, found, baseline)
        return replace(fresh, expected=found, baseline=baseline)

    def _of(self, op: Op, workload: Workload, inputs: Arrays) -> Arrays:
        return first_baseline(self._pool, op, workload, inputs)

    def _of_far(self, op: Op, workload: Workload, inputs: Arrays) -> Arrays:
        return first_baseline(self._pool, op, workload, inputs, _FAR_LIMIT_S)

    def _eased(
        self,
        op: Op,
        workload: Workload,
        inputs: Arrays,
        found: tuple[Expected, ...],
        baseline: Arrays,
    ) -> tuple[Expected, ...]:
        """See `eased`; a baseline that is lost in 16 bits says nothing of float32."""
        if not is_elementwise(op):
            return found
        pairs = zip(op.outputs, found, strict=True)
        if _is_narrow(workload) and any(lost(want, baseline[t.name]).any() for t, want in pairs):
            baseline = self._in_float32(op, workload, inputs)
        return eased(op, workload, inputs, found, baseline)

    def _in_float32(self, op: Op, workload: Workload, inputs: Arrays) -> Arrays:
        """What the baseline gives where it rounds nothing to T on the way, on the same inputs.

        A baseline that keeps sums of weights in half precision is off by more than a kernel may be.
        """
        wide = replace(workload, dtype="float32")
        given = {t.name: t.dtype == ELEMENT for t in op.inputs}
        cast = {n: a.astype(np.float32) if given.get(n) else a for n, a in inputs.items()}
        return first_baseline(self._pool, op, wide, cast)

    def _at(
        self, reference: Reference, part: Sample, rng: Generator, *, at_any_cost: bool = False
    ) -> Reference:
        """Ask the oracle for a part of the inputs."""
        op, inputs = reference.op, part.inputs(reference.op, reference.inputs)
        baseline = self._of_far(op, part.part, inputs)
        asked = self._paces.asked(op, part.part, at_any_cost=at_any_cost)
        with asked, _blaming(op, part.part):
            found = expected(op, part.part, inputs, baseline, rng)
            found = self._eased(op, part.part, inputs, found, baseline)
            if reference.distribution in nonfinite.DRAWS:
                found = nonfinite.stated(op, reference.distribution, found, baseline)
        return replace(reference, expected=found, baseline=baseline, sample=part)


def _is_narrow(workload: Workload) -> bool:
    """Whether a baseline may round to 16 bits on the way."""
    return workload.dtype in ("float16", "bfloat16")


@contextmanager
def _blaming(op: Op, workload: Workload) -> Iterator[None]:
    """Say which oracle failed: an op may come from a user's file.

    Raises:
        NoAnswer: It needs more memory than there is; on less it has an answer.
        EnvironmentUnusable: It fails in another way.
    """
    try:
        yield
    except MemoryError as error:
        raise NoAnswer(
            f"the oracle of {op.name} does not fit the memory on {workload.id}.",
            "Write it without arrays that are larger than its inputs and outputs.",
        ) from error
    except Exception as error:
        raise EnvironmentUnusable(
            f"the oracle of {op.name} fails on {workload.id}: {type(error).__name__}: {error}.",
            "Correct the op.",
        ) from error


def check_size(op: Op, workload: Workload, bytes_per_element: int) -> None:
    """See that what is made of a workload fits the memory of this machine.

    Args:
        op: The op.
        workload: One of its workloads.
        bytes_per_element: Taken for each element of its inputs and outputs.

    Raises:
        NoAnswer: It does not.
    """
    elements = sum(math.prod(shape_of(t, workload)) for t in (*op.inputs, *op.outputs))
    needed = bytes_per_element * elements
    if needed > physical_memory_bytes():
        raise NoAnswer(
            f"{workload.id} needs about {needed >> 30} GB of memory here.",
            "Choose a smaller workload.",
        )


def physical_memory_bytes() -> int:
    """Memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def output_specs(op: Op, workload: Workload) -> tuple[TensorSpec, ...]:
    """Name, shape and dtype that every output must have."""
    return tuple(
        TensorSpec(t.name, shape_of(t, workload), dtype_of(t, workload)) for t in op.outputs
    )


def op_file(op: Op) -> str:
    """The Python file that defines the op, from which a worker can load it too."""
    return str(file_of(op.name) or inspect.getsourcefile(inspect.unwrap(op.oracle)) or "")


def first_baseline(
    pool: WorkerPool,
    op: Op,
    workload: Workload,
    inputs: Arrays,
    limit_s: float = BASELINE_LIMIT_S,
) -> Arrays:
    """Outputs of the first baseline of an op that runs on a workload.

    Raises:
        NoAnswer: None of them runs.
    """
    reasons: list[str] = []
    for name in op.baselines:
        found = run_baseline(pool, op, workload, name, inputs, limit_s)
        if not isinstance(found, str):
            return found
        reasons.append(f"{name}: {found}")
    raise NoAnswer(
        f"no baseline of {op.name} runs on {workload.id} ({'; '.join(reasons)}).",
        "Correct the op, or leave the dtype out of its `dtypes`.",
    )


def run_baseline(
    pool: WorkerPool,
    op: Op,
    workload: Workload,
    name: str,
    inputs: Arrays,
    limit_s: float = BASELINE_LIMIT_S,
) -> Arrays | str:
    """Outputs of one baseline, or why there are none."""
    tensors = {t.name: inputs[t.name] for t in op.inputs}
    specs = output_specs(op, workload)
    job = BaselineRun(op.name, op_file(op), workload, name, tensors, specs)
    with pool.trusted() as worker:
        found = worker.ask(job, limit_s)
    match found:
        case Timeout(limit_s=limit):
            return f"no answer in {limit:g} s"
        case Crash(reason=reason):
            return reason
    outputs: Arrays = found
    return outputs
