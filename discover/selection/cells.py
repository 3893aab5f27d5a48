"""What kind of kernel a text is: how it reads memory, computes, and shares out the work. Pure.

Three coarse steps each, read off the names a kernel uses. Kernels of one cell compete; those of
different cells are different ideas.
"""

from __future__ import annotations

import re

from foundry.kernel import Kernel

Cell = tuple[int, int, int]
"""Memory, compute, parallelism."""

_VECTOR = re.compile(r"\b(?:packed_)?(?:float|half|bfloat|uint|int|char|uchar)[234]\b|\bvec<")
_STAGED = re.compile(r"\bthreadgroup\s+(?!_)\w")
_UNROLLED = re.compile(r"#pragma\s+unroll|\bfma\s*\(|\bfast::")
_MATRIX = re.compile(r"\bsimdgroup_(?:matrix|multiply|float8x8|half8x8|load)")
_SIMD = re.compile(r"\bsimd_(?:sum|max|min|product|shuffle|prefix|broadcast)")
_LOOP = re.compile(r"\bfor\s*\(")
_GROUP = re.compile(r"\bthreadgroup_barrier\b")


def cell_of(kernel: Kernel) -> Cell:
    """The cell of a kernel.

    * memory: 0 plain, 1 vectors, 2 threadgroup memory, 3 both
    * compute: 0 plain, 1 unrolled or fused, 2 matrices of a SIMD-group
    * parallelism: 0 a thread an element, 1 a thread several, 2 a SIMD-group, 3 a threadgroup,
      4 several launches
    """
    text = "\n".join([kernel.header, *(launch.body for launch in kernel.launches)])
    memory = bool(_VECTOR.search(text)) + 2 * bool(_STAGED.search(text))
    compute = 2 if _MATRIX.search(text) else int(bool(_UNROLLED.search(text)))
    return memory, compute, _parallelism(kernel, text)


def _parallelism(kernel: Kernel, text: str) -> int:
    if len(kernel.launches) > 1:
        return 4
    steps = ((_GROUP, 3), (_SIMD, 2), (_LOOP, 1))
    return next((step for pattern, step in steps if pattern.search(text)), 0)
