"""Engines by name, and the contract every engine of this package keeps."""

from __future__ import annotations

import numpy as np
import pytest

from foundry import engines
from foundry import program as programs
from foundry.engines import base
from foundry.engines.base import Engine
from foundry.engines.cpu import CpuEngine
from foundry.engines.metal import MetalEngine, MetalExecutable
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.testing.engine_contract import EngineContract, program

METAL = MetalEngine().unavailable() is None


class TestCpuEngineContract(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return engines.get("cpu")


@pytest.mark.metal
@pytest.mark.skipif(not METAL, reason="needs an Apple GPU")
class TestMetalEngineContract(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return engines.get("metal")


def test_engines_are_found_by_name() -> None:
    assert engines.names() == ("auto", "metal", "cpu")
    assert engines.get("cpu").name == "cpu"
    assert engines.get("cpu") is engines.get("cpu")
    assert engines.get("auto").name == ("metal" if METAL else "cpu")


def test_an_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown device 'metl': did you mean metal"):
        engines.get("metl")


@pytest.mark.skipif(METAL, reason="needs a machine without an Apple GPU")
def test_metal_without_an_apple_gpu_says_what_to_do() -> None:
    with pytest.raises(EnvironmentUnusable, match="no Apple GPU here; use '--device cpu'"):
        engines.get("metal")


def test_metal_is_not_asked_to_run_a_grid_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("dispatched")

    monkeypatch.setattr("mlx.core.fast.metal_kernel", refuse)
    x = np.ones((0, 3), np.float32)
    made = program("out[0] = x[0];", {"x": x}, {"out": ((0, 3), "float16")}, (0, 3, 1), (1, 1, 1))
    built = MetalEngine().build(made)
    assert isinstance(built, MetalExecutable)
    call = built.bind({"x": x}, poison=True)
    call()
    assert call.outputs()["out"].shape == (0, 3)


def test_the_cpu_engine_without_a_writable_cache_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOUNDRY_CACHE_DIR", "/proc/none")
    reason = CpuEngine().unavailable()
    assert reason is not None
    assert "Set FOUNDRY_CACHE_DIR to a folder that can" in reason


def test_the_fingerprint_tells_what_may_change_a_timing() -> None:
    fingerprint = CpuEngine().device().fingerprint
    assert set(fingerprint) >= {
        "processor", "architecture", "cores", "memory_bytes", "system", "mlx_version",
        "ziglang_version",
    }  # fmt: skip


def test_the_contract_comes_with_what_engines_are_given() -> None:
    for name in ("Arrays", "BuildFailure", "Device", "Launch", "Program", "Size3", "TensorSpec"):
        assert getattr(base, name) is getattr(programs, name)
        assert name in base.__all__
