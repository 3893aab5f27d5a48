"""The other baselines of every op, as they stand in a wheel: they give what the op's texts give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from foundry.catalog import fallbacks
from foundry.catalog.runtime.arguments import Sizes
from foundry.catalog.runtime.running import ShippedBaseline, plain
from foundry.judge.oracle.inputs import make_inputs
from ops import Op, get
from ops.arrays import to_mlx
from ops.registry import all_ops
from ops.spec import present
from ops.workload import Workload

SEVERAL = [name for name, op in all_ops().items() if len(op.baselines) > 1]
FEW = ("softmax", "qmm_4bit", "row_l2", "moe_combine")


def shipped(ops: list[Op]) -> Any:
    namespace: dict[str, Any] = {}
    exec(fallbacks.others_module(ops), namespace)
    return SimpleNamespace(**namespace)


def test_every_other_baseline_stands_in_the_module_once() -> None:
    ops = list(all_ops().values())
    module = shipped(ops)
    names = [record["function"] for op in ops for record in fallbacks.other_records(op)]
    assert len(set(names)) == len(names) > 50
    for name in names:
        assert callable(getattr(module, name))


def same_as_its_text(op: Op) -> None:
    module = shipped([op])
    workload = op.workloads("visible", op.dtypes[0])[-1]
    inputs = make_inputs(op, workload, "normal", 7)
    given = {t.name for t in present(op, workload)}
    arrays = [to_mlx(inputs[t.name]) if t.name in given else None for t in op.inputs]
    for record in fallbacks.other_records(op):
        run = plain(ShippedBaseline.of(record, module), sizes_of(workload))
        got = run(*arrays)
        want = op.bound_baseline(record["name"], workload)(*[a for a in arrays if a is not None])
        for one, other in zip(got, want, strict=True):
            equal = mx.allclose(one, other, 1e-4, 1e-5, equal_nan=True)
            assert equal.item(), (op.name, record["name"])


def sizes_of(workload: Workload) -> Sizes:
    types = {"T": workload.dtype, **workload.types}
    return Sizes(dict(workload.axes), dict(workload.params), types, None, ())


@pytest.mark.parametrize("name", [name for name in FEW if name in SEVERAL])
def test_other_baselines_give_what_their_texts_give(name: str) -> None:
    same_as_its_text(get(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SEVERAL if name not in FEW])
def test_every_other_baseline_gives_what_its_text_gives(name: str) -> None:
    same_as_its_text(get(name))
