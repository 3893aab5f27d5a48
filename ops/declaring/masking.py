"""Masks and score modifiers: what makes one attention another.

Both speak of `q`, the place of the query among the keys, and `k`, the place of a key. The last
query stands at the last key: query i of `q_len` is at place i + kv_len - q_len. Where there are
more queries than keys, the first ones stand before the first key, at places below 0.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ops.declaring.cases import Values
from ops.errors import UsageError
from ops.texts.metal import as_mlx
from ops.texts.mlx import names_in
from ops.workload import Tensor

TAKEN = frozenset(
    re.findall(
        r"\w+",
        """
    after asked at batch begin block_keys change changed column columns count each element end
    first first_key first_key_of first_query found given head heads held higher i is_seen j k key
    key_sums keys kv_head kv_heads kv_len lane lean logarithm lower lowest mean own pair part peak
    place q q_len query r repeats row rows s scale score seen share shrink slope_of start state
    peaks sink states sum sums tall total totals until_key upper v value_sums values weight weights
    wide
    """,
    )
)
"""Names that the templates of attention use themselves."""
_PAIRED = "min(q_len, kv_len)"
"""Queries at the place of a key; those before the first key see none under a causal mask."""
CAUSAL_PAIRS = f"{_PAIRED} * (kv_len - {_PAIRED}) + {_PAIRED} * ({_PAIRED} + 1) // 2"
NO_KEY = -1e30
"""The logarithm of a sum over no keys, which is finite in float32; a merge gives it no weight."""


@dataclass(frozen=True)
class Mask:
    """Which keys a query sees. A query that sees none gives zeros.

    Texts of Metal use `q`, `k`, `q_len`, `kv_len`, the parameters, and inputs as rows along their
    last axis: `segments[q] == segments[k]`.
    """

    np: Callable[..., Any]
    """Boolean NumPy of those it names of `q` (a column), `k` (a row), parameters and inputs."""
    metal: str
    """Metal condition."""
    first: str = "0"
    """Metal: no key before it is seen. It bounds the loop over keys."""
    until: str = "kv_len"
    """Metal: no key from it on is seen."""
    params: Mapping[str, Values] = field(default_factory=dict)
    inputs: tuple[Tensor, ...] = ()
    """Further inputs, of the shape `(batch, n)` or `(n,)`."""
    mlx: str = ""
    """The condition as MLX text; empty: what follows from the Metal."""
    baselines: Mapping[str, str] = field(default_factory=dict)
    """Further MLX texts of attention under it by name, which may use it as the array `mask`: what
    is faster than to give the whole array to MLX."""
    early: bool = False
    """Whether it holds for queries before the first key, so that q_len may exceed kv_len: it reads
    no input at `q`, and divides no place."""
    pairs: str = "min(q_len, kv_len)"
    """How many pairs of a query and a key are seen at least, over axes and whole parameters."""
    keys: str = "min(q_len, kv_len)"
    """How many keys any query sees, at least."""
    formula: str = ""
    """The condition for a proposer; empty: the Metal."""

    @property
    def text(self) -> str:
        """The condition as MLX text."""
        return self.mlx or as_mlx(self.metal, whole=True)


@dataclass(frozen=True)
class LearntRow:
    """An input, a row of each head laid flat, of which one element is added to each score.

    Its gradient sums over the scores that an element is added to: of every query one key at most.
    """

    name: str
    np: Callable[..., Any]
    """The key whose score takes the element of a `column`, at the place `q` of a query; any number
    outside of the keys where none does."""
    metal: str
    """The same in Metal."""


@dataclass(frozen=True)
class LearntBins:
    """An input, a row of each head laid flat, of which every score takes the element of its bin.

    Its gradient sums over all scores of the bin.
    """

    name: str
    bins: int
    """Elements of a row."""
    np: Callable[..., Any]
    """The bin of a query and a key, of what a mask may name."""
    metal: str
    """The same in Metal."""
    mlx: str = ""
    """The same as MLX text; empty: what follows from the Metal."""
    slope: str = "1.0f"
    """Metal: what the score changes by where the element does; 1 where it is added."""
    slope_np: Callable[..., Any] = lambda s: np.ones_like(s)
    """The same as float64 NumPy of those it names."""


@dataclass(frozen=True)
class Score:
    """What becomes of the scaled score `s` of a query and a key before the softmax.

    Texts use what those of a mask do, and the number `h` of the head among the `heads`.
    """

    np: Callable[..., Any]
    """float64 NumPy of those it names of `s`, `q`, `k`, `h`, `heads`, parameters and inputs."""
    metal: str
    params: Mapping[str, Values] = field(default_factory=dict)
    inputs: tuple[Tensor, ...] = ()
    mlx: str = ""
    formula: str = ""
    slope: str = ""
    """Metal: what the score changes by where `s` does; gradients need it."""
    slope_np: Callable[..., Any] | None = None
    """The same as float64 NumPy of those it names."""
    slope_mlx: str = ""
    """The same as MLX text; empty: what follows from the Metal."""
    learnt: LearntRow | LearntBins | None = None
    """The input that gradients reach, beside q, k and v."""
    early: bool = False
    """Whether it holds for queries before the first key; see `Mask`."""

    @property
    def text(self) -> str:
        """The score as MLX text."""
        return self.mlx or as_mlx(self.metal, whole=False)

    @property
    def rows(self) -> str:
        """MLX lines that give inputs of every batch an axis for the heads."""
        own = (t.name for t in self.inputs if t.shape[0] == "batch")
        return "".join(f"{name} = {name}[:, None]\n" for name in own)

    @property
    def bias(self) -> str:
        """MLX text of what is added to `s`; empty where more is done to it."""
        match ast.parse(self.text, mode="eval").body:
            case ast.BinOp(left=ast.Name(id="s"), op=ast.Add(), right=added):
                text = ast.unparse(added)
                return "" if "s" in names_in(text) else text
        return ""


@dataclass(frozen=True)
class LogSum:
    """What a second output says of each query: the logarithm of its sum of exp of the scores."""

    base: float = math.e
    """Of the logarithm, e or 2."""
    none: float = NO_KEY
    """Where no key is seen."""

    @property
    def scale(self) -> float:
        """What turns a natural logarithm into it."""
        return 1.0 / math.log(self.base)

    @property
    def text(self) -> str:
        """What is given where no key is seen, as MLX text."""
        return "-math.inf" if self.none == -math.inf else repr(self.none)

    @property
    def metal(self) -> str:
        """It in Metal, of the largest score `peak` and the sum `total` of what is left of each."""
        times = "" if self.base == math.e else f" * {self.scale:.9g}f"
        none = "-INFINITY" if self.none == -math.inf else f"{self.none!r}f"
        return f"total > 0.0f ? (peak + log(total)){times} : {none}"


EVERY_KEY = Mask(
    np=lambda q, k: (k >= 0) & (q == q),
    metal="true",
    mlx="(k >= 0) & (q == q)",
    early=True,
    pairs="q_len * kv_len",
    keys="kv_len",
    formula="every key",
)
CAUSAL = Mask(
    np=lambda q, k: k <= q,
    metal="k <= q",
    until="q + 1",
    early=True,
    pairs=CAUSAL_PAIRS,
    keys="kv_len",
)
AS_IT_IS = Score(
    np=lambda s: s,
    metal="s",
    early=True,
    slope="1.0f",
    slope_np=lambda s: np.ones_like(s),
)


def further_inputs(mask: Mask, score: Score) -> tuple[Tensor, ...]:
    """Inputs beside `q`, `k` and `v`.

    Raises:
        UsageError: Mask or score is of another kind; a mask asks for the head; an input is no row,
            nor one for every batch.
    """
    for given, kind in ((mask, Mask), (score, Score)):
        if not isinstance(given, kind):
            what = kind.__name__
            raise UsageError(f"{given!r} is no {what}; write {what}(np=..., metal=...)")
    if {"h", "heads"} & set(inspect.signature(mask.np).parameters):
        raise UsageError(
            "a mask is one for all heads, as its blocks are; let the score be -INFINITY where a "
            "head 'h' does not see a key"
        )
    found = (*mask.inputs, *(t for t in score.inputs if t not in mask.inputs))
    for name in (*mask.params, *score.params, *(t.name for t in found)):
        if name in TAKEN:
            raise UsageError(f"'{name}' is a name of attention's templates; choose another name")
    for tensor in found:
        if len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[0] != "batch"):
            raise UsageError(f"{tensor.name} of a mask has the shape (batch, n) or (n,)")
    return found


def metal_of(
    mask: Mask, score: Score = AS_IT_IS, *, sinks: bool = False, lse: LogSum | None = None
) -> dict[str, Any]:
    """What a template of the attention family knows of them: `Op.metal`."""
    further = further_inputs(mask, score)
    return {
        "mask": mask.metal,
        "first": mask.first,
        "until": mask.until,
        "score": score.metal,
        "slope": score.slope or "1.0f",
        "sinks": sinks,
        "lse": lse.metal if lse else "",
        "learnt": {},
        "sequence_first": False,
        "rows": [t.name for t in further],
        "per_batch": [t.name for t in further if t.shape[0] == "batch"],
    }
