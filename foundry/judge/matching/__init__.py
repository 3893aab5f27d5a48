"""What an output should be, one kind for each match of `ops.matches`, which knows how to compare.

`Within` for `Close`, `Equal` for `Exact`, `Tied` for `Ties`, `Unordered` for `Set` and `Sampled`
for `Distribution`.
"""

from __future__ import annotations

from foundry.judge.matching.difference import Difference, Expected
from foundry.judge.matching.equal import Equal
from foundry.judge.matching.sampled import Sampled
from foundry.judge.matching.tied import Tied
from foundry.judge.matching.unordered import Unordered
from foundry.judge.matching.within import Within

__all__ = ["Difference", "Equal", "Expected", "Sampled", "Tied", "Unordered", "Within"]
