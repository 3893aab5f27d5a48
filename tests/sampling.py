"""Which ops a test of every op runs on in `make test`; the others are for `make test-slow`.

The first op of every family and form always runs. Of the others one in sixteen, by the hash of what
declares it: a change deals anew, so that over time all have their turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import pytest

import ops
from ops import Op
from templates import Template

_ONE_IN = 16


def op_params(found: Iterable[Op]) -> list[Any]:
    """Ops as parameters of a test, those out of turn marked as slow."""
    seen: set[object] = set()
    return [_param(op, op.name, _form(op), op, seen) for op in found]


def template_params(found: Iterable[Template]) -> list[Any]:
    """Templates as parameters of a test, those of ops out of turn marked as slow."""
    seen: set[object] = set()
    return [_param(t, t.name, t.source, ops.get(t.op), seen) for t in found]


def text_params(found: Iterable[Template]) -> list[Any]:
    """The same where all have texts of their own: one template of every form of op always runs."""
    seen: set[object] = set()
    ofs = [(t, ops.get(t.op)) for t in found]
    return [_param(t, t.name, _form(op), op, seen) for t, op in ofs]


def _param(value: object, name: str, kind: object, op: Op, seen: set[object]) -> Any:
    runs = kind not in seen or _in_turn(op)
    seen.add(kind)
    return pytest.param(value, id=name, marks=() if runs else pytest.mark.slow)


def _form(op: Op) -> tuple[str, str]:
    return op.family, str(op.metal.get("form", bool(op.metal)))


def _in_turn(op: Op) -> bool:
    said = (op.name, op.formula, op.flops, op.metal, op.baselines)
    return hashlib.sha256(repr(said).encode()).digest()[0] % _ONE_IN == 0
