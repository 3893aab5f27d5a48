"""What large timed draws are held to: the oracle at places, the baseline everywhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge.candidate import Candidate, Target
from foundry.judge.oracle.references import References, run_baseline
from foundry.judge.proof.allowance import Allowances
from foundry.judge.proof.once import look_closer
from foundry.judge.proof.verify import hold
from foundry.judge.stages import Walk
from foundry.judge.time.trial import reference
from ops import registry
from ops.workload import Case

OP = registry.get("rms_norm")
LARGE = OP.workload(Case({"rows": 512, "cols": 1024}, dict(OP.params)), "float16")
SMALL = OP.workload(Case({"rows": 8, "cols": 1024}, dict(OP.params)), "float16")


@pytest.fixture
def walk(pool: WorkerPool) -> Walk:
    made = SimpleNamespace(candidate=Candidate("", OP, "float16", 5), references=References(pool))
    return cast(Walk, made)


def test_one_wrong_element_of_a_large_draw_is_found_wherever_it_lies(
    pool: WorkerPool, walk: Walk
) -> None:
    found = reference(walk, LARGE, 5)
    assert found.sample is not None
    outputs = run_baseline(pool, OP, LARGE, next(iter(OP.baselines)), found.inputs)
    assert not isinstance(outputs, str)
    target = Target(LARGE, cast(Any, None), ("normal",))
    assert hold(walk.candidate, target, found, outputs) is None
    assert look_closer(walk, target, found, outputs, Allowances()) is None
    row = next(r for r in range(512) if r not in found.sample.places["rows"])
    spoilt = {"out": np.array(outputs["out"])}
    spoilt["out"][row, 77] *= np.float16(1.05)
    assert hold(walk.candidate, target, found, spoilt) is None
    assert look_closer(walk, target, found, spoilt, Allowances()) is not None


def test_a_small_draw_is_held_to_the_oracle_as_a_whole(walk: Walk) -> None:
    assert reference(walk, SMALL, 5).sample is None
