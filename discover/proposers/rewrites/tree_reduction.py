"""Reduce a threadgroup array in SIMD-groups instead of halving it step by step.

`for (uint s = N / 2; s > 0; s /= 2) { if (i < s) a[i] += a[i + s]; barrier }` takes log2(N)
barriers; SIMD-groups take two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import depth_at, edit_bodies, free_name, names
from foundry.kernel import Kernel
from ops.spec import Op

_BARRIER = r"threadgroup_barrier\s*\(\s*mem_flags::mem_threadgroup\s*\)\s*;"
_TREE = re.compile(
    r"for\s*\(\s*u?int\s+(?P<s>\w+)\s*=\s*(?P<half>\w+)(?:\s*/\s*2u?|\s*>>\s*1u?)?\s*;"
    r"\s*(?P=s)\s*>\s*0u?\s*;\s*(?P=s)\s*(?:/=\s*2u?|>>=\s*1u?)\s*\)\s*\{"
    r"\s*if\s*\(\s*(?P<i>\w+)\s*<\s*(?P=s)\s*\)\s*\{?\s*"
    r"(?P<a>\w+)\[(?P=i)\]\s*(?:\+=\s*(?P=a)\[(?P=i)\s*\+\s*(?P=s)\]"
    r"|=\s*(?P<f>max|min)\(\s*(?P=a)\[(?P=i)\]\s*,\s*(?P=a)\[(?P=i)\s*\+\s*(?P=s)\]\s*\))\s*;"
    rf"\s*\}}?\s*{_BARRIER}\s*\}}"
)
_WAIT = "threadgroup_barrier(mem_flags::mem_threadgroup);"
_SIZE = "threads_per_threadgroup"


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each such loop that all threads reach."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    if "return" in names(body):
        return
    for found in _TREE.finditer(body):
        if depth_at(body, found.start()):
            continue
        text = _in_groups(found["a"], found["i"], found["f"], names(body))
        label = f"{found['a']} reduced in SIMD-groups"
        yield label, body[: found.start()] + text + body[found.end() :]


def _in_groups(array: str, index: str, function: str | None, taken: set[str]) -> str:
    """The array's first element is its sum, maximum or minimum; all threads see it."""
    v, g = free_name("part", taken), free_name("group", taken)
    step = f"{function}({array}[0], {array}[{g}])" if function else f"{array}[0] + {array}[{g}]"
    return (
        f"{{\nconst auto {v} = simd_{function or 'sum'}({array}[{index}]);\n{_WAIT}\n"
        f"if (thread_index_in_simdgroup == 0) {{\n"
        f"{array}[simdgroup_index_in_threadgroup] = {v};\n}}\n{_WAIT}\n"
        f"if ({index} == 0) {{\n"
        f"for (uint {g} = 1; {g} < ({_SIZE}.x + 31u) / 32u; ++{g}) {{\n"
        f"{array}[0] = {step};\n}}\n}}\n{_WAIT}\n}}"
    )
