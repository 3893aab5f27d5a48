"""Every match on the whole way: real kernels of small ops, compiled, run and compared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from ops import registry
from ops.spec import Op

pytestmark = pytest.mark.slow

OPS = """
import numpy as np

from ops import Case, Close, Distribution, Op, Set, Tensor, Ties, axes
from ops.fills import Real

X = Tensor("x", ("rows", "cols"))
PAIRS = ((1, 1), (5, 33), (8, 64), (2, 1), (0, 5), (3000, 7))
SIZES = [Case({"rows": r, "cols": c}) for r, c in PAIRS]


def op(name, outputs, oracle, baseline, inputs=(X,)):
    return Op(
        name=name, family="user", formula=name, axes=axes("rows cols"), inputs=inputs,
        outputs=outputs, oracle=oracle, baselines={"plain": baseline}, flops="rows * cols",
        visible=SIZES[:3], hidden=SIZES[3:], bench=SIZES[5:],
    )


any_best = op(
    "any_best",
    (Tensor("index", ("rows",), "uint32", match=Ties(by="x")),),
    lambda i, w: (np.argmax(i["x"], axis=-1).astype(np.uint32),),
    "mx.argmax(x, axis=-1)",
)


bag = op(
    "bag",
    (Tensor("out", ("rows", "cols"), match=Set()),),
    lambda i, w: (2 * np.sort(i["x"], axis=-1),),
    "x[:, ::-1] * 2",
)


codes = op(
    "codes",
    (Tensor("out", ("rows", "cols"), "int8", match=Close()),),
    lambda i, w: (np.clip(i["x"], -4, 4) * 30,),
    "mx.round(mx.clip(x.astype(mx.float32), -4, 4) * 30).astype(mx.int8)",
)


def chances(x):
    raw = np.exp(x - x.max(axis=-1, keepdims=True))
    return raw / raw.sum(axis=-1, keepdims=True)


sampled = op(
    "sampled",
    (Tensor("token", ("rows",), "uint32", match=Distribution("cols", source="u")),),
    lambda i, w: (chances(i["x"]),),
    "upto = mx.cumsum(mx.softmax(x.astype(mx.float32), axis=-1), axis=-1)\\n"
    "return mx.minimum(mx.sum(upto <= u[:, None], axis=-1), cols - 1).astype(mx.uint32)",
    (X, Tensor("u", ("rows",), "float32", Real(0, 1))),
)
"""

HEAD = '/*kernel\nop = "{op}"\ngrid = ["rows"]\nthreadgroup = [32]\n*/\n// --- body ---\n'
HEAD += "const uint row = thread_position_in_grid.x;\nconst uint cols = x_shape[1];\n"

BEST = """
uint found = 0;
for (uint c = 1; c < cols; ++c)
  if (x[row * cols + c] {better} x[row * cols + found]) found = c;
index[row] = found;
"""
BAG = """
for (uint c = 0; c < cols; ++c)
  out[row * cols + c] = T(2) * x[row * cols + {from}];
"""
CODES = """
for (uint c = 0; c < cols; ++c)
  out[row * cols + c] = char({round}(clamp(float(x[row * cols + c]), -4.0f, 4.0f) * 30.0f));
"""
SAMPLED = """
float peak = -INFINITY, total = 0, upto = 0;
for (uint c = 0; c < cols; ++c) peak = max(peak, float(x[row * cols + c]));
for (uint c = 0; c < cols; ++c) total += exp({heat} * (float(x[row * cols + c]) - peak));
const float aim = total * u[row];
uint found = 0, last = 0;
for (uint c = 0; c < cols; ++c) {{
  const float p = exp({heat} * (float(x[row * cols + c]) - peak));
  if (p > 0) last = c;
  upto += p;
  found += upto <= aim;
}}
token[row] = min(found, last);
"""


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with WorkerPool("cpu", 1, tmp_path_factory.mktemp("locks")) as pool:
        yield Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False))


@pytest.fixture(scope="module")
def small_ops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Op]:
    file = tmp_path_factory.mktemp("ops") / "small_ops.py"
    file.write_text(OPS)
    return {op.name: op for op in registry.load_file(file)}


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("any_best", BEST.format(better=">"), ""),
        ("any_best", BEST.format(better=">="), ""),
        ("any_best", BEST.format(better="<"), "which points at"),
        ("any_best", BEST.format(better=">").replace("found;", "cols;"), "an index below"),
        ("bag", BAG.format(**{"from": "c"}), ""),
        ("bag", BAG.format(**{"from": "(cols - 1 - c)"}), ""),
        ("bag", BAG.format(**{"from": "(c < 2 ? 0 : c)"}), "once its rows are sorted"),
        ("codes", CODES.format(round="rint"), ""),
        ("codes", CODES.format(round="round"), ""),
        ("codes", CODES.format(round=""), "expected"),
        ("sampled", SAMPLED.format(heat="1.0f"), ""),
        ("sampled", SAMPLED.format(heat="0.7f"), "output 'token' is wrong on a hidden workload"),
    ],
)
def test_a_match_tells_right_from_wrong(
    judge: Judge, small_ops: dict[str, Op], name: str, body: str, says: str
) -> None:
    found = judge.evaluate(HEAD.format(op=name) + body, small_ops[name], "float32")
    assert found.status is (Status.WRONG_RESULT if says else Status.CORRECT), found.why
    assert says in found.why
