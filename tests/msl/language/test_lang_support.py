"""The support page: every name on it compiles, is tested, and the page is up to date."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msl_lang import build

from foundry.msl.support import AREAS, conformance_tests, render, snippet_table
from foundry.program import BuildFailure

ROOT = Path(__file__).parents[3]
KEYWORDS = {"as_type", "bool", "char", "short", "int", "long", "float"}
MEMBERS = {"thread_elements"}


def test_the_page_is_generated_from_the_tests() -> None:
    page = ROOT / "docs" / "metal-support.md"
    written = render(conformance_tests(ROOT), snippet_table(ROOT))
    assert page.read_text() == written, "run: python -m foundry.msl.support"


def test_a_name_without_a_test_is_an_error() -> None:
    with pytest.raises(ValueError, match="no conformance test uses 'bool'"):
        render({"empty.py": ""}, {})


def test_every_name_is_known_to_the_compiler() -> None:
    names = {n for area in AREAS.values() for n in area} - KEYWORDS - MEMBERS
    scopes = {"fast", "precise"}
    lines = [f"using ::{name};" for name in sorted(names - scopes)]
    lines += [f"namespace n_{name} = metal::{name};" for name in sorted(scopes)]
    header = "namespace names {\n" + "\n".join(lines) + "\n}\n"
    x = np.zeros(1, np.float32)
    built = build("out[0] = 1;", {"x": x}, {"out": ((1,), "float32")}, header=header)
    assert not isinstance(built, BuildFailure), built.log
