"""Reduce over a whole threadgroup instead of one SIMD-group: more threads for each row.

It takes a launch whose threadgroups are one SIMD-group wide and whose lanes meet in sums, maxima
and minima alone, each of them reached by all threads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.sizes import swap
from discover.proposers.rewrites.source import (
    Piece,
    closing,
    depth_at,
    free_name,
    names,
    pieces,
    plain,
    rename,
    taken_names,
)
from discover.proposers.rewrites.threads import numbers
from foundry.kernel import Kernel, KernelLaunch
from ops.spec import Op

WIDTHS = (64, 128, 256)
_LANES = 32
_STEP = {"simd_sum": "v + other", "simd_max": "max(v, other)", "simd_min": "min(v, other)"}
_ALLOWED = {*_STEP, "thread_index_in_simdgroup", "thread_position_in_grid"}
_TIED = ("simd", "quad", "thread", "barrier", "atomic")
_HELPER = """inline float {name}(float v, threadgroup float* shared, uint at, uint groups) {{
  v = {simd}(v);
  if (at % 32u == 0) {{
    shared[at / 32u] = v;
  }}
  threadgroup_barrier(mem_flags::mem_threadgroup);
  v = shared[0];
  for (uint i = 1; i < groups; ++i) {{
    const float other = shared[i];
    v = {step};
  }}
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return v;
}}"""


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each launch that reduces in SIMD-groups, by each width of the threadgroup."""
    for index, launch in enumerate(kernel.launches):
        if _reduces(launch):
            for width in WIDTHS:
                changed = _wide(kernel, index, width)
                yield Variant(f"reduce over {width} threads instead of {_LANES}", changed)


def _reduces(launch: KernelLaunch) -> bool:
    used = names(launch.body)
    tied = {name for name in used if any(part in name for part in _TIED)}
    if launch.threadgroup[0] != _LANES or "return" in used or not used & set(_STEP):
        return False
    body = plain(launch.body)
    tokens = pieces(body)
    places = [index for index, piece in enumerate(tokens) if piece.text in _STEP]
    return tied <= _ALLOWED and all(
        not depth_at(body, tokens[index].at) and _is_call(tokens, index) for index in places
    )


def _is_call(tokens: Sequence[Piece], index: int) -> bool:
    """Whether arguments stand behind a name; not in `simd_sum<float>(x)`, nor by macros."""
    behind = [piece.text for piece in tokens[index + 1 : index + 2]]
    return behind == ["("] and closing(tokens, index + 1) is not None


def _wide(kernel: Kernel, index: int, width: int) -> Kernel:
    launch = kernel.launches[index]
    taken = taken_names(kernel, launch)
    helpers = {simd: free_name(f"group_{simd[5:]}", taken) for simd in _STEP}
    shared = free_name("shared", taken)
    used = names(launch.body)
    body = rename(plain(launch.body), {"thread_index_in_simdgroup": "thread_index_in_threadgroup"})
    more = f"{shared}, thread_index_in_threadgroup, {width // _LANES}u"
    body = _called(numbers(body, _LANES, width), helpers, more)
    header = "\n".join(
        _HELPER.format(name=name, simd=simd, step=_STEP[simd])
        for simd, name in helpers.items()
        if simd in used
    )
    changed = dataclasses.replace(
        launch,
        grid=swap(launch.grid, _LANES, width),
        threadgroup=(width, 1, 1),
        body=f"threadgroup float {shared}[{width // _LANES}];\n{body}",
        lines={},
    )
    launches = (*kernel.launches[:index], changed, *kernel.launches[index + 1 :])
    whole = f"{kernel.header}\n{header}" if kernel.header else header
    return dataclasses.replace(kernel, header=whole, launches=launches)


def _called(body: str, helpers: dict[str, str], arguments: str) -> str:
    """Calls of SIMD-group reductions as calls of the helpers, with arguments added."""
    tokens = pieces(body)
    edits: list[tuple[int, int, str]] = []
    for index, piece in enumerate(tokens):
        if piece.text not in helpers:
            continue
        close = closing(tokens, index + 1)
        assert close is not None, "as `_reduces` found"
        edits += [(piece.at, piece.end, helpers[piece.text])]
        edits += [(tokens[close].at, tokens[close].at, f", {arguments}")]
    for start, end, new in sorted(edits, reverse=True):
        body = body[:start] + new + body[end:]
    return body
