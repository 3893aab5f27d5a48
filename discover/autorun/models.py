"""A model as something to search: its ops, their shares of its steps, and a plain recipe."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from discover.autorun.recipe import ModelRecipe, Recipe
from discover.autorun.shapes import Shape, shapes
from discover.autorun.standing import SLICE
from discover.autorun.steps import decode, prefill
from discover.autorun.whole import StepShare, shares
from discover.budget.limits import Limits
from foundry.catalog.runtime.tuning.from_model import ModelShape, read
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.report.format import percent
from foundry.report.predicted import MODEL
from foundry.report.table import Column
from ops.dtypes import FLOAT_DTYPES

if TYPE_CHECKING:
    from foundry.chips.judged import JudgeSeat

COLUMNS = (
    Column("op"),
    Column("decode", right=True),
    Column("prefill", right=True),
    Column("decode gains at most", right=True),
    Column("sizes", elastic=True),
)
_SLICES_PER_OP = 3
_CALIBRATION_LIMIT_S = 60.0


def read_model(path: Path) -> ModelShape:
    """The shape of a model from its `config.json`, or from its folder.

    Raises:
        UsageError: No readable configuration of a transformer.
    """
    try:
        return read(path)
    except ValueError as error:
        raise UsageError(f"{error}; give a config.json, or a folder that holds one") from error


def ops_of(shape: ModelShape, dtype: str) -> tuple[str, ...]:
    """Names of the ops that a model calls."""
    calls = (*decode(shape, dtype), *prefill(shape, dtype))
    return tuple(dict.fromkeys(call.op for call in calls))


def plain_recipe(path: Path) -> Recipe:
    """A recipe for a model: named after it, in the dtype of its weights, with a budget for each op.

    Raises:
        UsageError: No readable configuration of a transformer.
    """
    shape = read_model(path)
    dtype = shape.dtype if shape.dtype in FLOAT_DTYPES else "float32"
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    name = "".join(
        c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in folder.name
    ).strip("-._")
    names = ops_of(shape, dtype)
    total = Limits(evaluations=_SLICES_PER_OP * SLICE * len(names))
    return Recipe(name=name or "model", ops=names, dtypes=(dtype,), total=total)


def given_way(recipe: Recipe) -> Iterator[str]:
    """What a recipe says that a model decides instead, in lines for the user."""
    if "bench" in recipe.model_fields_set and recipe.bench != "full":
        yield f'bench = "{recipe.bench}" is left aside: every chosen shape of the model is timed'
    if recipe.weights:
        yield "[weights] are left aside: an op weighs as much as its share of the model's steps"


def of_model(
    recipe: Recipe,
    shape: ModelShape,
    weights: Mapping[str, float],
    steps: Mapping[str, tuple[Shape, ...]],
) -> ModelRecipe:
    """A recipe for a model's ops; shapes that it names itself stay.

    Args:
        recipe: Its ops are those of the model already.
        shape: The model.
        weights: Share of each op.
        steps: Where the model spends its time, by op.
    """
    digest = hashlib.sha256(repr(sorted(asdict(shape).items())).encode()).hexdigest()
    more = {"weights": dict(weights), "model": digest, "steps": dict(steps)}
    return ModelRecipe.model_validate({**dict(recipe), **more})


def shares_of(shape: ModelShape, dtype: str, gb_s: float, gflops: float) -> list[StepShare]:
    """Each op's share of a decode and of a prefill step, the largest first."""
    return shares(decode(shape, dtype), prefill(shape, dtype), gb_s, gflops)


def shapes_of(
    shape: ModelShape, dtype: str, gb_s: float, gflops: float
) -> dict[str, tuple[Shape, ...]]:
    """The shapes at which each op is searched, those that take longest first."""
    return shapes(decode(shape, dtype), prefill(shape, dtype), gb_s, gflops)


def rates(seat: JudgeSeat) -> tuple[float, float]:
    """Bandwidth in GB/s and arithmetic in GFLOP/s: measured, or a predicted chip's published ones.

    Raises:
        EnvironmentUnusable: The device cannot be measured.
    """
    from foundry.harness.measuring.jobs import Calibrate, Peaks

    known = seat.device.fingerprint
    if seat.device.kind == MODEL:
        # A chip whose arithmetic nobody published is taken to be bound by memory.
        tflops = float(known.get("fp32_tflops", math.inf))
        return float(known["dram_gb_s"]), 1000 * tflops
    with seat.pool.lock.exclusive(), seat.pool.trusted() as worker:
        found = worker.ask(Calibrate(), _CALIBRATION_LIMIT_S)
    if not isinstance(found, Peaks):
        raise EnvironmentUnusable(
            "The device's bandwidth could not be measured.", "Try again, or give a recipe."
        )
    return found.memory_gb_s, found.gflops


def rows(found: Sequence[StepShare]) -> list[list[str]]:
    """Shares and bounds as rows of a table."""
    return [
        [
            one.op,
            percent(one.decode),
            percent(one.prefill),
            f"{one.bound:.2f}x",
            f"{one.sizes[0]}{f' and {len(one.sizes) - 1} more' if len(one.sizes) > 1 else ''}",
        ]
        for one in found
    ]
