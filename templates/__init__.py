"""Metal text with knobs: templates, the points of their spaces, and rendering."""

from __future__ import annotations

from templates.registry import all_templates, for_op, get, load_folder, one_of_each_text
from templates.render import render
from templates.space import Point, coverage, default, neighbours, points, sample
from templates.template import Template, Value

__all__ = [
    "Point",
    "Template",
    "Value",
    "all_templates",
    "coverage",
    "default",
    "for_op",
    "get",
    "load_folder",
    "neighbours",
    "one_of_each_text",
    "points",
    "render",
    "sample",
]
