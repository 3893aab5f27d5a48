"""The contract holds for every op and breaks for ops with one planted slip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sampling import op_params

import ops
from foundry.testing.op_contract import OpContract, disagreements, main
from ops import Op, Workload
from ops.declaring.validation import problems
from ops.workload import Case

Inputs = Mapping[str, NDArray[Any]]


ALL = tuple(ops.all_ops().values())
MEMBERS = tuple(op for op in ALL if op.metal)


def keep(op: Op) -> None:
    contract = type("Contract", (OpContract,), {"op": op, "distributions": ("ties", "normal")})()
    contract.test_the_declaration_keeps_the_rules()
    contract.test_the_oracle_and_the_baselines_agree()


WRITTEN = tuple(op for op in ALL if not op.metal)


@pytest.mark.parametrize("op", op_params(WRITTEN))
def test_every_op_keeps_the_contract(op: Op) -> None:
    """Compiled baselines on a share of the workloads: MLX compiles each anew for every shape."""
    at = WRITTEN.index(op)
    compiled = {name: b for name, b in op.baselines.items() if op.baseline(name).compiled}
    if eager := {name: b for name, b in op.baselines.items() if name not in compiled}:
        keep(replace(op, baselines=eager))
    if compiled:
        dtypes = (op.dtypes[at % len(op.dtypes)],)
        visible, hidden = op.visible[at % 3 :: 3], op.hidden[at % 4 :: 4]
        keep(replace(op, dtypes=dtypes, baselines=compiled, visible=visible, hidden=hidden))


@pytest.mark.slow
@pytest.mark.parametrize("op", WRITTEN, ids=lambda op: op.name)
def test_every_op_keeps_the_contract_everywhere(op: Op) -> None:
    keep(op)


def agree(op: Op, name: str, **changed: Any) -> None:
    """One baseline gives what the oracle does, on the workloads and in the dtypes that are left."""
    held = replace(op, baselines={name: op.baselines[name]}, **changed)
    for dtype in held.dtypes:
        found = list(disagreements(held, dtype, ("ties", "normal")))
        assert not found, "\n".join(found)


@pytest.mark.parametrize("op", op_params(MEMBERS))
def test_every_member_of_a_family_keeps_it_on_a_share_of_its_workloads(op: Op) -> None:
    """Its baselines take turns; those after the first may be less exact in half precision."""
    assert list(problems(op)) == []
    at, turns = MEMBERS.index(op), len(op.baselines)
    for turn, name in enumerate(op.baselines):
        dtype = op.dtypes[at % len(op.dtypes)] if turn == 0 else op.dtypes[0]
        visible, hidden = op.visible[at % 2 :: 2], op.hidden[at % 3 :: 3]
        cases = {"visible": visible[turn::turns], "hidden": hidden[turn::turns]}
        agree(op, name, dtypes=(dtype,), **cases)


@pytest.mark.slow
@pytest.mark.parametrize(
    "op", [op for op in MEMBERS if len(op.baselines) > 1], ids=lambda op: op.name
)
def test_every_further_baseline_of_a_member_computes_it(op: Op) -> None:
    for name in list(op.baselines)[1:]:
        visible, hidden = op.visible[::3], op.hidden[1::3]
        agree(op, name, dtypes=op.dtypes[:1], visible=visible, hidden=hidden)


def test_a_further_baseline_that_computes_something_else_is_found() -> None:
    wrong = replace(ops.get("silu"), baselines={"first": "silu(x)", "other": "x * mx.sigmoid(-x)"})
    with pytest.raises(AssertionError, match="the oracle differ in"):
        agree(wrong, "other", dtypes=("float32",), visible=wrong.visible[1:2], hidden=())


def rms_without_eps(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    fixed = replace(workload, params={"eps": 1e-5})
    return ops.get("rms_norm").oracle(inputs, fixed)


def rope_interleaved(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    x = inputs["x"]
    half = x.shape[-1] // 2
    order = np.arange(2 * half).reshape(half, 2).T.ravel()
    (out,) = ops.get("rope").oracle({"x": x[..., order]}, workload)
    return (out[..., np.argsort(order)],)


def attention_upper_left(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    q_len = workload.axes["q_len"]
    square = replace(workload, axes={**workload.axes, "kv_len": q_len})
    return ops.get("attention").oracle(
        {"q": inputs["q"], "k": inputs["k"][:, :, :q_len], "v": inputs["v"][:, :, :q_len]}, square
    )


def attention_heads_interleaved(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    heads, groups = workload.axes["heads"], workload.axes["kv_heads"]
    order = np.arange(heads).reshape(groups, heads // groups).T.ravel()
    (out,) = ops.get("attention").oracle({**inputs, "q": inputs["q"][:, order]}, workload)
    return (out[:, np.argsort(order)],)


def topk_last_of_ties(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    x, cols = inputs["x"][:, ::-1], workload.axes["cols"]
    values, indices = ops.get("topk").oracle({"x": x}, workload)
    return values, (cols - 1 - indices).astype(np.uint32)


def cumsum_exclusive(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    x = inputs["x"]
    return (np.cumsum(x, axis=-1) - x,)


def one_element(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    (out,) = ops.get("softmax").oracle(inputs, workload)
    out[-1:, -1:] *= 0.99
    return (out,)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        pytest.param("rms_norm", rms_without_eps, marks=pytest.mark.slow),
        ("rope", rope_interleaved),
        ("attention", attention_upper_left),
        ("attention", attention_heads_interleaved),
        ("topk", topk_last_of_ties),
        ("cumsum", cumsum_exclusive),
        ("softmax", one_element),
        ("matmul", lambda inputs, workload: (2.0**0.01 * inputs["a"] @ inputs["b"].T,)),
    ],
)
def test_a_wrong_oracle_parts_from_the_baseline(name: str, oracle: Callable[..., Any]) -> None:
    wrong = replace(ops.get(name), oracle=oracle)
    found = list(disagreements(wrong, "float32", ("normal", "ties")))
    assert any("and the oracle differ in" in fault for fault in found)


def fails(inputs: Inputs, workload: Workload) -> tuple[NDArray[Any], ...]:
    raise RuntimeError("not yet written")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"oracle": fails}, "the oracle raises RuntimeError: not yet written"),
        ({"baselines": {"mine": "x @ x"}}, "baseline 'mine' raises ValueError"),
        ({"oracle": lambda i, w: (i["x"], i["x"])}, "the oracle gives no tuple of 1 arrays"),
        ({"oracle": lambda i, w: (i["x"][:1],)}, r"of shape \[1, 64\], not \[4, 64\]"),
        ({"oracle": lambda i, w: (i["x"] > 0,)}, "as bool, not float64"),
        ({"oracle": lambda i, w: (i["x"] / 0.0,)}, "a value that is not finite"),
        ({"baselines": {"mine": "x.T"}}, r"float32\[64, 4\], not float32"),
        ({"baselines": {"mine": "x > 0"}}, r"gives out as bool\[4, 64\]"),
    ],
)
def test_every_other_slip_is_named(change: dict[str, Any], said: str) -> None:
    case = (Case({"rows": 4, "cols": 64}),)
    wrong = replace(ops.get("silu"), visible=case, hidden=(), **change)
    (fault,) = disagreements(wrong, "float32", ("normal",))
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(fault)
    contract = type("Contract", (OpContract,), {"op": wrong})()
    with pytest.raises(AssertionError, match="silu"):
        contract.test_the_oracle_and_the_baselines_agree()
    with pytest.raises(AssertionError, match="no hidden cases"):
        contract.test_the_declaration_keeps_the_rules()


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silu"]) == 0
    assert capsys.readouterr().out == (
        "silu: keeps the contract (21 workloads, float32, float16, bfloat16)\n"
    )
    module = [sys.executable, "-m", "foundry.testing.op_contract", "sillu"]
    done = subprocess.run(module, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("unknown op 'sillu': did you mean silu")
