"""The patterns, one a file, in the order in which a class of layers is offered to them."""

from __future__ import annotations

from ..pattern import ModelPattern
from . import (
    attention,
    combine,
    experts,
    glu,
    norms,
    quantised,
    residual_norm,
    rope,
    routing,
    softmax,
)

PATTERNS: tuple[ModelPattern, ...] = (
    norms.PATTERN,
    glu.PATTERN,
    rope.PATTERN,
    softmax.PATTERN,
    residual_norm.PATTERN,
    attention.PATTERN,
    routing.PATTERN,
    combine.PATTERN,
    experts.PATTERN,
    quantised.PATTERN,
)
