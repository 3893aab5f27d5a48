"""The timing jobs inside a worker: what is bound, what is measured, and what is sent back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from foundry.engines.base import Call, Executable
from foundry.harness import frames
from foundry.harness.jobs import decode_workload, encode_sets, read_sets
from foundry.harness.measuring.baseline import BaselineCall, BaselineRotation, find_op
from foundry.harness.measuring.buffers import Buffers
from foundry.harness.measuring.calibration import cache_bytes
from foundry.harness.measuring.jobs import STARTED, STOPPED, TimingPlan
from foundry.harness.measuring.loop import Rotation, Side, measure
from foundry.program import Arrays
from ops.spec import Op, Workload

Reply = tuple[dict[str, Any], Sequence[NDArray[Any]]]

_MOST_COPIES = 4096
_COLD_FACTOR = 1.5
"""Working set of a cold measurement, in sizes of the last cache."""


class Bench:
    """Timing within one worker.

    Args:
        kind: Kind of the device.
        notify: Sends an event to the judge.
    """

    def __init__(self, kind: str, notify: Callable[[str], None]) -> None:
        self._kind = kind
        self._notify = notify
        self._timed: Side | None = None

    def time(
        self, request: frames.Frame, executable: Executable | None, ghost: Call | None
    ) -> Reply:
        """Time a program, or a rival baseline where there is none, against a baseline."""
        header = request.header
        every, plan = read_sets(request), TimingPlan(**header["plan"])
        sets = every[: len(every) - header["audits"]]
        op, workload = find_op(header["op"], header["op_file"]), decode_workload(header)
        beaten = [BaselineCall(op, workload, header["baseline"], s) for s in sets]
        baseline = Side(BaselineRotation(beaten), plan.baseline_batch_us)
        if executable is None:
            rival = _baseline_side(op, workload, header["rival"], sets, plan)
            pairs = measure(baseline, rival, plan)
            return _reply(pairs, [], baseline, rival, 0.0), ()
        buffers = [Buffers(s) for s in sets]
        calls = _bound(executable, buffers, sets)
        kernel = self._timed = Side(Rotation(calls), plan.batch_us)
        pairs = measure(baseline, kernel, plan)
        cold = self._cold(executable, op, workload, header, sets, plan) if plan.cold else []
        left, changed = _once_more(executable, calls, buffers, every)
        changed += [call.changed(s) for call, s in zip(beaten, sets, strict=True)]
        outputs, data = encode_sets(tuple(left))
        reply = _reply(pairs, cold, baseline, kernel, _dispatch_of(ghost, plan))
        return outputs | reply | {"changed": changed}, data

    def solo(self, calls: int) -> Reply:
        """Call what was timed last, between two events."""
        if self._timed is None:
            raise ValueError("nothing was timed yet")
        self._notify(STARTED)
        claimed_s = self._timed.run(calls)
        self._notify(STOPPED)
        return {"claimed_s": claimed_s}, ()

    def _cold(
        self,
        executable: Executable,
        op: Op,
        workload: Workload,
        header: dict[str, Any],
        sets: Sequence[Arrays],
        plan: TimingPlan,
    ) -> list[tuple[float, float]]:
        """The same pairs over so many copies of the inputs that none is still in a cache."""
        size = max(1, sum(a.nbytes for s in sets for a in s.values()))
        copies = min(_MOST_COPIES, 1 + int(_COLD_FACTOR * cache_bytes(self._kind) / size))
        many = [s for _ in range(copies) for s in sets]
        baseline = _baseline_side(op, workload, header["baseline"], many, plan)
        calls = [executable.bind(Buffers(s).fill(s)) for s in many]
        return measure(baseline, Side(Rotation(calls), plan.batch_us), plan)


def _bound(
    executable: Executable, buffers: Sequence[Buffers], sets: Sequence[Arrays]
) -> list[Call]:
    """A call for every set, all writing to the same memory: none finds its own results there."""
    calls: list[Call] = []
    for buffer, inputs in zip(buffers, sets, strict=True):
        over = calls[0] if calls else None
        calls.append(executable.bind(buffer.fill(inputs), over=over))
    return calls


def _once_more(
    executable: Executable,
    calls: Sequence[Call],
    buffers: Sequence[Buffers],
    sets: Sequence[Arrays],
) -> tuple[list[Arrays], list[str | None]]:
    """What one more call on every set leaves, and the inputs changed by then.

    The sets that were not timed go through the first buffers, over the results of the first.
    """
    left: list[Arrays] = []
    changed: list[str | None] = []
    for index, inputs in enumerate(sets):
        if index < len(calls):
            call, buffer = calls[index], buffers[index]
        else:
            buffer = buffers[0]
            buffer.fill(sets[0])
            calls[0]()
            call = executable.bind(buffer.fill(inputs), over=calls[0])
        call()
        left.append(call.outputs())
        changed.append(buffer.changed(call, inputs))
    return left, changed


def _dispatch_of(ghost: Call | None, plan: TimingPlan) -> float:
    return 0.0 if ghost is None else Side(Rotation([ghost]), plan.batch_us).dispatch_us()


def _baseline_side(
    op: Op, workload: Workload, name: str, sets: Sequence[Arrays], plan: TimingPlan
) -> Side:
    calls = [BaselineCall(op, workload, name, s) for s in sets]
    return Side(BaselineRotation(calls), plan.baseline_batch_us)


def _reply(
    pairs: list[tuple[float, float]],
    cold: list[tuple[float, float]],
    baseline: Side,
    kernel: Side,
    dispatch_us: float,
) -> dict[str, Any]:
    return {
        "pairs": pairs,
        "cold": cold,
        "repeats": [baseline.repeats, kernel.repeats],
        "dispatch_us": dispatch_us,
        "changed": [],
    }
