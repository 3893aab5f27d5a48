"""A real small model: 50 greedy tokens with kernels as without."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest
from pattern_package import at_work, written

pytest.importorskip("mlx_lm")

from smollm2 import smollm2

from foundry.models.conditions import ValidationPlan
from foundry.models.validation import validate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("dtype", "mode"),
    [("float32", "stable"), ("float32", "fast"), ("bfloat16", "stable")],
)
def test_fifty_greedy_tokens_are_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, mode: str
) -> None:
    monkeypatch.setenv("SMALL_CACHE_DIR", str(tmp_path))
    loaded = smollm2(getattr(mx, dtype))
    site = written(tmp_path / f"{dtype}{mode}", f"small_{dtype}_{mode}", (dtype,))
    with at_work(site, f"small_{dtype}_{mode}") as package:
        found = validate(loaded, package, ValidationPlan(mode, tokens=50, pairs=0))
    print(found.model_dump_json(indent=1))
    assert found.identical == (50, 50), found.prompts
    assert found.patterns["norms"] == 61
    if dtype == "float32":
        assert {"rms_norm", "swiglu", "rope"} <= set(found.kernels_ran)
