"""What a kernel does is kept by all it depends on, and asked for only where it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from foundry.chips.profiled import Profiler, _digest
from foundry.harness.measuring.profiling import Unprofiled
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.oracle.inputs import make_inputs
from foundry.kernel import Kernel, bind, parse
from foundry.msl.build.cache import default_directory
from foundry.msl.build.flavour import identity
from foundry.msl.build.toolchain import find_toolchain
from foundry.msl.gpu.profile import GpuProfile
from ops import registry
from ops.spec import Op
from ops.workload import Case, Workload

EXP = """/*kernel
op = "exp"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = T(metal::exp(float(x[i])));
"""


def workload(rows: int, cols: int, dtype: str = "float32") -> Workload:
    return registry.get("exp").workload(Case({"rows": rows, "cols": cols}), dtype)


def test_what_does_not_fit_the_memory_is_not_drawn() -> None:
    profiler = Profiler(cast(WorkerPool, None))
    said = profiler.profile(parse(EXP), registry.get("exp"), workload(10**6, 10**5))
    assert isinstance(said, Unprofiled)
    assert "GB of memory" in said.reason


def test_other_inputs_or_another_kernel_are_another_profile() -> None:
    op, asked = registry.get("exp"), workload(4, 64, "bfloat16")
    inputs = make_inputs(op, asked, "normal", 0)
    program = bind(parse(EXP), op, asked)
    other = bind(parse(EXP.replace("metal::exp", "metal::exp2")), op, asked)
    (name,) = (name for name, array in inputs.items() if array.ndim)
    changed = inputs | {name: np.roll(inputs[name], 1)}
    keys = [_digest(program, inputs), _digest(program, changed), _digest(other, inputs)]
    assert len({*keys, _digest(program, dict(inputs))}) == 3


def test_a_flavour_is_another_when_any_of_its_folders_changes(tmp_path: Path) -> None:
    plain = find_toolchain(default_directory())
    folders = [tmp_path / "own", tmp_path / "hooks"]
    for folder in folders:
        folder.mkdir()
        (folder / "code.py").write_text("x = 1\n")
    before = identity(plain, folders)
    (folders[1] / "code.py").write_text("x = 2\n")
    assert identity(plain, folders) != before


def test_inputs_are_drawn_again_only_where_they_change_what_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def profile(self: Profiler, kernel: Kernel, op: Op, workload: Workload) -> GpuProfile:
        asked.append(self.seed)
        return GpuProfile(cast(Any, () if steady else (self.seed,)))

    monkeypatch.setattr(Profiler, "profile", profile)
    profiler, what = Profiler(cast(WorkerPool, None), seed=5), cast(Any, None)
    for steady, draws in ((True, [5, 6]), (False, [5, 6, 7])):
        asked.clear()
        found = profiler.profiles(what, what, what)
        assert asked == draws
        assert len(found) == (1 if steady else 3)
