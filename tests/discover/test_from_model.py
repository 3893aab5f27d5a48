"""Models as something to search: their ops, shares, bounds, and where evaluations go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy import passed

from discover.autorun.models import ops_of, plain_recipe, read_model, rows, shares_of
from discover.autorun.steps import decode, prefill
from discover.autorun.whole import SLICE, is_done, next_op
from discover.history.summary import Found, Spending, Summary
from foundry.errors import UsageError
from foundry.store.records import NodeRecord, RunRecord

LLAMA = {
    "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
    "intermediate_size": 8192, "num_hidden_layers": 16, "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}  # fmt: skip


def config(folder: Path, **more: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(LLAMA | more))
    return path


def summary(
    op: str, rewards: list[float], floor_us: float = 5.0, kernel_us: float = 20.0
) -> Summary:
    nodes = tuple(
        NodeRecord(i, None, "mutate", "judged", f"{i:064}", reward, 0, {})
        for i, reward in enumerate(rewards)
    )
    timing = passed().timings[0].model_copy(update={"floor_us": floor_us, "kernel_us": kernel_us})
    best = Found(nodes[-1], passed().model_copy(update={"timings": (timing,)})) if nodes else None
    run = RunRecord.__new__(RunRecord)
    return Summary(
        run, op, "float32", ("mutate",), nodes, len(nodes), {}, best, best, Spending(), 1.0
    )


def test_a_decode_step_is_the_weights_of_the_model(tmp_path: Path) -> None:
    shape = read_model(config(tmp_path))
    found = shares_of(shape, "bfloat16", 100.0, 10_000.0)
    assert found[0].op == "matmul"
    assert found[0].decode > 0.9
    assert sum(one.decode for one in found) == pytest.approx(1)
    assert sum(one.prefill for one in found) == pytest.approx(1)
    weights = sum(
        c.count * c.workload.axes["n"] * c.workload.axes["k"]
        for c in decode(shape, "bfloat16")
        if c.op == "matmul"
    )
    assert weights == pytest.approx(1.2357e9, rel=1e-3)


def test_the_bound_is_amdahls(tmp_path: Path) -> None:
    for one in shares_of(read_model(config(tmp_path)), "bfloat16", 100.0, 10_000.0):
        assert one.bound == pytest.approx(1 / (1 - one.decode))
        assert one.bound >= 1


def test_prefill_works_on_many_tokens_at_once(tmp_path: Path) -> None:
    shape = read_model(config(tmp_path))
    one, many = decode(shape, "float32"), prefill(shape, "float32")
    time = [sum(c.roofline_us(100.0, 1000.0) for c in calls) for calls in (one, many)]
    assert time[1] > 3 * time[0]


def test_packed_weights_and_experts(tmp_path: Path) -> None:
    packed = config(tmp_path, quantization={"bits": 4, "group_size": 64})
    assert "qmm_4bit" in ops_of(read_model(packed), "bfloat16")
    sparse = config(tmp_path, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=1024)
    calls = {
        (c.op, c.workload.axes.get("n")): c.count for c in decode(read_model(sparse), "float32")
    }
    assert calls["matmul", 1024] == 16 * 2 * 2


def test_a_recipe_is_named_after_its_model(tmp_path: Path) -> None:
    folder = tmp_path / "Llama 3.2 1B"
    folder.mkdir()
    config(folder)
    recipe = plain_recipe(folder)
    assert recipe.name == "Llama-3.2-1B"
    assert recipe.dtypes == ("bfloat16",)
    assert recipe.total.evaluations == 3 * SLICE * len(recipe.ops)
    assert plain_recipe(folder / "config.json") == recipe
    assert len(rows(shares_of(read_model(folder), "bfloat16", 100.0, 1e4))) == len(recipe.ops)


@pytest.mark.parametrize("text", ["{}", "no json", '{"hidden_size": 0, "num_attention_heads": 1}'])
def test_what_is_no_model_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UsageError, match="no configuration of a transformer"):
        read_model(tmp_path)


def test_evaluations_go_where_the_whole_gains_most() -> None:
    weights = {"matmul": 0.9, "rms_norm": 0.1}
    assert next_op(weights, []) == "matmul"
    far = summary("matmul", [1.0] * SLICE)
    assert next_op(weights, [far]) == "matmul"
    long = summary("matmul", [1.0 + 0.1 * i for i in range(20 * SLICE)])
    assert next_op(weights, [long]) == "rms_norm"
    near = summary("matmul", [1.0] * SLICE, kernel_us=6.0)
    assert is_done(near) == "it is at its roofline"
    assert next_op(weights, [near]) == "rms_norm"


def test_an_op_that_is_flat_is_done() -> None:
    rising = [1.0 + 0.02 * i for i in range(3 * SLICE)]
    assert is_done(summary("matmul", rising)) == ""
    flat = [1.0] * SLICE + [0.5] * (2 * SLICE)
    assert is_done(summary("matmul", flat)).startswith("the last 40 kernels")
    assert next_op({"matmul": 1.0}, [summary("matmul", flat)]) is None
    assert next_op({}, []) is None
