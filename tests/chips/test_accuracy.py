"""The model against published times: it must not get worse, and its document must be current."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from foundry.chips import fitted
from foundry.chips.fitting.accuracy import Pair, pairs, predicted, rules_of_thumb, score, spearman
from foundry.chips.fitting.comparison import compare
from foundry.chips.fitting.fit import family_of
from foundry.chips.fitting.refit import APART, Data, data_of, refit
from foundry.chips.fitting.rows import PUBLISHED, Row, profiles, read_rows
from foundry.chips.fitting.tables import tables
from foundry.errors import UsageError
from foundry.msl.gpu.profile import GpuProfile

DOCUMENT = Path(__file__).parents[2] / "docs" / "chip-model.md"
BEGIN, END = "<!-- accuracy: begin -->\n", "<!-- accuracy: end -->"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_rows(PUBLISHED)


@pytest.fixture(scope="module")
def known(rows: list[Row]) -> dict[str, GpuProfile]:
    return profiles(rows, PUBLISHED)


def test_published_pairs_are_ranked_rightly_and_better_than_by_rules_of_thumb(
    rows: list[Row], known: dict[str, GpuProfile]
) -> None:
    families = fitted.built_in().families
    taken = list(pairs(rows))
    cost = predicted(known, lambda row: families[family_of(row)].constants)
    found = score(taken, cost, APART)
    assert found.share_answered >= 0.97
    assert found.share_right >= 0.99
    assert spearman(rows, cost) >= 0.95
    for rule in rules_of_thumb(known).values():
        assert score(taken, rule).share_right < found.share_right - 0.13


@pytest.mark.parametrize(
    ("slow", "fast", "where"),
    [
        ("gemv: steel GEMM", "gemv_wide", "m=2 n=2048 k=2048"),
        ("qmv simd_sum (before)", "qmv_quad quad_sum (after)", "k=128"),
        ("tiling BK=1, BN=16, 16x16 [Impl]", "tiling BK=4, BN=4, 16x16 [Impl]", "m=1024"),
        ("tiling BK=4, BN=16, 16x16 [Impl]", "tiling BK=4, BN=4, 16x16 [Impl]", "m=1024"),
        (
            "tg mem 16x16 unroll 4 [tgmem 32768 B allocated]",
            "tg mem 16x16 unroll 4 [tgmem sized to tile]",
            "m=4096",
        ),
        ("sgemm_2d_block_tiling", "sgemm_tiled_simd", "m=4096 n=4096 k=4096"),
        ("onepass16384 hot L2", "fourstep16384_b hot L2", "batch=4 "),
        ("fourstep16384_b hot DRAM", "onepass16384 hot DRAM", "batch=1024 "),
    ],
)
def test_known_reversals_come_out(
    rows: list[Row], known: dict[str, GpuProfile], slow: str, fast: str, where: str
) -> None:
    families = fitted.built_in().families
    cost = predicted(known, lambda row: families[family_of(row)].constants)
    here = [row for row in rows if where in row.axes]
    slower = [row for row in here if row.label == slow.removeprefix("gemv: ")]
    faster = [row for row in here if row.label == fast]
    assert slower
    for one, other in zip(slower, faster, strict=True):
        assert one.us > other.us
        assert cost(one) > cost(other)


@pytest.mark.slow
def test_the_document_and_the_fit_are_what_the_data_give() -> None:
    data = data_of(PUBLISHED)
    found = compare(data)
    about = fitted.built_in().about
    assert found.document()["ways"][0]["share_right"] == pytest.approx(about["right"], abs=5e-4)
    assert refit(PUBLISHED, data, str(about["date"])).about == about
    text = DOCUMENT.read_text()
    start, stop = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("FOUNDRY_ACCEPT"):
        DOCUMENT.write_text(f"{text[:start]}{tables(found)}\n{text[stop:]}")
    else:
        assert text[start:stop].strip() == tables(found).strip()


def test_no_multiplication_of_a_product_is_lost(
    rows: list[Row], known: dict[str, GpuProfile]
) -> None:
    """Blocks are counted by name: one that is taken for another loses what it does."""
    for row in rows:
        work = known[row.key].launches[0].work
        if row.op in {"matmul", "matmul_nn"} and "matrix" not in work:
            sizes = [int(word.partition("=")[2]) for word in row.axes.split()]
            assert 32 * work["fp32"] >= 0.99 * math.prod(sizes), row.key


def test_a_score_counts_answers_and_right_ones() -> None:
    def row(us: float, label: str) -> Row:
        return Row("op", "m1", None, "k", "", "n=1", "float32", us, "here", label)

    one, two, three = row(10, "a"), row(20, "b"), row(15, "c")
    assert [(p.slow.label, p.fast.label) for p in pairs([one, two, three])] == [("b", "a")]
    found = score(
        [Pair(two, one), Pair(one, three)], lambda r: {"a": 1, "b": 3, "c": 1.1}[r.label], 1.2
    )
    assert (found.pairs, found.answered, found.right) == (2, 1, 1)


def test_a_table_of_times_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    path.write_text("op,chip\nsoftmax,m1\n")
    with pytest.raises(UsageError, match="has no column"):
        read_rows(path)
    head = PUBLISHED.read_text().splitlines()[0]
    path.write_text(f"{head}\nsoftmax,m1,,k,,n=1,float32,-3,here,a\n")
    with pytest.raises(UsageError, match="above 0"):
        read_rows(path)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A data set of one row."""
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "plain.metal").write_text(
        '/*kernel\nop = "exp"\ngrid = ["rows * cols", 1, 1]\nthreadgroup = ["SIDE", 1, 1]\n'
        "[constants]\nSIDE = 32\n*/\n// --- body ---\n"
        "const uint i = thread_position_in_grid.x; out[i] = T(metal::exp(float(x[i])));\n"
    )
    return written(tmp_path / "times.csv")


