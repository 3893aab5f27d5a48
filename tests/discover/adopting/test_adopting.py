"""A user's own `metal_kernel` call becomes an op: sizes as axes, the reference as its oracle."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from discover.adopting.call import read_call
from discover.adopting.cases import MOST_ELEMENTS, elements, hidden, notes, shown
from discover.adopting.kernel_file import kernel_text
from discover.adopting.naming import Wishes, named
from discover.adopting.op_file import op_text, terms_summed
from discover.adopting.recording import MadeKernel, RecordedArray, RecordedCall, Recording, record
from discover.adopting.sizes import axes_of, expression
from discover.adopting.workspace import Workspace
from discover.cli.agents.adopt import _words
from discover.cli.commands import application
from discover.search.workbench import workbench
from foundry.errors import FoundryError, UsageError
from foundry.judge.verdict import Status
from foundry.kernel import parse
from ops import registry
from ops.declaring.mlx_formula import MlxFormula
from ops.workload import Workload

SOURCE = """
uint row = threadgroup_position_in_grid.x, lane = thread_index_in_simdgroup;
float sum = 0.0f;
for (uint c = lane; c < N; c += 32) {
  float v = float(x[row * N + c]);
  sum += v * v;
}
float scale = metal::precise::rsqrt(simd_sum(sum) / N + eps);
for (uint c = lane; c < N; c += 32) {
  out[row * N + c] = T(float(x[row * N + c]) * scale * float(w[c]));
}
"""
CALL: dict[str, Any] = {
    "name": "my_norm",
    "source": SOURCE,
    "inputs": {"x": {"shape": ["rows", "cols"]}, "w": {"shape": ["cols"]}, "eps": 1e-5},
    "outputs": {"out": {"shape": ["rows", "cols"]}},
    "grid": ["rows * 32", 1, 1],
    "threadgroup": [32, 1, 1],
    "sizes": {"rows": 64, "cols": 2048},
    "template": {"T": "float32", "N": "cols"},
    "reference": "mx.fast.rms_norm(x, w, eps)",
}
SCRIPT = f'''
import mlx.core as mx

kernel = mx.fast.metal_kernel(
    name="ownNorm", input_names=["x", "w", "eps"], output_names=["out"], source="""{SOURCE}"""
)

def reference(a, b, eps):
    """What is meant."""
    wide = a.astype(mx.float32)
    scale = mx.rsqrt(mx.mean(wide * wide, axis=-1, keepdims=True) + eps)
    return (wide * scale).astype(a.dtype) * b

for rows, cols in ((4, 96), (7, 64)):
    x, w = mx.random.normal((rows, cols)), mx.ones((cols,))
    (out,) = kernel(
        inputs=[x, w, 1e-5], template=[("T", mx.float32), ("N", cols)], grid=(rows * 32, 1, 1),
        threadgroup=(32, 1, 1), output_shapes=[x.shape], output_dtypes=[x.dtype],
    )
    assert mx.allclose(out, reference(x, w, 1e-5), atol=1e-5)
'''

ENDING = """
import sys, beside_norm
assert sys.argv == [__file__]
sys.exit(beside_norm.CODE)
"""


def recorded(
    shapes: list[tuple[int, ...]], out: tuple[int, ...], grid: tuple[int, int, int]
) -> RecordedCall:
    made = MadeKernel("k", tuple("abc"[: len(shapes)]), ("out",), "body", "", False, "safe")
    arrays = tuple(RecordedArray(shape, "float32") for shape in shapes)
    result = (RecordedArray(out, "float32"),)
    return RecordedCall(made, arrays, result, grid, (256, 1, 1), (), None)


@pytest.mark.parametrize(
    ("shapes", "out", "grid", "wanted"),
    [
        ([(1000,)], (1000,), 1000, "n"),
        ([(1000,)], (1000,), 1024, "ceildiv(n, 256) * 256"),
        ([(30, 50)], (30, 50), 1500, "rows * cols"),
        ([(30, 50)], (30, 50), 30 * 256, "rows * 256"),
        ([(30, 52)], (30, 52), 30 * 13, "ceildiv(rows * cols, 4)"),
        ([(30, 50)], (30, 50), 1, 1),
    ],
)
def test_a_grid_becomes_the_simplest_expression(
    shapes: list[tuple[int, ...]], out: tuple[int, ...], grid: int, wanted: object
) -> None:
    call = recorded(shapes, out, (grid, 1, 1))
    assert expression((grid,), axes_of([call], ()), (256,)) == wanted


def test_several_calls_leave_less_to_guess() -> None:
    square = recorded([(32, 32), (32, 32)], (32, 32), (1024, 1, 1))
    assert list(axes_of([square], ()).sizes) == ["n"]
    other = recorded([(16, 64), (64, 8)], (16, 8), (128, 1, 1))
    axes = axes_of([square, other], ("m", "k", "n"))
    assert axes.sizes == {"m": (32, 16), "k": (32, 64), "n": (32, 8)}
    assert expression((1024, 128), axes, (256, 256)) == "m * n"
    with pytest.raises(UsageError, match="3 axes, of sizes 32x16, 32x64, 32x8; 2 are named"):
        axes_of([square, other], ("m", "n"))


def test_a_size_that_follows_from_others_is_told_as_arithmetic() -> None:
    call = recorded([(8, 64), (8, 16)], (8, 64), (512, 1, 1))
    axes = axes_of([call], ("rows", "cols", "cols // 4"))
    assert axes.sizes == {"rows": (8,), "cols": (64,)}
    assert axes.name_of((16,)) == expression((16,), axes, (1,)) == "cols // 4"
    found = named(Recording((call,), {}), Wishes("a", axes=("rows", "cols", "cols//4")))
    assert found.arrays["b"].shape == ("rows", "cols//4")
    assert found.sizes == ({"rows": 8, "cols": 64},)
    with pytest.raises(UsageError, match="'cols // 8' among the axes gives 8, and the size is 16"):
        axes_of([call], ("rows", "cols", "cols // 8"))
    with pytest.raises(UsageError, match="'n // 8' among the axes"):
        axes_of([call], ("rows", "cols", "n // 8"))


def test_an_axis_that_is_called_as_an_input_is_renamed_in_arithmetic_too() -> None:
    call = recorded([(8, 64), (8, 16)], (8, 64), (512, 1, 1))
    axes = axes_of([call], ("rows", "a", "max(a // 4, 2)"))
    assert axes.sizes == {"rows": (8,), "a_size": (64,)}
    assert axes.name_of((16,)) == "max(a_size // 4, 2)"
    assert list(axes_of([call], ("a_size", "a", "n")).sizes) == ["a_size", "a_size_", "n"]


@pytest.mark.parametrize("names", [("rows", "rows", "n"), ("rows", "rows * 2", "rows * 2")])
def test_each_axis_has_a_name_of_its_own(names: tuple[str, ...]) -> None:
    call = recorded([(8, 64), (8, 16)], (8, 64), (512, 1, 1))
    with pytest.raises(UsageError, match="among the axes is given twice"):
        axes_of([call], names)


def test_commas_in_parentheses_part_no_axes() -> None:
    assert _words("rows, max(rows, ceildiv(cols,4)),cols,") == (
        "rows",
        "max(rows, ceildiv(cols,4))",
        "cols",
    )
    assert _words("rows),cols") == ("rows)", "cols")
    assert _words(None) == ()


def test_an_op_file_says_all_that_the_call_said() -> None:
    call = read_call(CALL)
    text = op_text(call)
    assert "Axis('cols', compiled=True)" in text
    assert "match=Close('cols')" in text
    assert "Case({'rows': 64, 'cols': 2048}" in text
    assert call.dtypes == ("float32", "float16", "bfloat16")
    kernel = parse(kernel_text(call))
    assert kernel.launches[0].constants == (("N", "cols"),)
    assert kernel.launches[0].grid == ("rows * 32", 1, 1)


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [("x + 1", 1), ("mx.sum(x, axis=0)", "rows"), ("mx.softmax(x, axis=-1)", "cols")],
)
def test_the_terms_of_a_sum_are_read_off_the_reference(reference: str, wanted: object) -> None:
    out = ["cols"] if "sum" in reference else ["rows", "cols"]
    inputs = {"x": {"shape": ["rows", "cols"]}}
    more = {"reference": reference, "inputs": inputs, "outputs": {"out": {"shape": out}}}
    assert terms_summed(read_call({**CALL, **more})) == wanted


def test_cases_are_small_odd_and_never_both() -> None:
    call = read_call({**CALL, "multiples": {"cols": 4}})
    seen, unseen = shown(call), hidden(call)
    assert min(len(seen), len(unseen)) >= 6
    assert not {tuple(c.axes.values()) for c in seen} & {tuple(c.axes.values()) for c in unseen}
    for case in (*seen, *unseen):
        assert elements(call, case.axes) <= MOST_ELEMENTS
        assert case.axes["cols"] % 4 == 0
    assert {0.25001} <= {case.params["eps"] for case in unseen}
    assert all(case.params["eps"] != 0.25001 for case in seen)
    fixed = read_call({**CALL, "fixed": ["cols"]})
    assert {case.axes["cols"] for case in (*shown(fixed), *hidden(fixed))} == {2048}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes": {}}, "no axis; give sizes"),
        ({"sizes": [{"rows": 1, "cols": 2}, {"rows": 1}]}, "not of the axes rows, cols"),
        ({"inputs": {"x": {"shape": ["rowz"]}}}, "size of 'rowz', which is no axis"),
        ({"inputs": {"x": {"shape": ["rows"], "dtype": "float31"}}}, "dtype 'float31'"),
        ({"inputs": {"x": {"shape": ["rows +"]}}}, "not plain arithmetic"),
        ({"inputs": {"x": {"shape": ["rows"]}, "eps": float("nan")}}, "a finite number"),
        ({"outputs": {}}, "no output"),
        ({"name": "My Norm"}, "'name' of the call"),
        ({"gird": [1]}, "'gird' of the call: unknown key 'gird': did you mean grid"),
        ({"grid": None, "gird": [1]}, "'gird' of the call: .*did you mean grid"),
        ({"outputs": {"out": {"shap": ["rows"]}}}, "'outputs.out.shap' of the call"),
        ({"source": None}, "'source' of the call"),
        ({"fixed": ["depth"]}, "'depth' is no axis"),
        ({"multiples": {"cols": 0}}, "'multiples.cols' of the call: Input should be greater"),
        ({"grid": ["rows", 1, 1, 2]}, "'grid' of the call: Tuple should have at most 3"),
        ({"outputs": {"out": {"shape": ["rows"], "below": "cols"}}}, "'out' is an output: 'below'"),
        ({"inputs": {"x": {"shape": ["cols // (rows - 33)"]}}}, "where it is tried: .* by zero"),
        ({"fixed": ["rows", "cols"], "inputs": {"x": {"shape": ["rows"]}}}, "leave one axis free"),
        ({"fixed": ["rows", "cols"], "inputs": {**CALL["inputs"], "eps": 2}}, "leave one axis"),
        ({"reference": "x +"}, "the reference: line 1: not Python"),
        ({"reference": "import os\nreturn x"}, "may not stand here"),
        ({"reference": "mx.sofmax(x)"}, "mx.sofmax is not in MLX"),
        ({"reference": "x[:, :1]"}, "not fit"),
        ({"reference": "y * 2"}, "unknown name 'y'"),
        ({"grid": ["rowz", 1, 1]}, "rowz"),
        ({"name": "softmax"}, "choose a new name"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence_and_leaves_nothing(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(FoundryError, match=words) as caught:
        Workspace(tmp_path).adopt(read_call({**CALL, **change}))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_reference_is_as_exact_as_float64_where_numpy_knows_it() -> None:
    x = np.random.default_rng(1).normal(size=(3, 5))
    at = Workload("o", {"rows": 3, "cols": 5}, "float16", {"eps": 1e-5})
    known = MlxFormula("mx.softmax(x.astype(mx.float32), axis=-1).astype(dtype)", ("x",))
    exact = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    np.testing.assert_allclose(known.oracle({"x": x}, at)[0], exact, rtol=1e-14)
    assert known.steps is not None
    asked = MlxFormula("mx.fast.rope(x[None, :, :4], 4, traditional=False, base=1e4, scale=1.0,"
                      " offset=0)[0]", ("x",))  # fmt: skip
    assert asked.steps is None
    assert asked.oracle({"x": x}, at)[0].dtype == np.float64


def test_a_script_is_watched_while_it_runs(tmp_path: Path) -> None:
    script = tmp_path / "norm.py"
    (tmp_path / "beside_norm.py").write_text("CODE = 0")
    script.write_text(SCRIPT + ENDING)
    arguments, places = list(sys.argv), list(sys.path)
    found = record(script)
    assert (sys.argv, sys.path) == (arguments, places)
    call = named(found, Wishes("reference"))
    assert call.name == "ownnorm"
    assert call.grid == ("rows * 32", 1, 1)
    assert call.template == {"T": "float32", "N": "cols"}
    assert call.sizes == ({"rows": 4, "cols": 96}, {"rows": 7, "cols": 64})
    assert call.inputs["eps"] == 1e-5
    assert call.reference.splitlines()[:2] == ["a = x", "b = w"]
    with pytest.raises(UsageError, match="did you mean ownNorm"):
        named(found, Wishes("x", kernel="ownNrm"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "called no kernel"),
        ("\n1 / 0", "line 2: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
)
def test_a_script_that_fails_says_where(tmp_path: Path, text: str, words: str) -> None:
    script = tmp_path / "s.py"
    script.write_text(text)
    with pytest.raises(UsageError, match=words):
        record(script)


def test_calls_of_other_dimensions_than_the_first_are_left_out() -> None:
    calls = recorded([(8, 4)], (8, 4), (32, 1, 1)), recorded([(8,)], (8,), (8, 1, 1))
    call = named(Recording(calls, {}), Wishes("a"))
    assert call.sizes == ({"rows": 8, "cols": 4},)
    assert call.grid[0] == "rows * cols"


def test_a_script_whose_kernel_reads_strides_is_refused() -> None:
    one = recorded([(8,)], (8,), (8, 1, 1))
    strided = replace(one, kernel=replace(one.kernel, is_row_contiguous=False))
    with pytest.raises(UsageError, match="k is made with ensure_row_contiguous=False"):
        named(Recording((strided,), {}), Wishes("a"))


def test_a_lambda_is_no_reference() -> None:
    names = {"f": lambda a: a}
    with pytest.raises(UsageError, match="'f' is not made by a def"):
        named(Recording((recorded([(8,)], (8,), (8, 1, 1)),), names), Wishes("f"))


def test_an_axis_that_is_divided_by_is_never_0() -> None:
    inputs = {"x": {"shape": ["rows", "cols"]}, "scales": {"shape": ["rows", "cols // block"]}}
    outputs = {"out": {"shape": ["rows", "cols", "block"]}}
    sizes = {"rows": 4, "cols": 64, "block": 8}
    more = {"inputs": inputs, "outputs": outputs, "sizes": sizes, "reference": "x"}
    text = op_text(read_call({**CALL, **more}))
    assert "Axis('block', least=1)" in text
    assert "Axis('rows')" in text


def test_where_every_size_is_fixed_numbers_are_hidden_and_that_is_told(tmp_path: Path) -> None:
    assert not list(notes(read_call(CALL)))
    call = read_call({**CALL, "fixed": ["rows", "cols"]})
    assert [one.axes for one in hidden(call)] == [one.axes for one in shown(call)]
    assert not {one.params["eps"] for one in hidden(call)} & {
        one.params["eps"] for one in shown(call)
    }
    (tmp_path / "op.py").write_text(op_text(call))
    try:
        registry.load_file(tmp_path / "op.py")
    finally:
        registry.forget_file(tmp_path / "op.py")
    (said,) = notes(call)
    assert "every size is fixed" in said


@pytest.mark.parametrize("reference", ["mx.cumsum(x, axis=0)", "mx.fast.rms_norm(x, w, eps)"])
@pytest.mark.parametrize("cols", [50_000, 200_000])
def test_where_all_sizes_are_large_one_that_holds_something_is_hidden(
    reference: str, cols: int
) -> None:
    more = {"sizes": {"rows": 64, "cols": cols}, "fixed": ["cols"], "reference": reference}
    call = read_call({**CALL, **more})
    seen, unseen = ({one.axes["rows"] for one in cases(call)} for cases in (shown, hidden))
    assert seen
    assert unseen - {0}
    assert not seen & unseen


def test_calls_of_two_kernels_are_asked_about() -> None:
    one = recorded([(8,)], (8,), (8, 1, 1))
    renamed = replace(one, kernel=replace(one.kernel, name="other"))
    with pytest.raises(UsageError, match="calls k, other; choose one with --kernel"):
        named(Recording((one, renamed), {}), Wishes("a"))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    with workbench(f"sqlite:///{tmp_path / 'x.db'}", "cpu", 2, "quick") as bench:
        yield bench


@pytest.mark.slow
def test_an_agent_adopts_a_call_and_searches_it(tmp_path: Path, opened: Any) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    from mcp.client.client import Client

    from discover.mcp import server

    async def session() -> None:
        async with Client(server(opened, Workspace(tmp_path / "adopted"))) as client:

            async def call(name: str, **arguments: Any) -> Any:
                result = await client.call_tool(name, arguments)
                text = "".join(getattr(part, "text", "") for part in result.content)
                return text if result.is_error else json.loads(text)

            assert "'q' is no axis" in await call("adopt", call={**CALL, "fixed": ["q"]})
            made = await call("adopt", call=CALL)
            assert made["op"] == "my_norm"
            started = (await call("start", op="my_norm"))["searches"][0]
            assert started["start"]["status"] in (Status.CORRECT, Status.FASTER)
            ticket = await call("ask", op="my_norm")
            assert "simd_sum" in ticket["prompt"]
            better = kernel_text(read_call(CALL)).replace("precise::", "")
            told = await call("tell", ticket=ticket["ticket"], answer=f"```metal\n{better}```")
            assert told["kernels"][0]["status"] in (Status.CORRECT, Status.FASTER)
            ticket = await call("ask", op="my_norm")
            wrong = better.replace("/ N + eps", "/ N")
            told = await call("tell", ticket=ticket["ticket"], answer=f"```metal\n{wrong}```")
            assert told["kernels"][0]["status"] == Status.WRONG_RESULT
            assert "choose another name" in await call("adopt", call={**CALL, "threadgroup": [64]})
            assert (await call("adopt", call=CALL))["op"] == "my_norm"

    asyncio.run(session())


@pytest.mark.slow
def test_a_folder_of_an_adopted_call_needs_no_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "norm.py"
    script.write_text(SCRIPT)

    def run(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(application, list(arguments))
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return result

    asked = ("adopt", str(script), "-w", str(tmp_path / "w"), "--name", "own_norm")
    assert "--reference" in run(*asked, code=2).stderr
    document = json.loads(run(*asked, "--reference", "reference", "--json").stdout)
    monkeypatch.chdir(document["folder"])
    found = json.loads(
        run("search", "own_norm", "--device", "cpu", "--max-evaluations", "3", "--json").stdout
    )
    assert found["evaluations"] == 3
    assert found["statuses"].get("correct", 0) + found["statuses"].get("faster", 0) >= 1
