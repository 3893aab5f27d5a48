"""Members of families from a file of three-line declarations, on the whole way of the judge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from ops import registry
from ops.spec import Op
from templates import default, for_op, render

pytestmark = pytest.mark.slow

HEAD = """\
import numpy as np

from ops import Mask, Tensor, dequantised, elementwise, gradient, masked_attention
from ops.fills import Segments

IDS = Tensor("ids", ("batch", "kv_len"), "int32", Segments())
"""
MEMBERS = {
    "my_softsign": """\
my_softsign = elementwise(
    "my_softsign", np=lambda x: x / (1 + np.abs(x)), mlx="x / (1 + mx.abs(x))",
    metal="x / (1.0f + abs(x))", flops=3)
""",
    "my_softsign_vjp": """\
my_softsign_vjp = gradient(
    my_softsign, np=lambda x, dout: dout / (1 + np.abs(x)) ** 2, flops=5,
    mlx="dout / mx.square(1 + mx.abs(x))", metal="dout / pow(1.0f + abs(x), 2.0f)")
""",
    "recent": """\
recent = masked_attention("recent", Mask(
    np=lambda q, k, w: (k <= q) & (k > q - w), metal="k <= q && k > q - w",
    first="q - w + 1", until="q + 1", params={"w": 4}))
""",
    "packed": """\
packed = masked_attention("packed", Mask(
    np=lambda q, k, ids: (ids[q] == ids[k]) & (ids[k] >= 0),
    metal="ids[q] == ids[k] && ids[k] >= 0", inputs=(IDS,)))
""",
    "centred_codes": """\
centred_codes = dequantised("centred_codes", bits=4, flops=3,
    np=lambda code, scale, bias: scale * (code - 8) + bias, metal="scale * (code - 8.0f) + bias",
    mlx="mx.dequantize(packed, scales, biases - 8 * scales, group_size=group, bits=4)")
""",
}
"""Each the lines of one op."""


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with WorkerPool("cpu", 1, tmp_path_factory.mktemp("locks")) as pool:
        yield Judge(pool, JudgeOptions(timed=False, reach_s=0.0))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ops") / "mine.py"
    made.write_text(HEAD + "".join(MEMBERS.values()))
    return made


@pytest.fixture
def mine(file: Path) -> dict[str, Op]:
    return {op.name: op for op in registry.load_file(file)}


def kernel(op: str) -> str:
    (template,) = for_op(op)
    return render(template, default(template))


def test_a_member_takes_three_lines() -> None:
    assert {text.count("\n") for text in MEMBERS.values()} == {3}


@pytest.mark.parametrize(
    ("name", "dtype"),
    list(zip(MEMBERS, ("float32", "bfloat16", "float32", "float16", "bfloat16"), strict=True)),
)
def test_the_kernel_of_the_family_is_right(
    judge: Judge, mine: dict[str, Op], name: str, dtype: str
) -> None:
    found = judge.evaluate(kernel(name), mine[name], dtype)
    assert found.status is Status.CORRECT, found.why


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("my_softsign", "1.0f + abs(x)", "1.0f + x"),
        ("my_softsign_vjp", "2.0f", "1.0f"),
        ("recent", "k > q - w;", "k > q - w + 1;"),
        ("recent", "k <= q &&", "k < q &&"),
        ("recent", "return q - w + 1;", "return q - w + 2;"),
        ("recent", "return q + 1;", "return q;"),
        ("packed", "ids[q] == ids[k]", "ids[q] >= ids[k]"),
        ("packed", " && ids[k] >= 0", ""),
        ("packed", "ids + size_t(head / heads)", "ids + size_t(0 * head)"),
        ("centred_codes", "word & 15u", "word & 7u"),
        ("centred_codes", "word >>= 4", "word >>= (j == 5 ? 8 : 4)"),
    ],
)
def test_a_kernel_that_is_a_little_wrong_is_found_out(
    judge: Judge, mine: dict[str, Op], name: str, right: str, wrong: str
) -> None:
    text = kernel(name)
    assert right in text
    changed = re.sub(re.escape(right), lambda _: wrong, text)
    found = judge.evaluate(changed, mine[name], "float32")
    assert found.status is Status.WRONG_RESULT, found.why
