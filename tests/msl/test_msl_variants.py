"""Variants of one kernel over workloads are checked one by one and compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundry.engines.cpu import CpuEngine
from foundry.msl.build import metal_check
from foundry.msl.build.toolchain import Toolchain
from foundry.msl.sanitizer import sanitize
from foundry.program import BuildFailure, Launch, Program, TensorSpec


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of these tests' own; the prelude is shared between them."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.getbasetemp() / "variants"
        patch.setenv("FOUNDRY_CACHE_DIR", str(path))
        yield path / "builds"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Units that reach the compiler."""
    seen: list[str] = []
    original = Toolchain.compile

    def compile(self: Toolchain, unit: str, math_mode: str, target: Path) -> None:
        seen.append(unit)
        original(self, unit, math_mode, target)

    monkeypatch.setattr(Toolchain, "compile", compile)
    return seen


def program(
    source: str, size: int, header: str = "", dtype: str = "float32", k: int = 1
) -> Program:
    out = TensorSpec("out", (8,), dtype)
    launch = Launch(
        "k", ("x", "w"), (out,), source, (8, 1, 1), (8, 1, 1), header,
        template=(("T", dtype), ("K", k)),
    )  # fmt: skip
    return Program(
        (TensorSpec("x", (size,), dtype), TensorSpec("w", (), dtype)), ("out",), (launch,)
    )


def outputs(of: Program, fill: float) -> list[float]:
    built = CpuEngine().build(of)
    assert not isinstance(built, BuildFailure), built.log
    dtype = of.inputs[0].dtype
    call = built.bind(
        {s.name: np.full(s.shape, fill, np.dtype(dtype)) for s in of.inputs}, poison=True
    )
    call()
    return [float(v) for v in call.outputs()["out"]]


SUM = """uint i = thread_position_in_grid.x;
T all = 0;
for (int n = 0; n < x_shape[0]; ++n) all += x[n];
out[i] = all * K + w;
"""


def test_sizes_on_both_sides_of_eight_share_one_build(compiled: list[str]) -> None:
    source = SUM + "// shared"
    for size in (8, 7, 100, 1):
        assert outputs(program(source, size), 2.0) == [2.0 * size + 2.0] * 8
    assert len(compiled) == 1


def test_the_sanitised_build_is_shared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from foundry.msl.sanitizer.checks.toolchain import SanitizerToolchain

    seen: list[str] = []
    original = SanitizerToolchain.compile
    monkeypatch.setattr(
        SanitizerToolchain, "compile", lambda self, *a: (seen.append(a[0]), original(self, *a))
    )
    for size in (9, 3):
        of = program(SUM + "// sanitised", size)
        inputs = {s.name: np.ones(s.shape, np.float32) for s in of.inputs}
        report = sanitize(of, inputs)
        assert not report.findings
    assert len(seen) == 1


def test_what_decides_the_code_is_never_shared(compiled: list[str]) -> None:
    source = SUM + "// apart"
    assert outputs(program(source, 8), 1.0) == [9.0] * 8
    assert outputs(program(source, 8, k=3), 1.0) == [25.0] * 8
    assert outputs(program(source, 8, dtype="float16"), 1.0) == [9.0] * 8
    assert outputs(program(source, 8, header="#define all some\n"), 1.0) == [9.0] * 8
    assert len(compiled) == 4


@pytest.mark.parametrize(
    "of",
    [
        lambda source, size: program(source, size, header="#define constant const volatile\n"),
        lambda source, size: program(
            source, size, header="#undef device\n#define device volatile\n"
        ),
    ],
)
def test_a_text_with_its_own_meaning_of_these_words_is_compiled_as_it_stands(
    compiled: list[str], of: Callable[[str, int], Program]
) -> None:
    for size in (8, 7):
        assert not isinstance(CpuEngine().build(of(SUM, size)), BuildFailure)
    assert len(compiled) == 2


def test_each_variant_is_checked_whichever_was_built_first(compiled: list[str]) -> None:
    source = "const device T* p = x; out[thread_position_in_grid.x] = p[0] + x_shape[0] + w;"
    assert outputs(program(source, 8), 1.0) == [10.0] * 8
    for engine in (CpuEngine(), CpuEngine()):
        refused = engine.build(program(source, 7))
        assert isinstance(refused, BuildFailure)
        assert "'x' is in the constant address space" in refused.log
        assert not isinstance(engine.build(program(source, 9)), BuildFailure)
    assert len(compiled) == 1


def test_a_failure_is_shared_with_its_words(compiled: list[str]) -> None:
    logs = [CpuEngine().build(program("out[0] = q + x_shape[0];", size)) for size in (8, 7, 8)]
    assert all(isinstance(log, BuildFailure) and "source:1:10" in log.log for log in logs)
    assert len(compiled) == 1


def test_a_lost_library_is_made_again(compiled: list[str], cache: Path) -> None:
    source = SUM + "// lost"
    assert outputs(program(source, 8), 1.0) == [9.0] * 8
    for path in cache.glob("*/*.so"):
        if "runtime" not in path.name:
            path.unlink()
    assert outputs(program(source, 8), 1.0) == [9.0] * 8
    assert outputs(program(source, 7), 1.0) == [8.0] * 8
    assert len(compiled) == 2


def test_all_sizes_are_judged_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = metal_check._judge

    def judge(toolchain: Toolchain, unit: str, *rest: Any, **more: Any) -> None:
        asked.append(unit)
        original(toolchain, unit, *rest, **more)

    monkeypatch.setattr(metal_check, "_judge", judge)
    for size in (8, 7, 100, 1):
        assert outputs(program(SUM + "// judged", size), 1.0) == [1.0 * size + 1.0] * 8
    assert len(asked) == 1


def test_a_size_that_is_wrong_leaves_the_others_right() -> None:
    header = "inline float first(const device float* p) { return p[0]; }\n"
    source = "out[thread_position_in_grid.x] = first(x) + x_shape[0] + w; // one is wrong"
    small = CpuEngine().build(program(source, 7, header))
    assert isinstance(small, BuildFailure)
    assert "source:1" in small.log
    assert "mf_judged" not in small.log
    assert outputs(program(source, 8, header), 1.0) == [10.0] * 8
