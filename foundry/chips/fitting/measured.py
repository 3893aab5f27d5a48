"""A Mac's own measurements as rows of a data set: what its searches timed makes the model better.

Only times of Apple GPUs count, of kernels that were proven, on workloads with the op's usual
parameters. What is left out is counted, with why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from foundry.chips import registry as chips
from foundry.chips.fitting.rows import Row
from foundry.errors import InvalidKernel, UsageError
from foundry.harness.measuring.profiling import Unprofiled
from foundry.judge.verdict import TIMING_METHOD, Timing
from foundry.kernel import Kernel, parse
from foundry.msl.gpu.profile import GpuProfile
from foundry.program import Device
from foundry.store.records import StoredEvaluation
from ops import registry
from ops.spec import Op
from ops.workload import Case, Workload
from ops.workload_names import workload_of

Profile = Callable[[Kernel, Op, Workload], GpuProfile | Unprofiled]
"""What a kernel does, or why nobody can say."""
LEAST_US = 20.0
"""Shorter times are mostly those of the launch."""


@dataclass(frozen=True)
class MeasuredRows:
    """Rows with what their kernels do."""

    rows: list[Row] = field(default_factory=list)
    profiles: dict[str, GpuProfile] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    """Times, by why they are not among them."""


def measured_rows(stored: Iterable[StoredEvaluation], profile: Profile) -> MeasuredRows:
    """The times of Apple GPUs among stored evaluations, the latest of each kernel and workload.

    Args:
        stored: Evaluations in the order in which they were saved.
        profile: Runs a kernel here; see `foundry.chips.profiled.Profiler`.

    Raises:
        EnvironmentUnusable: The compiler or the workers do not work here.
    """
    found = MeasuredRows()
    latest = {
        (one.device.id, one.evaluation.kernel_hash, one.evaluation.dtype, timing.workload): (
            one,
            timing,
        )
        for one in stored
        for timing in _timings(one)
    }
    for one, timing in latest.values():
        _add(found, one, timing, profile)
    return found


def _timings(one: StoredEvaluation) -> Iterator[Timing]:
    if one.device.kind == "metal" and one.evaluation.status.passed:
        yield from (t for t in one.evaluation.timings if t.method == TIMING_METHOD)


def _add(found: MeasuredRows, one: StoredEvaluation, timing: Timing, profile: Profile) -> None:
    try:
        row, kernel, op, workload = _row(one, timing)
        row.speeds  # noqa: B018  (raises where too little is known of the chip)
        said = found.profiles.get(row.key) or profile(kernel, op, workload)
    except (UsageError, InvalidKernel) as error:
        said = Unprofiled(str(error))
    if isinstance(said, Unprofiled):
        found.left_out[said.reason] += 1
        return
    found.rows.append(row)
    found.profiles[row.key] = said


def _row(one: StoredEvaluation, timing: Timing) -> tuple[Row, Kernel, Op, Workload]:
    """A row and what it ran.

    Raises:
        UsageError: An unknown op, a short time, or parameters of its own.
        InvalidKernel: A file of a version whose format differed.
    """
    evaluation, op = one.evaluation, registry.get(one.evaluation.op)
    workload = _workload(op, evaluation.dtype, timing.workload)
    if timing.kernel_us < LEAST_US:
        raise UsageError(f"shorter than {LEAST_US:g} us")
    row = Row(
        op=evaluation.op,
        chip=chips.key_of(one.device.name),
        cores=_cores(one.device),
        kernel=evaluation.kernel_hash,
        constants="",
        axes=" ".join(f"{name}={size}" for name, size in workload.axes.items()),
        dtype=evaluation.dtype,
        us=timing.kernel_us,
        source=one.device.id,
        label=one.origin.name,
        place=f"a measurement on {one.device.name}",
    )
    return row, parse(one.text), op, workload


def _cores(device: Device) -> int | None:
    """Of this very GPU: a chip is sold with fewer as well."""
    found = device.fingerprint.get("gpu_cores")
    return found if isinstance(found, int) else None


def _workload(op: Op, dtype: str, wanted: str) -> Workload:
    """The workload of that id.

    Raises:
        UsageError: The op has it no more, or its parameters are not the op's usual ones: a row
            has no place for them.
    """
    try:
        found = workload_of(op, wanted)
    except UsageError:
        raise UsageError("on a workload that the op has no more") from None
    if op.workload(Case(found.axes), dtype).id != wanted:
        raise UsageError("with parameters of its own")
    return found
