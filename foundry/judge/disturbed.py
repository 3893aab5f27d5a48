"""When a GPU stops work, is it this kernel's fault? A probe, and one more try.

All programs of a machine share its GPU. When one of them hangs it, Metal stops the work of others
too, and says so with the name of an error. No kernel is judged by that: a program that does nothing
is run until the GPU answers, then the kernel is judged again in fresh processes. What stops the GPU
a second time stands, unless Metal names another program's fault.
"""

from __future__ import annotations

import time

from foundry.engines.gpu_faults import Blame, blame_of
from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Build, Crash, Results, Run, Timeout
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.candidate import Failed
from foundry.judge.verdict import Status
from foundry.program import Launch, Program, TensorSpec

_PROBES = 5
_PAUSE_S = 1.0
_LIMIT_S = 60.0
_FILL = 3.0
_FIX = "Close what else uses the GPU (`foundry doctor` tries it), or restart the machine."


class Disturbed(Exception):
    """A GPU stopped a kernel's work; `verdict` is what that means if it happens again."""

    def __init__(self, failure: Timeout | Crash, verdict: Failed) -> None:
        super().__init__(verdict.diagnostic.message)
        self.failure = failure
        self._verdict = verdict

    def verdict(self) -> Failed:
        """What stands after the second time: the GPU stopping a kernel is a time-out.

        Raises:
            EnvironmentUnusable: Metal says that another program is to blame.
        """
        fault = self.failure.gpu_fault if isinstance(self.failure, Crash) else None
        if fault is None:
            return self._verdict
        if blame_of(fault) is Blame.BYSTANDER:
            raise EnvironmentUnusable(
                f"another program keeps the GPU from working ({fault}).", _FIX
            )
        return Failed(Status.TIMEOUT, self._verdict.diagnostic)


def await_recovery(pool: WorkerPool, pause_s: float = _PAUSE_S) -> None:
    """Run a program that does nothing until the device answers rightly.

    Raises:
        EnvironmentUnusable: It does not, for several tries.
    """
    for _ in range(_PROBES):
        if _answers(pool):
            return
        time.sleep(pause_s)
    raise EnvironmentUnusable("the GPU does not answer any more.", _FIX)


def _answers(pool: WorkerPool) -> bool:
    out = TensorSpec("out", (4,), "float32")
    launch = Launch("probe", (), (out,), ";", (1, 1, 1), (1, 1, 1), init_value=_FILL)
    with pool.lease() as worker:
        built = worker.ask(Build((Program((), ("out",), (launch,)),), (0,)), _LIMIT_S)
        if isinstance(built, Timeout | Crash) or any(built):
            return False
        found = worker.ask(Run(0, ({},), (out,)), _LIMIT_S)
    return isinstance(found, Results) and bool((found.outputs[0]["out"] == _FILL).all())
