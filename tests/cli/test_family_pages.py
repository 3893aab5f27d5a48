"""What the pages of families say of an op is so."""

from __future__ import annotations

import pytest

from foundry.report.family_pages import pages

PAGES = pages()


def section(page: str, op: str) -> str:
    text = PAGES[f"{page}.md"]
    start = text.index(f"\n## {op}\n") + 1
    return text[start : text.find("\n## ", start)]


def test_values_of_a_mask_bound_the_work_where_they_say_what_is_seen() -> None:
    assert "| what the mask holds |" in section("attention", "attention_document")
    assert "| what the mask holds |" not in section("attention", "attention_neighbourhood_2d")
    # 512 queries see 25 places each; 16 heads of 128 elements, 4 FLOPs a pair and element.
    assert "| 105 | " in section("attention", "attention_neighbourhood_2d")


@pytest.mark.parametrize(
    ("page", "op"),
    [("moe", "moe_pack"), ("quantised", "pack_bits"), ("attention", "block_mask_document")],
)
def test_whole_numbers_have_neither_element_types_nor_errors(page: str, op: str) -> None:
    assert "- Dtypes:" not in section(page, op)
    assert "- Error model: none, nothing may differ" in section(page, op)


def test_a_copy_has_element_types_and_no_errors() -> None:
    assert "- Dtypes: float32" in section("gather", "gather_rows")
    assert "- Error model: none" in section("gather", "gather_rows")
    assert "- Error model: sums in float32" in section("gemm", "matmul")
