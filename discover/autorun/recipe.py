"""A recipe: which ops to search overnight, who proposes, how much it may use. TOML in `runs/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from discover import entries
from discover.autorun.tables import Shapes, misshapen
from discover.budget.limits import Limits
from discover.entries import Fault, missing_dtypes, refuse, told, unknown_ops
from discover.proposers import registry
from discover.proposers.keys import checked_url
from discover.protocol import EFFORTS
from discover.search.settings import SearchSettings
from foundry.chips.device import PREFIX
from foundry.errors import UsageError, unknown
from foundry.judge.options import bench_workloads
from ops.declaring.cases import at_shapes
from ops.registry import all_ops, get
from ops.spec import Op


class Products(BaseModel):
    """What is written at the end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: bool = True
    catalog: str | None = "my_kernels"
    """Import name of the wheel; "" for none."""

    @field_validator("catalog")
    @classmethod
    def _importable(cls, value: str | None) -> str | None:
        """Told before a night is spent, not after it."""
        from foundry.catalog.build import check_name

        return told(lambda: check_name(value) if value else value)


class Elsewhere(BaseModel):
    """A chip that is not here, for which the same ops are searched once more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chip: str
    """As `foundry list chips` names it: `m4-max`."""
    per_op: Limits = Limits(evaluations=8)

    @field_validator("chip")
    @classmethod
    def _known(cls, value: str) -> str:
        """Told before a night is spent, not after it."""
        return entries.chip(value)


class Recipe(SearchSettings):
    """One autorun: how to search, as every search is told, and what."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    ops: tuple[str, ...] = Field(min_length=1)
    """Names, or `all`."""
    dtypes: tuple[str, ...] = ("float32",)
    device: str = "auto"
    per_op: Limits = Limits()
    total: Limits = Limits()
    products: Products = Products()
    weights: dict[str, float] = Field(default_factory=dict)
    """Share of each op in a model: evaluations go where the whole gains most. Empty: all alike."""
    shapes: dict[str, Shapes] = Field(default_factory=dict)
    """Sizes of the axes to time, by op, instead of its own bench cases."""
    elsewhere: Elsewhere | None = None
    """Searched for as well where there is no GPU."""

    @field_validator("ops")
    @classmethod
    def _of_the_library(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != ("all",):
            refuse(cls.__name__, unknown_ops(value))
        return value

    @field_validator("proposers")
    @classmethod
    def _installed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for spec in value:
            told(partial(registry.check, spec))
        return value

    @field_validator("device")
    @classmethod
    def _there(cls, value: str) -> str:
        return entries.device(value)

    @field_validator("effort")
    @classmethod
    def _an_effort(cls, value: str | None) -> str | None:
        if value is not None and value not in EFFORTS:
            raise ValueError(str(unknown("effort", value, EFFORTS)))
        return value

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        return told(lambda: checked_url(value) if value else value)

    @field_validator("weights")
    @classmethod
    def _of_ops(cls, value: dict[str, float]) -> dict[str, float]:
        refuse(cls.__name__, unknown_ops(value))
        return value

    @field_validator("shapes")
    @classmethod
    def _buildable(cls, value: dict[str, Shapes], info: ValidationInfo) -> dict[str, Shapes]:
        """Told before a night is spent, not in the middle of it."""
        faults = (*unknown_ops(value), *misshapen(value, info.data.get("dtypes", ())))
        refuse(cls.__name__, faults)
        return value

    @field_validator("dtypes")
    @classmethod
    def _some_dtypes(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one")
        refuse(cls.__name__, missing_dtypes(info.data.get("ops", ()), value))
        return value

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        """That where any op has a weight all have one, and no other."""
        refuse(type(self).__name__, self._without_weight())
        return self

    def _without_weight(self) -> Iterator[Fault]:
        searched = {op for op, _ in self.tasks()} if self.weights else set()
        for name in sorted(searched):
            weight = self.weights.get(name, 0.0)
            if not weight > 0.0:
                why = f"{name} has no weight above 0, so it would never be searched"
                yield ("weights",), why, weight
        for name, weight in self.weights.items():
            if name not in searched:
                yield ("weights", name), f"{name} is none of the ops that are searched", weight

    @model_validator(mode="after")
    def _timed(self) -> Self:
        """That every op has the bench cases; names that are none are told elsewhere."""
        refuse(type(self).__name__, self._without_bench())
        return self

    def _without_bench(self) -> Iterator[Fault]:
        for name, dtype in self.tasks():
            op = at_shapes(get(name), self.shapes_of(name))
            try:
                bench_workloads(op, dtype, self.bench)
            except UsageError as error:
                yield ("bench",), str(error), self.bench

    def shapes_of(self, op: str) -> Shapes:
        """Sizes at which an op is timed; none: those of its own bench cases."""
        return self.shapes.get(op, ())

    def whole(self) -> Limits:
        """What all of it may use: the total, or what every search may."""
        count = len(self.tasks())
        found = {}
        for f in fields(Limits):
            each, total = getattr(self.per_op, f.name), getattr(self.total, f.name)
            bounds = [] if each is None else [each * count]
            found[f.name] = min([*bounds, *([] if total is None else [total])], default=None)
        return Limits(**found)

    def of_chip(self) -> Recipe | None:
        """What is searched for the chip that is not here."""
        if self.elsewhere is None:
            return None
        asked = {
            "device": f"{PREFIX}{self.elsewhere.chip}",
            "per_op": self.elsewhere.per_op,
            "total": Limits(),
            "elsewhere": None,
        }
        return self.model_copy(update=asked)

    def tasks(self) -> tuple[tuple[str, str], ...]:
        """Op and dtype of every search, in order; of `all` ops, each in the dtypes that it has.

        Raises:
            UsageError: An unknown op or dtype, with the nearest.
        """
        if self.ops == ("all",):
            return tuple(_of_all(all_ops(), self.dtypes))
        found = []
        for name in dict.fromkeys(self.ops):
            op = get(name)
            for dtype in self.dtypes:
                if dtype not in op.dtypes:
                    raise unknown(f"dtype of {name}", dtype, op.dtypes)
                found.append((name, dtype))
        return tuple(found)


def _of_all(ops: Mapping[str, Op], dtypes: Sequence[str]) -> Iterator[tuple[str, str]]:
    known = dict.fromkeys(dtype for op in ops.values() for dtype in op.dtypes)
    for dtype in dtypes:
        if dtype not in known:
            raise unknown("dtype", dtype, known)
    for name, op in ops.items():
        yield from ((name, dtype) for dtype in dtypes if dtype in op.dtypes)


class ModelRecipe(Recipe):
    """A recipe whose ops are those of a model."""

    model: str
    """Digest of the model: it tells its autoruns from those of another."""
    steps: dict[str, Shapes]
    """Where the steps of the model spend their time, by op. That rests on rates which are measured
    anew at every start, and come out a little different each time: it tells no autoruns apart."""

    def shapes_of(self, op: str) -> Shapes:
        """Sizes at which an op is timed: the recipe's own, where it names some."""
        return self.shapes.get(op) or self.steps.get(op, ())

    def _without_weight(self) -> Iterator[Fault]:
        """None: the model gives the weights, and what it does not call is not searched."""
        return iter(())
