"""WHAT to compute: ops, workloads, the registry. Knows nothing of Metal."""

from __future__ import annotations

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.masking import CAUSAL, EVERY_KEY, Mask, Score
from ops.declaring.mlx_formula import MlxFormula
from ops.families.attention.masked import masked_attention
from ops.families.forms.pointwise import binary, elementwise, gradient
from ops.families.places.gather import gather
from ops.families.pointwise.glu import glu
from ops.families.quantised.quantised import dequantised
from ops.families.rows.reductions import reduction
from ops.families.rows.scan import scan
from ops.matches import Close, Distribution, Exact, Set, Ties
from ops.parameters import Range
from ops.registry import all_ops, get, load_file
from ops.spec import Op
from ops.workload import Case, Tensor, Workload

__all__ = [
    "Axis",
    "Baseline",
    "CAUSAL",
    "Case",
    "Close",
    "Distribution",
    "EVERY_KEY",
    "Exact",
    "Mask",
    "Op",
    "Range",
    "MlxFormula",
    "Score",
    "Set",
    "Tensor",
    "Ties",
    "Workload",
    "all_ops",
    "axes",
    "binary",
    "dequantised",
    "elementwise",
    "gather",
    "get",
    "glu",
    "gradient",
    "load_file",
    "masked_attention",
    "reduction",
    "scan",
]
