"""Gathers: rows picked by index, as they are or with something done to each element."""

from __future__ import annotations

from ops.axis import axes
from ops.declaring.cases import cases, labelled
from ops.declaring.members import Formula, oracle
from ops.fills import Index
from ops.matches import Close, Exact, Match
from ops.spec import Op
from ops.workload import Tensor

AXES = "rows cols count"


def gather(
    name: str,
    *,
    np: Formula,
    mlx: str,
    metal: str,
    flops: int,
    also: tuple[str, ...] = (),
    match: Match | None = None,
    formula: str = "",
) -> Op:
    """An op that picks `count` rows of `x` by `index`.

    Args:
        name: Name of the op.
        np: float64 formula, such as `lambda x, index: x[index]`.
        mlx: The same as MLX text.
        metal: Metal expression over the float `x` that was picked and the elements of `also`.
        flops: FLOPs of one element of the output.
        also: Names of further inputs of the output's shape.
        match: How the output is compared; None: within the error model.
        formula: The mathematics for a proposer; empty: the Metal expression.
    """
    further = tuple(Tensor(other, ("count", "cols")) for other in also)
    return Op(
        name=name,
        family="gather",
        formula=formula or f"out[i, c] = {metal}, where x stands for x[index[i], c].",
        axes=axes("rows cols count"),
        inputs=(
            Tensor("x", ("rows", "cols")),
            Tensor("index", ("count",), "uint32", Index("rows")),
            *further,
        ),
        outputs=(Tensor("out", ("count", "cols"), match=match or Close()),),
        oracle=oracle(np, ["x", "index", *also]),
        baselines={"plain": mlx},
        flops=f"count * cols * {flops}",
        # Of indices drawn alike, about so many rows are named at least once.
        bytes=f"count * (4 + cols * itemsize * {1 + len(also)})"
        " + (rows * count + rows + count - 1) // max(rows + count, 1) * cols * itemsize",
        visible=cases(AXES, (1, 1, 1), (8, 64, 4), (16, 100, 16), (3, 33, 40), (128, 256, 64)),
        hidden=cases(
            AXES,
            *((4, 0, 3), (5, 7, 0), (2, 1, 67), (1, 31, 5), (67, 3, 129), (33, 65, 17)),
            *((7, 257, 13), (129, 127, 5), (3, 1025, 2), (521, 5, 31)),
        ),
        bench=(
            labelled(AXES, "smollm2-135m embedding, decode", 49152, 576, 1),
            labelled(AXES, "smollm2-135m embedding, prefill 128", 49152, 576, 128),
            labelled(AXES, "qwen3-30b-a3b dispatch, 128 tokens", 128, 2048, 1024),
        ),
        metal={"value": metal},
    )


gather_rows = gather(
    "gather_rows",
    np=lambda x, index: x[index],
    mlx="x[index]",
    metal="x",
    flops=0,
    match=Exact(),
)
gather_add = gather(
    "gather_add",
    np=lambda x, index, other: x[index] + other,
    mlx="x[index] + other",
    metal="x + other",
    flops=1,
    also=("other",),
)
