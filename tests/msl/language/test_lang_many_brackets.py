"""The front end takes time in proportion to a text, whatever one statement of it holds."""

from __future__ import annotations

import time

import pytest

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.refusals import methods
from foundry.msl.frontend.tokens import tokenize


@pytest.mark.parametrize("piece", ["if(1)", "f(1)", "a[0]", "(x)", "if(1);else "])
def test_methods_are_looked_for_once(piece: str) -> None:
    """30,000 took minutes: each bracket looked through all of the statement before it."""
    code = Code(list(tokenize("void g() { " + piece * 30_000 + "; }")))
    begun = time.process_time()
    assert not list(methods._walk(code))
    assert time.process_time() - begun < 5.0
