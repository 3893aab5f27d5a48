"""Fills: what values an input of an op holds.

One rule a file. A fill of your own has the four methods of `base.Fill`, and nothing registers it:
an op names it as `Tensor(..., fill=...)`.
"""

from __future__ import annotations

from ops.fills.around import Padded, Sorted
from ops.fills.base import Fill
from ops.fills.custom import Custom
from ops.fills.indices import Distinct, Index, Permutation
from ops.fills.log_sums import LogSums
from ops.fills.positive import Positive
from ops.fills.real import Real
from ops.fills.simplex import Simplex
from ops.fills.spans import Offsets, Segments
from ops.fills.whole import Bits, Bool, Int

__all__ = [
    "Bits",
    "Bool",
    "Custom",
    "Distinct",
    "Fill",
    "Index",
    "Int",
    "LogSums",
    "Offsets",
    "Padded",
    "Permutation",
    "Positive",
    "Real",
    "Segments",
    "Simplex",
    "Sorted",
    "default",
]


def default(dtype: str) -> Fill:
    """What fills a tensor of this dtype whose op says nothing: every value there is."""
    if dtype == "bool_":
        return Bool()
    return Int() if "int" in dtype else Real()
