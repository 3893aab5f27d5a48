"""Kernels of random indices: a finding where there is a fault, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry.msl.build.compiler import Compiler
from foundry.msl.sanitizer import FindingKind, sanitize
from foundry.msl.sanitizer.checks import toolchain
from foundry.msl.sanitizer.checks.library_loops import unrolled
from foundry.msl.sanitizer.launched import Launched
from foundry.program import Launch, Program, TensorSpec

SIZE = 96
_INDICES = """
uint i = thread_position_in_grid.x;
uint r = ((i * p[0] + p[1]) ^ p[2]) % p[3];
uint s = ((i * p[4] + p[5]) ^ p[6]) % p[7];
"""
BODIES = {
    ("float", 1): "if (i < p[8]) out[s] = x[r];",
    ("packed_float2", 1): "if (i < p[8]) *(device packed_float2*)(out + s) ="
    " *(const device packed_float2*)(x + r);",
    ("float4", 4): "if (i < p[8]) ((device float4*)out)[s] = ((const device float4*)x)[r];",
    ("float3", 4): "if (i < p[8]) ((device float3*)out)[s] = ((const device float3*)x)[r];",
}
_LANES = {"float": 1, "packed_float2": 2, "float4": 4, "float3": 4}
"""A vector of three is copied with its padding."""
small, modulus = st.integers(0, 7), st.integers(1, SIZE + 2)
rule = st.tuples(small, st.integers(0, SIZE), st.integers(0, 3), modulus)


def indices(parameters: tuple[int, int, int, int], count: int) -> list[int]:
    a, b, flip, modulo = parameters
    return [((i * a + b) ^ flip) % modulo for i in range(count)]


def faults(kind: str, stride: int, reads: list[int], writes: list[int]) -> set[FindingKind]:
    """What is wrong with these accesses; threads write what they read, all values differ.

    What lies beyond the end may be anything: then nothing is said of races.
    """
    lanes = _LANES[kind]
    found: set[FindingKind] = set()
    owner: dict[int, set[int]] = {}
    for r, s in zip(reads, writes, strict=True):
        if max(r, s) * stride + lanes > SIZE:
            found.add(FindingKind.OUT_OF_BOUNDS)
        if s * stride + lanes <= SIZE:
            for lane in range(lanes):
                owner.setdefault(s * stride + lane, set()).add(r * stride + lane)
    if any(len(values) > 1 for values in owner.values()):
        found.add(FindingKind.DATA_RACE)
    if len(owner) < SIZE:
        found.add(FindingKind.UNWRITTEN_OUTPUT)
    return found


@pytest.mark.parametrize(("kind", "stride"), BODIES)
@settings(max_examples=60)
@given(read=rule, write=rule, count=st.integers(0, SIZE))
def test_a_finding_means_a_fault(
    kind: str,
    stride: int,
    read: tuple[int, int, int, int],
    write: tuple[int, int, int, int],
    count: int,
) -> None:
    reads, writes = indices(read, count), indices(write, count)
    report = sanitize(*program(kind, stride, (*read, *write, count)))
    assert report.build_log is None
    wrong = faults(kind, stride, reads, writes)
    found = {finding.kind for finding in report.findings}
    if FindingKind.OUT_OF_BOUNDS in wrong:
        found, wrong = found - {FindingKind.DATA_RACE}, wrong - {FindingKind.DATA_RACE}
    assert found == wrong


@pytest.mark.parametrize(("kind", "stride"), [("float", 1), ("float4", 4)])
def test_a_right_kernel_passes_at_once(
    kind: str, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    certain = []
    look = Launched.is_surely_right

    def watch(launched: Launched, time_limit_s: float) -> bool:
        certain.append(look(launched, time_limit_s))
        return certain[-1]

    monkeypatch.setattr(Launched, "is_surely_right", watch)
    items = SIZE // stride
    report = sanitize(*program(kind, stride, (5, 1, 0, items, 1, 0, 0, items, items)))
    assert (report.findings, certain) == ((), [True])


def program(
    kind: str, stride: int, parameters: tuple[int, ...]
) -> tuple[Program, dict[str, np.ndarray]]:
    inputs = {
        "x": np.arange(1, SIZE + 1, dtype=np.float32),
        "p": np.array((*parameters, *[0] * 16)[:16], np.uint32),
    }
    specs = tuple(TensorSpec(name, a.shape, str(a.dtype)) for name, a in inputs.items())
    out = TensorSpec("out", (SIZE,), "float32")
    source = _INDICES + BODIES[kind, stride]
    launch = Launch("k", ("x", "p"), (out,), source, (SIZE, 1, 1), (32, 1, 1))
    return Program(specs, ("out",), (launch,)), inputs


def test_loops_of_the_library_are_unrolled_and_those_with_a_line_are_not() -> None:
    loops = (
        "!7 = distinct !{!7, !9}\n"
        "!8 = distinct !{!8, !3, !4, !9}\n"
        '!9 = !{!"llvm.loop.unroll.disable"}\n'
        "!10 = distinct !{!10, !11}\n"
    )
    assert unrolled(loops) == loops.replace("!{!7, !9}", "!{!7}")
    assert unrolled(loops.replace("unroll", "vectorize")) == loops.replace("unroll", "vectorize")


def test_a_position_in_the_grid_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(toolchain, "quick", lambda text: seen.append(text))
    number = np.random.default_rng().integers(1 << 40)  # never built before
    source = f"uint3 i = thread_position_in_grid; out[i.x] = x[i.x + i.y] + {number};"
    x, out = TensorSpec("x", (SIZE,), "float32"), TensorSpec("out", (SIZE,), "float32")
    launch = Launch("looked_at", ("x",), (out,), source, (SIZE, 1, 1), (32, 1, 1))
    sanitize(Program((x,), ("out",), (launch,)), {"x": np.zeros(SIZE, np.float32)})
    assert seen
    assert "alloca [3 x i32]" not in seen[0]


def test_a_kernel_at_fault_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own line is in the compiler's words, so no plain build need tell whose fault it is."""
    calls: list[tuple[str, ...]] = []
    run = Compiler._run
    monkeypatch.setattr(
        Compiler,
        "_run",
        lambda self, words, *more: calls.append(tuple(words)) or run(self, words, *more),
    )
    x, out = TensorSpec("x", (SIZE,), "float32"), TensorSpec("out", (SIZE,), "float32")
    launch = Launch(
        "no_name", ("x",), (out,), f"out[0] = x[{SIZE - 3}] + nowhere_{SIZE};", (1, 1, 1), (1, 1, 1)
    )
    report = sanitize(Program((x,), ("out",), (launch,)), {"x": np.zeros(SIZE, np.float32)})
    assert "undeclared identifier" in (report.build_log or "")
    assert not [words for words in calls if "-emit-obj" in words]