def written(path: Path, **changed: str) -> Path:
    names = PUBLISHED.read_text().splitlines()[0].split(",")
    given = {"op": "exp", "chip": "m1", "kernel": "plain", "constants": "SIDE=64"} | {
        "axes": "rows=4 cols=64", "dtype": "float32", "us": "3", "source": "here", "label": "a",
    } | changed  # fmt: skip
    path.write_text(f"{','.join(names)}\n{','.join(given.get(name, '') for name in names)}\n")
    return path


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"us": "inf"}, "above 0"),
        ({"axes": "rows=4 cols"}, "axes are like"),
        ({"axes": "rows=4,cols=64"}, "more fields than columns"),
        ({"axes": "rows=4"}, "cols"),
        ({"axes": "rows=4 columns=64"}, "columns"),
        ({"dtype": "float31"}, "float31"),
        ({"op": "expp"}, "expp"),
        ({"kernel": "none"}, "no kernel"),
        ({"constants": "SIDE=x"}, "constants are like"),
        ({"constants": "SIZE=64"}, "SIZE"),
        ({"chip": "m4-mx"}, "m4-max"),
        ({"chip": "m5-max"}, "clock or bandwidth"),
    ],
)
def test_a_row_that_is_no_good_is_named_by_its_line(
    small: Path, changed: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        use(written(small, **changed))
    assert f"{small}:2: " in str(caught.value)


def use(path: Path) -> None:
    """Read a data set of one row, then its chip and its kernel."""
    (row,) = read_rows(path)
    assert row.speeds
    profiles([row], path)


def test_a_short_row_names_the_field_that_it_lacks(small: Path) -> None:
    small.write_text(small.read_text().replace(",here,a", ""))
    with pytest.raises(UsageError, match=r"times\.csv:2: there is no field for 'source'"):
        read_rows(small)


@pytest.mark.slow
def test_a_changed_kernel_is_profiled_anew(small: Path) -> None:
    rows, kernel = read_rows(small), small.parent / "exp" / "plain.metal"
    (before,) = profiles(rows, small).values()
    kernel.write_text(kernel.read_text().replace("metal::exp(", "2 * metal::exp("))
    (after,) = profiles(rows, small).values()
    assert after.launches[0].work != before.launches[0].work
    assert len(json.loads((small.parent / "profiles.json").read_text())) == 1


def test_a_comparison_is_told_as_figures(rows: list[Row], known: dict[str, GpuProfile]) -> None:
    taken = [row for row in rows if row.op == "qmm_4bit"]
    data = Data(taken, known, list(pairs(taken)), lambda row: row.us)
    document = compare(data).document()
    assert document["pairs"] == len(data.pairs) > 0
    assert document["ways"][0]["share_right"] == 1
    assert sum(part["pairs"] for part in document["by_op"]) == len(data.pairs)
    assert sum(part["answered"] for part in document["by_ratio"]) == len(data.pairs)
    assert document["wrong"] == []
    reverse = compare(replace(data, left_out=lambda row: 1 / row.us)).document()
    assert sum(one["pairs"] for one in reverse["wrong"]) == len(data.pairs)
