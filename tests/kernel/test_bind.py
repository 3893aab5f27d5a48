"""Binding a kernel to a workload resolves every size, and says what cannot be."""

from __future__ import annotations

import dataclasses

import pytest

from foundry.errors import InvalidKernel
from foundry.kernel import Kernel, KernelLaunch, Temporary, bind, check, parse
from ops import Case, get

SPLIT = """/*kernel
op = "softmax"
inputs = ["x"]
outputs = ["partial"]
grid = ["rows * 32", "ceildiv(cols, CHUNK)", 1]
threadgroup = [32, 1, 1]
[temporaries.partial]
shape = ["rows", "ceildiv(cols, 1024)"]
dtype = "float32"
[constants]
CHUNK = 1024
FAST = true
*/
inline float twice(float v) { return 2 * v; }
// --- body ---
partial[0] = 0;
/*kernel
inputs = ["x", "partial"]
outputs = ["out"]
grid = ["rows", 1, 1]
threadgroup = ["min(rows, 1024)", 1, 1]
*/
// --- body ---
out[0] = 0;
"""


def test_stages_share_helpers_and_temporaries() -> None:
    op = get("softmax")
    workload = op.workload(Case({"rows": 7, "cols": 2049}), "bfloat16")
    program = bind(parse(SPLIT), op, workload)
    first, second = program.launches
    assert [spec.name for spec in program.inputs] == ["x"]
    assert program.outputs == ("out",)
    assert first.grid == (224, 3, 1)
    assert first.template == (("T", "bfloat16"), ("CHUNK", 1024), ("FAST", True))
    assert (first.outputs[0].shape, first.outputs[0].dtype) == ((7, 3), "float32")
    assert (second.outputs[0].shape, second.outputs[0].dtype) == ((7, 2049), "bfloat16")
    assert second.threadgroup == (7, 1, 1)
    assert first.header == second.header != ""


def test_where_every_output_is_empty_there_is_no_thread_and_no_size_to_get_wrong() -> None:
    op = get("softmax")
    grid, threadgroup = ("rows * (1024 // cols)", 1, 1), ("min(cols, 1024)", 1, 1)
    kernel = Kernel("softmax", (KernelLaunch("out[0] = 1;", grid, threadgroup),))
    for sizes in ({"rows": 3, "cols": 0}, {"rows": 0, "cols": 5}):
        (launch,) = bind(kernel, op, op.workload(Case(sizes), "float32")).launches
        assert launch.grid == (0, 0, 0)


def test_a_sum_over_nothing_is_still_the_kernels_work() -> None:
    op = get("matmul")
    kernel = Kernel("matmul", (KernelLaunch("out[0] = 0;", ("m * n", 1, 1), (1, 1, 1)),))
    (launch,) = bind(kernel, op, op.workload(Case({"m": 3, "n": 4, "k": 0}), "float32")).launches
    assert launch.grid == (12, 1, 1)


def test_a_last_helper_line_cannot_swallow_the_signature() -> None:
    op = get("softmax")
    workload = op.workload(Case({"rows": 1, "cols": 1}), "float32")
    launch = KernelLaunch("out[0] = 1;", (1, 1, 1), (1, 1, 1))
    assert (
        bind(Kernel("softmax", (launch,), "// why"), op, workload).launches[0].header == "// why\n"
    )
    assert bind(Kernel("softmax", (launch,)), op, workload).launches[0].header == ""


def test_parameters_arrive_as_inputs_of_their_name() -> None:
    op = get("rms_norm")
    kernel = Kernel("rms_norm", (KernelLaunch("out[0] = eps;", ("rows", 1, 1), (1, 1, 1)),))
    program = bind(kernel, op, op.workload(Case({"rows": 1, "cols": 1}), "float16"))
    eps = program.inputs[-1]
    assert (eps.name, eps.shape, eps.dtype) == ("eps", (), "float32")
    assert program.launches[0].inputs == ("x", "weight", "eps")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"grid": ("row", 1, 1)}, "did you mean rows"),
        ({"grid": ("rows // (cols - cols)", 1, 1)}, "divides by zero"),
        ({"grid": ("rows - 100", 1, 1)}, "between 0 and"),
        ({"threadgroup": (1025, 1, 1)}, "1 to 1,024"),
        ({"threadgroup": (0, 1, 1)}, "1 to 1,024"),
        ({"constants": (("rows", 1),)}, "taken already"),
        ({"constants": (("T", 1),)}, "taken already"),
        ({"constants": (("N", 2**31),)}, "32 bits"),
        ({"inputs": ("y",), "outputs": ("out",)}, "unknown input 'y'"),
        ({"inputs": ("x",), "outputs": ("result",)}, "unknown output 'result'"),
    ],
)
def test_what_cannot_be_bound_says_why(change: dict[str, object], reason: str) -> None:
    op = get("softmax")
    launch = dataclasses.replace(KernelLaunch("out[0] = 0;", ("rows", 1, 1), (1, 1, 1)), **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidKernel, match=reason.replace("(", r"\(")):
        bind(Kernel("softmax", (launch,)), op, op.workload(Case({"rows": 3, "cols": 5}), "float32"))


def test_an_output_nobody_writes_and_a_name_taken_twice() -> None:
    op = get("topk")
    workload = op.workload(Case({"rows": 3, "cols": 5, "k": 2}), "float32")
    launch = KernelLaunch(
        "values[0] = 0;", (1, 1, 1), (1, 1, 1), inputs=("x",), outputs=("values",)
    )
    with pytest.raises(InvalidKernel, match="no launch writes the output 'indices'"):
        bind(Kernel("topk", (launch,)), op, workload)
    with pytest.raises(InvalidKernel, match="name of a tensor"):
        bind(Kernel("topk", (launch,), "", (Temporary("x", (1,)),)), op, workload)


def test_a_constant_in_the_shape_of_a_temporary_is_told_as_what_it_is() -> None:
    text = SPLIT.replace('"ceildiv(cols, 1024)"]', '"ceildiv(cols, CHUNK)"]')
    with pytest.raises(InvalidKernel, match="'CHUNK' .* constant of a launch.* write 1024"):
        check(parse(text), get("softmax"))
