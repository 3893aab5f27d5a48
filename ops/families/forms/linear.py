"""Linear layers: dot products of rows with the rows of weight matrices, and what is made of them.

The weights may be stored as they are, as codes of 4 or 8 bits with a scale and a bias a group (the
layout of MLX), or as one integer each; there may be one matrix an expert, picked by index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.cases import CaseSets, Values, defaults
from ops.declaring.members import values
from ops.families.forms.pointwise import NO_RANGES, NONE
from ops.fills import Bits, Index, Int, Real, Sorted
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op, Steps, Stored, unrounded
from ops.workload import Tensor, Workload

SILU = """
// exp(-|v|) never overflows, so that what is far below 0 keeps its size.
inline float silu(float v) {
  const float decay = exp(-abs(v));
  return v * (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
"""
GROUP = Axis("group", values=(32, 64, 128), compiled=True)


def codes(packed: NDArray[Any], bits: int) -> NDArray[Any]:
    """The codes of packed uint32 words, along the last axis."""
    places = numpy.arange(0, 32, bits, dtype=numpy.uint32)
    found = (packed[..., None] >> places) & numpy.uint32(2**bits - 1)
    return found.reshape(*packed.shape[:-1], packed.shape[-1] * len(places))


@dataclass(frozen=True)
class Weight:
    """A weight matrix of `n` rows and `k` columns, or one of each expert."""

    name: str
    bits: int = 0
    """0: elements of `T`; 4 or 8: packed codes with scale and bias of each group; -8: an int8
    each, with a scale and a zero point of each row."""

    def tensors(self, experts: tuple[str, ...]) -> tuple[Tensor, ...]:
        """The inputs that hold it."""
        name, lead = self.name, (*experts, "n")
        if self.bits == 0:
            return (Tensor(name, (*lead, "k")),)
        if self.bits < 0:
            return (
                Tensor(name, (*lead, "k"), "int8", Int(-128, 127)),
                Tensor(f"{name}_scale", lead, fill=Real(low=-4.0, high=4.0)),
                Tensor(f"{name}_zero", lead, fill=Real(low=-16.0, high=16.0)),
            )
        grouped = (*lead, "k // group")
        return (
            Tensor(name, (*lead, f"k // {32 // self.bits}"), "uint32", Bits()),
            Tensor(f"{name}_scales", grouped),
            Tensor(f"{name}_biases", grouped),
        )

    def read(self, inputs: Mapping[str, NDArray[Any]], group: int) -> Any:
        """The matrix in float64."""
        held = inputs[self.name]
        if self.bits == 0:
            return held
        if self.bits < 0:
            scale, zero = (inputs[f"{self.name}_{n}"][..., None] for n in ("scale", "zero"))
            return (held.astype(numpy.float64) - zero) * scale
        scale, bias = (
            numpy.repeat(inputs[f"{self.name}_{n}"], group, axis=-1) for n in ("scales", "biases")
        )
        return codes(held, self.bits).astype(numpy.float64) * scale + bias

    def dots(
        self, x: NDArray[Any], inputs: Mapping[str, NDArray[Any]], group: int, by_steps: bool
    ) -> Any:
        """Dot products of rows of `x` with its rows, in float64.

        By steps, codes and scales meet after the codes of a group were summed: what is code times
        scale and what is bias may cancel.
        """
        held = {n: v for n, v in inputs.items() if n.startswith(self.name)}
        if "index" in inputs:
            return self._of_experts(x, held, inputs["index"], group, by_steps)
        return self._of_one(x, held, group, by_steps)

    def _of_one(self, x: Any, held: Mapping[str, Any], group: int, by_steps: bool) -> Any:
        if self.bits <= 0 or not by_steps:
            return x @ self.read(held, group).T
        code = codes(held[self.name], self.bits).astype(numpy.float64)
        scale, bias = (held[f"{self.name}_{n}"] for n in ("scales", "biases"))
        left = x.reshape(x.shape[0], -1, group) if x.size else x.reshape(x.shape[0], 0, group)
        right = code.reshape(code.shape[0], left.shape[1], group)
        dots = left.swapaxes(0, 1) @ right.swapaxes(0, 1).swapaxes(1, 2) * scale.T[:, None]
        totals = left.sum(axis=-1, keepdims=True).swapaxes(0, 1)
        return (dots + totals * bias.T[:, None]).sum(axis=0)

    def _of_experts(
        self, x: Any, held: Mapping[str, Any], index: Any, group: int, by_steps: bool
    ) -> Any:
        """Expert by expert, since few of them are picked; then back in the order of the rows."""
        order = numpy.argsort(index, axis=None, kind="stable")
        rows = order // (index.shape[1] if index.ndim == 2 else 1)
        picked = index.ravel()[order]
        found = [
            self._of_one(x[rows[picked == e]], {n: v[e] for n, v in held.items()}, group, by_steps)
            for e in numpy.unique(picked)
        ]
        width = held[self.name].shape[1]
        whole = numpy.concatenate(found) if found else numpy.zeros((0, width))
        return whole[numpy.argsort(order)].reshape(*index.shape, width)

    @property
    def bytes(self) -> str:
        """Bytes of one matrix, over axes and `itemsize`."""
        if self.bits == 0:
            return "n * k * itemsize"
        if self.bits < 0:
            return "n * (k + 2 * itemsize)"
        return f"n * k // {8 // self.bits} + 2 * n * (k // group) * itemsize"


def picked_bytes(picks: str, matrix: str) -> str:
    """Bytes of the matrices of experts that so many picks read, as an expression.

    Of e experts picked p times, more than e p / (e + p) differ on average.

    Args:
        picks: How many picks there are.
        matrix: Bytes of one.
    """
    return f"({matrix}) * experts * {picks} // max(1, experts + {picks})"


def linear(
    name: str,
    weights: Sequence[Weight],
    *,
    np: Callable[..., Any],
    mlx: Mapping[str, Baseline | str],
    metal: str,
    cases: CaseSets,
    formula: str,
    family: str = "gemm",
    also: tuple[Tensor, ...] = (),
    helpers: str = "",
    prologue: str = "",
    picked: str = "",
    extra_flops: int = 0,
    params: Mapping[str, Values] = NONE,
    ranges: Mapping[str, Range] = NO_RANGES,
) -> Op:
    """An op of `x`, `m` rows of `k`: `out[i, j] = f(x[i] . first[j], x[i] . second[j], ...)`.

    `np` is the float64 formula of the dot products, then of `also`, one element an output column,
    and parameters by name; `metal` is the same over `first`, `second` and the names of `also`.
    `prologue="rms"`: a row of `x` is its norm with `gain` first. `picked="rows"`: there is a matrix
    of each expert, and `index[i]` picks that of a row, in ascending order; `"slots"`: `index[i, s]`
    picks one for each slot of a row, and the output has a row for each slot. `extra_flops` are
    those of an output element beside the dot products. All else is as in `elementwise` and `Op`.
    """
    packed = any(weight.bits > 0 for weight in weights)
    slots = ("slots",) if picked == "slots" else ()
    rows = "m * slots" if slots else "m"
    held = " + ".join(weight.bytes for weight in weights)
    steps = _stepwise(np, weights, also, prologue)
    return Op(
        name=name,
        family=family,
        formula=formula,
        axes=_axes(packed, picked, slots),
        inputs=(*_given(weights, prologue, picked, slots), *also),
        outputs=(Tensor("out", ("m", *slots, "n"), match=Close("k")),),
        constraints=("k % group == 0",) if packed else (),
        params=defaults(params),
        ranges=ranges,
        oracle=lambda inputs, workload: steps(inputs, workload, unrounded),
        steps=steps,
        baselines=mlx,
        flops=f"{rows} * n * (2 * k * {len(weights)} + {extra_flops})",
        bytes=f"(m * k + {rows} * n) * itemsize + "
        + (picked_bytes(f"({rows})", held) if picked else f"({held})"),
        visible=cases[0],
        hidden=cases[1],
        bench=cases[2],
        metal={
            "form": "linear",
            "value": metal,
            "helpers": helpers,
            "prologue": prologue,
            "picked": picked,
            "rows": rows,
            "also": [tensor.name for tensor in also],
            "weights": [{"name": weight.name, "bits": weight.bits} for weight in weights],
        },
    )


def _stepwise(
    formula: Callable[..., Any], weights: Sequence[Weight], also: Sequence[Tensor], prologue: str
) -> Steps:
    def steps(inputs: Any, workload: Workload, stored: Stored) -> tuple[NDArray[Any], ...]:
        found, given = values(workload), inputs["x"]
        if prologue:
            eps = found.pop("eps")
            mean = numpy.square(given).sum(axis=-1, keepdims=True) / max(given.shape[-1], 1)
            given = stored(given / numpy.sqrt(mean + eps) * inputs["gain"])
        group = workload.axes.get("group", 1)
        dots = [stored(w.dots(given, inputs, group, stored is not unrounded)) for w in weights]
        return (formula(*dots, *(inputs[t.name] for t in also), **found),)

    return steps


def _axes(packed: bool, picked: str, slots: tuple[str, ...]) -> tuple[Axis, ...]:
    return (
        *axes("m n"),
        Axis("k", 32) if packed else Axis("k"),
        *((Axis("experts", least=1),) if picked else ()),
        *map(Axis, slots),
        *((GROUP,) if packed else ()),
    )


def _given(
    weights: Sequence[Weight], prologue: str, picked: str, slots: tuple[str, ...]
) -> Iterator[Tensor]:
    yield Tensor("x", ("m", "k"))
    if prologue:
        yield Tensor("gain", ("k",))
    for weight in weights:
        yield from weight.tensors(("experts",) if picked else ())
    if picked:
        fill = Index("experts") if slots else Sorted(Index("experts"))
        yield Tensor("index", ("m", *slots), "uint32", fill)
