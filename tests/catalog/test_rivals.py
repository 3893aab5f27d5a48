"""What kernels are timed against, in a built package: the fastest way to do without them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import mlx.core as mx
import pytest
from softmax_package import entry, softmax_kernel

from foundry.catalog.entry import CatalogEntry
from foundry.catalog.package import package_files
from foundry.judge.verdict import Proven
from foundry.msl.stand_in.metal import metal
from foundry.program import Device
from ops import get

STAND_IN = Device("metal", "Apple M1 (foundry cpu engine)", {"cores": 7})
SLOW = """
each = mx.softmax(mx.broadcast_to(x, (1500, *x.shape)), axis=-1, precise=True)
return mx.max(each, axis=0)
"""
"""More than a thousand times the work."""


def narrow(kernel: CatalogEntry) -> CatalogEntry:
    everywhere = Proven(axes={"rows": (1, 512), "cols": (1, 4096)}, elements=1 << 20, flops=1 << 30)
    found = kernel.evaluation.model_copy(update={"dtype": "bfloat16", "proven": everywhere})
    return replace(kernel, evaluation=found)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Softmax whose first baseline is slow."""
    folder = tmp_path_factory.mktemp("rivals")
    op = replace(
        get("softmax"), baselines={"slow": SLOW, "fast": "mx.softmax(x, axis=-1)", "gone": "x.gone"}
    )
    made = entry(softmax_kernel(), STAND_IN)
    entries = [replace(e, op=op) for e in (made, narrow(made))]
    for path, content in package_files("rivals", "0.1.0", entries).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.MonkeyPatch.context() as patched, metal():
        patched.setenv("RIVALS_CACHE_DIR", str(folder))
        patched.syspath_prepend(str(folder))
        yield importlib.import_module("rivals")
    for name in [n for n in sys.modules if n.split(".")[0] == "rivals"]:
        del sys.modules[name]


def tuned(package: ModuleType) -> Any:
    tuning = package.tuning
    request = tuning.tune.TuneRequest(
        bases={"softmax": [{"axes": {"rows": 8, "cols": 64}, "params": {}}]},
        dtypes=("float32",),
        anew=True,
        rules=tuning.timing.TimingRules(pairs=6, limit_s=0.1),
    )
    (found,) = tuning.tune.tune(package.FUNCTIONS, request)
    return found


@pytest.mark.slow  # it times, which a busy machine disturbs
def test_a_kernel_that_beats_the_first_baseline_alone_does_not_win(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module("rivals.main")
    monkeypatch.setattr(package.tuning.sizes, "_SWEEP", ())
    right = package.learning.learnt.KernelVerdict(passed=True, detail="")
    monkeypatch.setattr(package.tuning.tune, "verdict", lambda op, kernel: right)
    found = tuned(package)
    assert found.points == 1
    assert found.wins == 0
    assert set(found.against) <= {"fast", "the code of the layer"}
    rivals = package.tuning.rivals
    monkeypatch.setattr(rivals, "baselines", lambda function: [function.fallback])
    found = tuned(package)
    assert found.wins == 1
    assert found.against == {"slow": 1}


@pytest.mark.slow  # it times, which a busy machine disturbs
def test_every_baseline_is_a_rival_and_one_that_cannot_run_is_passed_by(
    package: ModuleType,
) -> None:
    importlib.import_module("rivals.main")
    function, rivals = package.FUNCTIONS["softmax"], package.tuning.rivals
    names = [b.name for b in rivals.baselines(function)]
    assert names == ["slow", "fast", "gone", "the code of the layer"]
    call = package.arguments.match(function.op, [mx.ones((2, 8))], {})
    found = rivals.fastest(function, call, package.tuning.timing.TimingRules())
    assert {b.name for b in found} <= {"fast", "the code of the layer"}
    (broken,) = [b for b in rivals.baselines(function) if b.name == "gone"]
    with pytest.raises(ValueError, match="gone: AttributeError"):
        rivals.fastest(
            package.dispatch.CatalogFunction({**function.op, "others": [], "name": "x"}, broken),
            call,
            package.tuning.timing.TimingRules(),
        )


@pytest.mark.parametrize("precise", [False, True])
def test_bits_are_compared_with_the_code_that_is_replaced(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch, precise: bool
) -> None:
    """`nn.Softmax` sums in the dtype of its input; the first baseline does so in float32."""
    function, checking = package.FUNCTIONS["softmax"], package.checking
    kernel = next(k for k in function.op["kernels"] if k["dtype"] == "bfloat16")

    def by_kernel(*_: Any) -> Any:
        return lambda x: (mx.softmax(x, axis=-1, precise=precise),)

    monkeypatch.setattr(checking, "with_kernel", by_kernel)
    monkeypatch.setattr(checking, "outcome", lambda *_: "")
    calls = [checking.call_of(function.op, check) for check in function.op["checks"]]
    arrays = [c.arrays[0] for c in calls if c.sizes.dtype == "bfloat16"]
    sums_differ = any(
        not mx.array_equal(mx.softmax(a, -1), mx.softmax(a, -1, precise=True)).item()
        for a in arrays
        if a.size
    )
    assert sums_differ
    found = checking.verdict_of(function.op, function.fallback, kernel)
    assert found.same_bits is not precise
