from __future__ import annotations

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry.prompts.answer import Extracted, Malformed, extract, extract_all
from ops.axis import axes
from ops.spec import Op
from ops.workload import Case, Tensor

OP = Op(
    name="twice",
    family="test",
    formula="out = 2 x",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")),),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=lambda inputs, workload: (2 * inputs["x"],),
    baselines={},
    flops="rows * cols",
    visible=(Case({"rows": 2, "cols": 3}),),
    hidden=(),
    bench=(),
)


def kernel(body: str = "out[0] = x[0] * 2;", op: str = "twice", grid: str = '["rows*cols"]') -> str:
    return f"""/*kernel
op = "{op}"
grid = {grid}
threadgroup = [32, 1, 1]
*/
// --- body ---
{body}
"""


GOOD = kernel()
OTHER = kernel("out[0] = x[0] + x[0];")
STAGED = (
    """/*kernel
op = "twice"
inputs = ["x"]
outputs = ["part"]
grid = ["rows"]
threadgroup = [1]
[temporaries.part]
shape = ["rows"]
*/
// --- body ---
part[0] = x[0];
""",
    """/*kernel
inputs = ["part"]
outputs = ["out"]
grid = ["rows"]
threadgroup = [1]
*/
// --- body ---
out[0] = part[0];
""",
)


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"```metal\n{GOOD}```",
        f"```\n{GOOD}\n```\n",
        f"~~~c++\n{GOOD}~~~",
        f"Here is a faster kernel.\n\n```metal\n{GOOD}```\n\nIt halves the loads.",
        f"Here it is:\n{GOOD}",
        f"\ufeff{GOOD}",
        GOOD.replace("\n", "\r\n"),
        f"  ```metal\n{GOOD}  ```",
        f"```metal\n{GOOD}",  # the reply ends before the fence is closed
        f"````\n{GOOD}````",
        f"The parent:\n```metal\n{OTHER}```\nBetter:\n```metal\n{GOOD}```",
        f"```python\nprint('/*kernel')\n```\n```metal\n{GOOD}```",
        f"```metal\n{GOOD}```\nA sketch, unfinished:\n```metal\n/*kernel\nop = \n```",
        f"```metal\n// twice.metal\n{GOOD}```",
        f"{GOOD}\n```\nshape notes\n```",
        f"{GOOD}\nThis kernel is faster.\n\nIt reads every element once.",
    ],
)
def test_the_kernel_is_found(reply: str) -> None:
    found = extract(reply, OP)
    assert isinstance(found, Extracted), found
    assert found.kernel.launches[0].body == "out[0] = x[0] * 2;"


@pytest.mark.parametrize(
    "reply",
    [
        "".join(STAGED),
        f"```metal\n{STAGED[0]}```\nthen\n```metal\n{STAGED[1]}```",
        f"```metal\n{STAGED[0]}\n{STAGED[1]}```",
    ],
)
def test_stages_in_one_or_two_fences_are_one_kernel(reply: str) -> None:
    found = extract(reply, OP)
    assert isinstance(found, Extracted), found
    assert len(found.kernel.launches) == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "the reply is empty"),
        ("  \n ", "the reply is empty"),
        ("I cannot help with that.", "the reply holds no kernel file"),
        ("```metal\nkernel void f() {}\n```", "the reply holds no kernel file"),
        ("```json\n{}\n```", "the reply holds no kernel file"),
        (kernel(op="softmax"), "a kernel of op 'softmax'; 'twice' was asked for"),
        (kernel(grid='["rows * colz"]'), "unknown axis or constant 'colz': did you mean cols?"),
        (kernel(grid='["__import__(1)"]'), "grid: unknown function"),
        (kernel(body=""), "the body is empty"),
        ('/*kernel\nop = "twice"\n', "the '/*kernel' comment is not closed"),
        (GOOD.replace("// --- body ---\n", ""), "no '// --- body ---' line"),
        (GOOD + "\0", "NUL"),
        ("x" * 500_000, "the reply has 500000 characters"),
    ],
)
def test_a_malformed_reply_says_why(reply: str, reason: str) -> None:
    found = extract(reply, OP)
    assert isinstance(found, Malformed)
    assert reason in found.reason


def test_the_line_of_a_fault_counts_inside_the_kernel_file() -> None:
    found = extract(f"Sure.\n\n```metal\n{kernel(grid='[0.5]')}```", OP)
    assert isinstance(found, Malformed)
    assert found.line == 3
    assert found.text.startswith("/*kernel")


@given(st.text(max_size=400), st.text(max_size=400), st.sampled_from(["metal", "", "cpp"]))
def test_no_reply_raises(before: str, after: str, tag: str) -> None:
    for reply in (before + after, f"{before}\n```{tag}\n{GOOD}```\n{after}", before + GOOD + after):
        assert isinstance(extract(reply, OP), Extracted | Malformed)


@pytest.mark.parametrize(
    "reply",
    [
        "~" * 400_000,
        kernel() + "~" * 300_000,
        kernel().replace("*/", "# " + "a." * 100_000 + "\n*/"),
        "".join(
            f"```\n{kernel().replace('*/', 'a.' * 1_900 + 'a = 1')}\n*/\n```\n" for _ in "1234"
        ),
        kernel() * 3_000,
    ],
    ids=["tildes", "tildes after a kernel", "a long comment", "keys of many dots", "many blocks"],
)
def test_no_reply_takes_the_square_of_its_length(reply: str) -> None:
    start = time.thread_time()
    extract(reply, OP)
    extract_all(reply, OP)
    assert time.thread_time() - start < 1.0


def test_the_op_decides_not_the_reply() -> None:
    renamed = dataclasses.replace(OP, name="thrice")
    assert isinstance(extract(GOOD, renamed), Malformed)
