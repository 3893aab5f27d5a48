"""The kernel file: round trip, binding, and every way of being invalid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry.errors import InvalidKernel
from foundry.kernel import Kernel, KernelLaunch, Temporary, parse, render

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
SIZES = st.one_of(
    st.integers(0, 4096),
    st.sampled_from(["rows * 32", "ceildiv(cols, 4)", "max(rows, 2) % 7 + 1", "-rows + 9 // 2"]),
)
TRIPLES = st.tuples(SIZES, SIZES, SIZES)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1
).filter(lambda t: t.strip() and t == t.strip("\n").rstrip() and "/*kernel" not in t)


@st.composite
def kernels(draw: st.DrawFn) -> Kernel:
    many = draw(st.booleans())
    names = st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple)
    launch = st.builds(
        KernelLaunch,
        body=TEXTS.filter(lambda t: "// --- body ---" not in t),
        grid=TRIPLES,
        threadgroup=TRIPLES,
        constants=st.dictionaries(NAMES, st.one_of(st.booleans(), SIZES), max_size=3).map(
            lambda d: tuple(d.items())
        ),
        inputs=names if many else st.one_of(st.none(), names),
        outputs=names if many else st.one_of(st.none(), names),
        math_mode=st.sampled_from(["safe", "relaxed", "fast"]),
        init_value=st.one_of(st.none(), st.floats(allow_nan=False)),
        atomic_outputs=st.booleans(),
    )
    launches = tuple(draw(st.lists(launch, min_size=2 if many else 1, max_size=3 if many else 1)))
    header = draw(
        st.one_of(st.just(""), TEXTS.filter(lambda t: "// --- body ---" not in t and "*/" not in t))
    )
    temporaries = draw(
        st.lists(
            st.builds(Temporary, NAMES, st.tuples(SIZES, SIZES), st.sampled_from(["T", "float32"])),
            max_size=2,
            unique_by=lambda t: t.name,
        )
    )
    return Kernel(draw(NAMES), launches, header, tuple(temporaries))


@given(kernels())
def test_parse_inverts_render(kernel: Kernel) -> None:
    assert parse(render(kernel)) == kernel
    assert parse(render(kernel)).hash == kernel.hash


GOOD = """/*kernel
op = "softmax"
grid = ["rows * 32", 1, 1]
threadgroup = [32, 1, 1]
[constants]
N = "cols"
*/
// --- body ---
uint row = 0;
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("grid =", "gird =", 3, "did you mean grid"),
        ('"rows * 32"', '"rows ** 32"', 3, "not plain arithmetic"),
        ('"rows * 32"', "\"__import__('os')\"", 3, "not plain arithmetic"),
        ('"rows * 32"', "1.5", 3, "neither an integer"),
        ('N = "cols"', "N = 0.5", 6, "neither an integer"),
        ("uint row = 0;", "", 8, "body is empty"),
        ("// --- body ---", "", 1, "no '// --- body ---' line"),
        ("/*kernel", "/* kernel", 1, "no '/*kernel' line"),
        ("*/", "", 1, "not closed"),
        ('op = "softmax"', "op = softmax", 2, "not TOML"),
        ('op = "softmax"', "", 1, "names its op"),
        ("threadgroup = [32, 1, 1]", 'math_mode = "quick"\nthreadgroup = [1]', 4, "math_mode is"),
    ],
)
def test_a_broken_file_names_line_and_reason(old: str, new: str, line: int, reason: str) -> None:
    with pytest.raises(InvalidKernel) as caught:
        parse(GOOD.replace(old, new))
    assert reason in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "line",
    [
        f"init_value = {'9' * 500}",
        f"init_value = 0x{'f' * 3_900}",
        f"grid = [{'9' * 3_900}, 1, 1]",
        f"temporaries = {'[' * 3_000}",
        f"constants{'.a' * 1_500} = 1",
        f"constants = {{ N = [0x{'f' * 3_800}] }}",
        "x" * 5_000,
    ],
)
def test_what_no_number_or_table_can_be_is_refused_as_any_fault_is(line: str) -> None:
    key = line.partition(" ")[0]
    kept = "\n".join(one for one in GOOD.split("\n") if not one.startswith(key))
    with pytest.raises(InvalidKernel, match="the comment"):
        parse(kept.replace('op = "softmax"', f'op = "softmax"\n{line}'))


def test_stages_name_inputs_and_outputs() -> None:
    second = "/*kernel\ngrid = [1]\nthreadgroup = [1]\n*/\n// --- body ---\nreturn;\n"
    with pytest.raises(InvalidKernel, match="names its inputs and outputs"):
        parse(GOOD + second)


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"\xff", "byte 0xff"), ("\ud800".encode(errors="surrogatepass"), "byte 0xed")],
)
def test_bytes_that_are_no_text_are_named_with_their_line(raw: bytes, said: str) -> None:
    text = (b'/*kernel\nop = "silu"\n// ' + raw).decode(errors="surrogateescape")
    with pytest.raises(InvalidKernel, match=f"not UTF-8: {said}") as caught:
        parse(text)
    assert caught.value.line == 3
