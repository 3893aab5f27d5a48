"""Metal text with knobs: templates, the points of their spaces, and rendering."""

from __future__ import annotations

from templates.registry import Template, Value, all_templates, for_op, get, load_folder
from templates.render import render
from templates.space import Point, coverage, default, neighbours, points, sample

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
    "points",
    "render",
    "sample",
]
