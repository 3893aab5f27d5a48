"""What a Mac takes the plain names of functions for decides no kernel of a template."""

from __future__ import annotations

import re

import pytest

from ops.texts.metal import with_precise_calls
from templates import all_templates, default, render

PLAIN = re.compile(r"(?<![\w:.])(exp|exp2|log|log2|sin|cos|tanh|pow)\s*\(")


def test_no_template_leaves_a_function_to_the_compilers_options() -> None:
    for template in all_templates().values():
        lines = render(template, default(template)).split("\n")
        code = [line.partition("//")[0] for line in lines]
        assert not [line for line in code if PLAIN.search(line)], template.name


@pytest.mark.parametrize(
    ("text", "precise"),
    [
        ("out = exp(x);", "out = precise::exp(x);"),
        ("fast::exp(x) + precise::log(x)", "fast::exp(x) + precise::log(x)"),
        ("metal::tanh(x)", "metal::tanh(x)"),
        ("my_exp(x) + expanded(x) + exp_of(x)", "my_exp(x) + expanded(x) + exp_of(x)"),
        ("x.sin(y)", "x.sin(y)"),
        ("pow (a, exp2(b)) // pow(a, b)", "precise::pow (a, precise::exp2(b)) // pow(a, b)"),
    ],
)
def test_calls_of_plain_names_become_precise(text: str, precise: str) -> None:
    assert with_precise_calls(text) == precise
    assert with_precise_calls(precise) == precise
