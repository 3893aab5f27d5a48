"""WHAT to compute: ops, workloads, the registry. Knows nothing of Metal."""

from __future__ import annotations

from ops.axis import Axis, axes
from ops.matches import Close, Distribution, Exact, Set, Ties
from ops.parameters import Range
from ops.registry import all_ops, get, load_file
from ops.spec import Case, Op, Tensor, Workload

__all__ = [
    "Axis",
    "Case",
    "Close",
    "Distribution",
    "Exact",
    "Op",
    "Range",
    "Set",
    "Tensor",
    "Ties",
    "Workload",
    "all_ops",
    "axes",
    "get",
    "load_file",
]
