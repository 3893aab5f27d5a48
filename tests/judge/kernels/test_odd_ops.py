"""The real judge on ops of odd inputs: right kernels pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.workloads.dealing import unseen
from foundry.kernel import bind, parse
from foundry.testing.op_contract import disagreements
from ops import Op, registry
from ops.spec import bytes_moved

FILE = Path(__file__).with_name("odd_ops.py")


@pytest.fixture
def odd() -> dict[str, Op]:
    return {op.name: op for op in registry.load_file(FILE)}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    with WorkerPool("cpu", 1, tmp_path_factory.mktemp("locks")) as made:
        yield made


def kernel(op: str, grid: str, body: str, constants: str = "") -> str:
    return (
        f'/*kernel\nop = "{op}"\ngrid = ["{grid}", 1, 1]\nthreadgroup = [64, 1, 1]\n{constants}'
        f"*/\n// --- body ---\nuint i = thread_position_in_grid.x;\n{body}\n"
    )


NIBBLE = "(q[i / 8] >> (4 * (i % 8))) & 15u"
THREE_OF_EIGHT = "(i % 8 < 3) ? ((q[i / 8] >> (4 * (i % 8))) & 15u) : (q[i / 8] >> 28)"
SIGNED = "int(q[i / 8] << (28 - 4 * (i % 8))) >> 28"
LOW_BITS_ONLY = "(q[i / 8] >> (4 * (i % 8))) & 7u"


def dequant4(code: str) -> str:
    body = f"int code = {code};\nout[i] = T(float(s[i / 64]) * code + float(b[i / 64]));"
    return kernel("dequant4", "rows * cols", body)


def segment_sum(rule: str) -> str:
    body = f"""uint cols = x_shape[1], t = i / cols, c = i % cols;
float sum = 0.0f;
for (uint u = 0; u <= t; ++u) {{
  if ({rule}) {{ sum += float(x[u * cols + c]); }}
}}
out[i] = T(sum);"""
    return kernel("segment_sum", "tokens * cols", body)


def gentle_vjp(gradient: str) -> str:
    body = f"""float v = x[i], s = 1.0f / (1.0f + metal::precise::exp(-v));
dx[i] = T(float(dout[i]) * ({gradient}));"""
    return kernel("gentle_vjp", "rows * cols", body)


def shifted(shift: str) -> str:
    return kernel("shifted", "rows * cols", f"out[i] = T(2.0f * float(x[i]) + float({shift}));")


def gathered(index: str) -> str:
    body = f"W row = idx[i / COLS];\nout[i] = x[{index} * COLS + i % COLS];"
    return kernel("gathered", "picks * cols", body, '[constants]\nCOLS = "cols"\n')


def appended(row: str) -> str:
    body = f"""uint cols = cache_shape[1], row = i / cols;
bool is_new = {row};
cache_out[i] = is_new ? rows[i - START * cols] : cache[i];"""
    return kernel("appended", "slots * cols", body, '[constants]\nSTART = "start"\n')


CORRECT = Status.CORRECT
WRONG = Status.WRONG_RESULT


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("code", "status"),
    [(NIBBLE, CORRECT), (THREE_OF_EIGHT, WRONG), (LOW_BITS_ONLY, WRONG), (SIGNED, WRONG)],
    ids=["right", "three of eight nibbles", "three of four bits", "signed"],
)
def test_packed_words(
    pool: WorkerPool, odd: dict[str, Op], code: str, status: Status, dtype: str
) -> None:
    found = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False)).evaluate(
        dequant4(code), odd["dequant4"], dtype
    )
    assert found.status is status, found.why


SAME = "seg[u] == seg[t]"


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("segment_sum", segment_sum(f"{SAME} && seg[u] >= 0"), CORRECT),
        ("segment_sum", segment_sum(SAME), WRONG),
        ("segment_sum", segment_sum("seg[u] >= 0"), WRONG),
        ("segment_sum", segment_sum("seg[u] >= 0 && seg[u] + 1 >= seg[t] && seg[t] >= 0"), WRONG),
        ("gentle_vjp", gentle_vjp("s + v * s * (1.0f - s)"), CORRECT),
        ("gentle_vjp", gentle_vjp("s + v * s"), WRONG),
        ("gentle_vjp", gentle_vjp("s"), WRONG),
        ("shifted", shifted("HAS_BIAS ? float(bias[i % x_shape[1]]) : 0.0f"), CORRECT),
        ("shifted", shifted("HAS_BIAS ? 0.0f : 0.0f"), WRONG),
        ("shifted", shifted("HAS_BIAS ? float(bias[i % x_shape[1]]) : float(bias[0])"), WRONG),
        ("gathered", gathered("row"), CORRECT),
        ("gathered", gathered("uint(row & 255)"), WRONG),
        ("appended", appended("row >= START && row < START + rows_shape[0]"), CORRECT),
        ("appended", appended("row == START"), WRONG),
    ],
)
def test_right_and_wrong_kernels(
    pool: WorkerPool, odd: dict[str, Op], name: str, text: str, status: Status
) -> None:
    found = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False)).evaluate(
        text, odd[name], "float16"
    )
    assert found.status is status, found.why


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_oracles_and_baselines_of_odd_ops_agree(odd: dict[str, Op], dtype: str) -> None:
    for op in odd.values():
        assert list(disagreements(op, dtype, ("normal", "ties", "sparse"))) == [], op.name


def test_every_choice_of_types_is_a_workload_of_its_own(odd: dict[str, Op]) -> None:
    workloads = odd["gathered"].workloads("visible", "float32")
    assert [w.id for w in workloads[:2]] == [
        "gathered[rows=1,picks=3,cols=8,W=int32]float32",
        "gathered[rows=1,picks=3,cols=8,W=uint16]float32",
    ]
    program = bind(parse(gathered("row")), odd["gathered"], workloads[1])
    assert program.launches[0].template == (("T", "float32"), ("W", "uint16"), ("COLS", 8))
    assert make_inputs(odd["gathered"], workloads[1], "normal", 1)["idx"].dtype == "uint16"
    drawn = [w.types["W"] for s in range(9) for w in unseen(odd["gathered"], "float32", s)]
    assert set(drawn) == {"int32", "uint16"}


def test_an_absent_input_is_told_by_a_constant_and_has_a_stand_in(odd: dict[str, Op]) -> None:
    op = odd["shifted"]
    given, _, absent = op.workloads("visible", "float32")
    assert absent.id == "shifted[rows=3,cols=32,bias=absent]float32"
    kernels = parse(shifted("HAS_BIAS ? float(bias[0]) : 0.0f"))
    with_bias, without = (bind(kernels, op, w) for w in (given, absent))
    assert with_bias.launches[0].template == (("T", "float32"), ("HAS_BIAS", True))
    assert without.launches[0].template == (("T", "float32"), ("HAS_BIAS", False))
    assert without.inputs[1].shape == (1,)
    stand_in = make_inputs(op, absent, "normal", 1)["bias"]
    assert stand_in.shape == (1,)
    assert stand_in[0] != stand_in[0]
    assert bytes_moved(op, absent) == 2 * 3 * 32 * 4


def test_only_the_appended_rows_count_as_traffic(odd: dict[str, Op]) -> None:
    (workload, *_) = odd["appended"].workloads("bench", "float16")
    assert bytes_moved(odd["appended"], workload) == 2 * 8 * 64 * 2


def test_an_op_answers_which_op_is_its_gradient(odd: dict[str, Op]) -> None:
    assert registry.gradient_for("gentle") is odd["gentle_vjp"]
    assert registry.gradient_for("gentle_vjp") is None
