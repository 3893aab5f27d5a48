"""What a kernel does on a workload, from a confined worker, kept on disk by all it depends on.

A profile does not depend on the chip: a kernel is run once for all of them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foundry.errors import NoAnswer
from foundry.harness.jobs import Crash, Timeout, encode_program
from foundry.harness.measuring.profiling import Profiling, Unprofiled
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.references import check_size
from foundry.kernel import Kernel, bind
from foundry.msl.build.cache import BuildCache, root_directory
from foundry.msl.frontend.language import chosen
from foundry.msl.gpu.profile import GpuProfile, profile_from
from foundry.msl.gpu.toolchain import gpu_builder
from foundry.program import Arrays, Program
from ops.spec import Op
from ops.workload import Workload

_DISTRIBUTION = "normal"
_BYTES_PER_ELEMENT = 32
"""Of an input or output: float64 while it is drawn, a copy here, a copy in the worker."""
_DRAWS = 3
_LIMIT_S = 120.0
_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Profiler:
    """Profiles kernels in the workers of a pool."""

    pool: WorkerPool
    seed: int = 0
    """Of the inputs that kernels are run on."""

    def profiles(
        self, kernel: Kernel, op: Op, workload: Workload
    ) -> tuple[GpuProfile, ...] | Unprofiled:
        """What the kernel does on inputs drawn anew; one profile where they change nothing.

        Raises:
            InvalidKernel, EnvironmentUnusable: As `profile`.
        """
        found: list[GpuProfile] = []
        for draw in range(_DRAWS):
            one = replace(self, seed=self.seed + draw).profile(kernel, op, workload)
            if isinstance(one, Unprofiled):
                return one
            if one in found:
                break
            found.append(one)
        return tuple(found)

    def profile(self, kernel: Kernel, op: Op, workload: Workload) -> GpuProfile | Unprofiled:
        """What the kernel does, or why nobody can say.

        Raises:
            InvalidKernel: The kernel does not fit its op or the workload.
            EnvironmentUnusable: The compiler or the workers do not work here.
        """
        try:
            check_size(op, workload, _BYTES_PER_ELEMENT)
        except NoAnswer as error:
            return Unprofiled(str(error))
        program = bind(kernel, op, workload)
        inputs = make_inputs(op, workload, _DISTRIBUTION, self.seed)
        name = f"{_digest(program, inputs)}.json"
        cache = BuildCache(root_directory() / "profiles", _LIMIT_BYTES)
        if kept := cache.find(name):
            return profile_from(json.loads(kept.read_text()))
        job = Profiling(program, inputs)
        with self.pool.lease() as lease:
            found = (lease.builder or lease.runner).ask(job, _LIMIT_S)
        match found:
            case Timeout():
                return Unprofiled(f"not done after {found.limit_s:g} s")
            case Crash():
                return Unprofiled(found.reason)
            case Unprofiled():
                return found
        cache.put(name, lambda target: _write(target, found))
        return found


def _digest(program: Program, inputs: Arrays) -> str:
    """Of what is run and what runs it: inputs count as they are, not by what made them."""
    language = chosen().version
    known = (gpu_builder().toolchain.id, language, encode_program(program), list(inputs))
    digest = hashlib.sha256(json.dumps(known, default=vars).encode())
    for array in inputs.values():
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def _write(target: Path, profile: GpuProfile) -> None:
    target.write_text(json.dumps(profile.document()))
