"""What the sanitizer is shown of a kernel, and when that ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from foundry.harness.jobs import UNBUILT, Crash, Examine, ReportedFinding
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import JudgeOptions
from foundry.judge.candidate import Candidate, Failed, Target, prepare
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.references import References
from foundry.judge.oracle.sampling import thin
from foundry.judge.proof.screen import screen, screen_large, screen_rest
from foundry.judge.stages import Walk, elements
from foundry.judge.verdict import Status
from foundry.kernel import bind, parse
from foundry.program import Program
from ops import Case, get
from templates import default, for_op, render

SOFTMAX, TOPK = get("softmax"), get("topk")
FAULT = ReportedFinding("thread 0 reads x[9] of 9", None, "out_of_bounds")
UNSEEN = ReportedFinding("error: the compiler needs more than 30 s for this kernel", None, UNBUILT)
ENDLESS = ReportedFinding("it does not end", None, "runaway_loop")
Found = Sequence[ReportedFinding] | Crash


@dataclass
class Watcher:
    """A worker whose sanitizer says what it is told to."""

    says: Callable[[Program], Found] = lambda program: ()
    spent_s: float = 0.0
    has_room: bool = True
    seen: list[Examine] = field(default_factory=list)

    def ask(self, job: Examine, limit_s: float) -> Any:
        self.seen.append(job)
        found = self.says(job.program)
        return found if isinstance(found, Crash) else tuple(found)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [job.program.inputs[0].shape for job in self.seen]


def walk_of(name: str, watcher: Watcher, **options: Any) -> Walk:
    (template, *_) = for_op(name)
    candidate = Candidate(render(template, default(template)), get(name), "float32", 3)
    assert prepare(candidate, JudgeOptions(timed=False, **options)) is None
    made = SimpleNamespace(
        candidate=candidate,
        worker=watcher,
        # Inputs need no worker.
        references=References(cast(WorkerPool, None)),
        options=JudgeOptions(timed=False, **options),
    )
    return cast(Walk, made)


def test_the_largest_visible_workload_is_watched_and_built_ahead() -> None:
    watcher = Watcher()
    walk = walk_of("softmax", watcher)
    assert screen(walk) is None
    largest = max((t.program for t in walk.candidate.visible), key=elements)
    assert largest in [job.program for job in watcher.seen]
    assert [job.ahead for job in watcher.seen] == [largest, *[None] * (len(watcher.seen) - 1)]


def test_nothing_is_built_ahead_on_a_busy_machine() -> None:
    watcher = Watcher(has_room=False)
    assert screen(walk_of("softmax", watcher)) is None
    assert {job.ahead for job in watcher.seen} == {None}


def test_every_other_size_and_source_is_watched_the_smallest_first() -> None:
    watcher = Watcher()
    walk = walk_of("topk", watcher)
    assert screen(walk) is None
    first = [job.program for job in watcher.seen]
    watcher.seen.clear()
    assert screen_rest(walk) is None
    candidate = walk.candidate
    rest = [job.program for job in watcher.seen]
    with_work = [t.program for t in candidate.hidden if 0 not in t.program.launches[0].grid]
    assert all(program in rest for program in with_work)
    assert all(t.program in (*first, *rest) for t in candidate.visible)
    sizes = [elements(p) + sum(_threads(p)) for p in rest]
    assert sizes == sorted(sizes)


def _threads(program: Program) -> list[int]:
    return [launch.grid[0] * launch.grid[1] * launch.grid[2] for launch in program.launches]


def test_inputs_of_the_rest_are_rows_of_many_distributions() -> None:
    watcher = Watcher()
    walk = walk_of("softmax", watcher)
    assert screen_rest(walk) is None
    seen = next(job for job in watcher.seen if min(job.inputs["x"].shape) > 8)
    spreads = seen.inputs["x"].astype("float64").std(axis=-1)
    assert spreads.max() > 4 * spreads.min() + 1e-6


@pytest.mark.parametrize("stage", [screen, screen_rest])
def test_a_fault_stops_the_kernel(stage: Callable[[Walk], Failed | None]) -> None:
    found = stage(walk_of("softmax", Watcher(lambda program: [FAULT])))
    assert found is not None
    assert found.status is Status.SANITIZER_ERROR


def test_a_fault_on_hidden_sizes_does_not_show_them() -> None:
    walk = walk_of("softmax", Watcher())
    hidden = {t.program.inputs[0].shape for t in walk.candidate.hidden}
    shown = {t.program.inputs[0].shape for t in walk.candidate.visible}
    watcher = Watcher(lambda p: [FAULT] if p.inputs[0].shape in hidden - shown else [])
    found = screen_rest(walk_of("softmax", watcher))
    assert found is not None
    assert found.diagnostic.hidden
    assert "x[9]" not in found.diagnostic.message


def test_a_crash_under_watch_stops_the_kernel_too() -> None:
    crash = Crash("segmentation fault")
    found = screen_rest(walk_of("softmax", Watcher(lambda program: crash)))
    assert found is not None
    assert found.status is Status.CRASH


def test_what_is_slow_by_brute_force_is_watched_no_further_and_nothing_held_against_it() -> None:
    slow, endless = Watcher(spent_s=5.0), Watcher(lambda program: [ENDLESS])
    assert screen_rest(walk_of("softmax", slow)) is None
    assert screen_rest(walk_of("softmax", endless)) is None
    assert (len(slow.seen), len(endless.seen)) == (2, 1)


def test_what_does_not_build_with_checks_is_asked_once_and_counts_as_unwatched() -> None:
    """The build that follows says of most such kernels why they do not build; of others nothing."""
    watcher = Watcher(lambda program: [UNSEEN])
    walk = walk_of("softmax", watcher)
    assert screen(walk) is None
    assert len(watcher.seen) == 1
    assert screen_rest(walk) is None
    assert walk.candidate.proven.unwatched == len(watcher.seen) - 1 > 0
    seen = [job.program for job in watcher.seen[1:]]
    assert all(t.program in seen for t in walk.candidate.visible if elements(t.program))


def test_of_a_large_workload_a_few_rows_are_watched_with_all_their_columns() -> None:
    watcher = Watcher()
    walk = walk_of("softmax", watcher)
    workload = SOFTMAX.workload(Case({"rows": 4096, "cols": 4096}), "float32")
    assert walk.candidate.kernel is not None
    target = Target(workload, bind(walk.candidate.kernel, SOFTMAX, workload), ("mixed",), True)
    assert screen_large(walk, target) is None
    ((rows, cols),) = watcher.shapes
    assert cols == 4096
    assert 3 <= rows < 64


def test_a_workload_that_has_no_smaller_part_is_watched_whole() -> None:
    watcher = Watcher()
    walk = walk_of("attention", watcher)
    op = get("attention")
    workload = op.workloads("bench", "float32")[1]
    assert 1 << 20 < work(op, workload) < 1 << 23
    assert thin(op, workload, 1 << 20) is None
    assert walk.candidate.kernel is not None
    target = Target(workload, bind(walk.candidate.kernel, op, workload), ("mixed",), True)
    assert screen_large(walk, target) is None
    assert [job.program for job in watcher.seen] == [target.program]


def test_a_kernel_for_large_sizes_alone_is_not_watched_on_few_rows() -> None:
    watcher = Watcher()
    walk = walk_of("softmax", watcher)
    workload = SOFTMAX.workload(Case({"rows": 4096, "cols": 4096}), "float32")
    text = walk.candidate.text.replace('"rows"', '"rows // min(rows // 4096, 1)"')
    kernel = parse(text)
    target = Target(workload, bind(kernel, SOFTMAX, workload), ("mixed",))
    candidate = replace(walk.candidate, kernel=kernel)
    wide = SimpleNamespace(candidate=candidate, worker=watcher, options=walk.options)
    assert screen_large(cast(Walk, wide), target) is None
    assert watcher.seen == []


def test_without_a_sanitizer_nothing_is_asked() -> None:
    watcher = Watcher()
    walk = walk_of("softmax", watcher, sanitizer=None)
    assert screen(walk) is None
    assert screen_rest(walk) is None
    assert watcher.seen == []


def test_a_fault_in_a_second_launch_is_told_on_its_line_of_the_file() -> None:
    fault = replace(FAULT, message="reads counts[9] [launch 2, source:4: `uint before = 0;`]")
    walk = walk_of("moe_pack", Watcher(lambda program: [fault]))
    found = screen(walk)
    assert found is not None
    lines = walk.candidate.text.splitlines()
    second = [n for n, line in enumerate(lines, 1) if line == "// --- body ---"][1]
    assert found.diagnostic.line is not None
    assert found.diagnostic.line == second + 4
