"""A recipe of a dataset: how many kernels of which ops, what is measured of them, what is kept."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from discover import entries
from discover.entries import refuse, unknown_dtypes, unknown_families, unknown_ops
from foundry.datasets.choice import Choice
from foundry.datasets.split import assign
from foundry.datasets.teachers import TEACHERS
from foundry.errors import UsageError, unknown
from foundry.prompts.forms import FORMS

_KEPT = {"teachers", "hold_out", "valid", "test", "per_group", "prompt"}
_FREE = {"name", "kernels", "rounds", *_KEPT}
"""What may differ between two runs of which one continues the other."""


class CorpusRecipe(BaseModel):
    """One dataset: what is made, and what is written of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    ops: tuple[str, ...] = Field(default=("all",), min_length=1)
    """Names, or `all`."""
    dtypes: tuple[str, ...] = ("float32", "float16", "bfloat16")
    """Kernels are proven in these in turn, each in one."""
    kernels: int = Field(default=20_000, ge=1)
    """Verified kernels in all, of different normal forms."""
    faults: float = Field(default=0.5, ge=0, le=20)
    """Planted faults for each verified kernel, on average."""
    timed: int = Field(default=8, ge=0)
    """Kernels of each op that are timed, in the first dtype: they make preference pairs. No more
    than a quarter of an op that gives few."""
    explained: int = Field(default=8, ge=0)
    """Kernels of each op whose memory traffic is counted; half of one that gives few."""
    chips: tuple[str, ...] = ()
    """Chips for which the times of those are predicted."""
    rounds: int = Field(default=3, ge=1)
    """How often it goes through all ops: cut short, it has some of each."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    device: str = "auto"
    teachers: str = "own"
    hold_out: tuple[str, ...] = ()
    """Ops that nothing is made of, and that no view sees."""
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    per_group: int = Field(default=8, ge=1)
    prompt: Literal["full", "compact"] = "full"
    """How the chats ask: `compact` for small models."""

    @field_validator("ops", "hold_out")
    @classmethod
    def _of_the_library(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        named = (name for name in value if name != "all" or info.field_name != "ops")
        refuse(cls.__name__, unknown_ops(named))
        return value

    @field_validator("dtypes")
    @classmethod
    def _dtypes_of_some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refuse(cls.__name__, unknown_dtypes(value))
        return value

    @field_validator("valid", "test")
    @classmethod
    def _families_of_some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refuse(cls.__name__, unknown_families(value))
        return value

    @field_validator("device")
    @classmethod
    def _a_device(cls, value: str) -> str:
        return entries.device(value)

    @field_validator("chips")
    @classmethod
    def _known_chips(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(entries.chip, value))

    @field_validator("teachers")
    @classmethod
    def _known_teachers(cls, value: str) -> str:
        if value not in TEACHERS:
            raise ValueError(str(unknown("teachers", value, TEACHERS)))
        return value

    def choice(self, made: Collection[str] | None = None) -> Choice:
        """What is kept of what was made.

        Args:
            made: Ops with verified kernels: families of which none was made, since only some ops
                were asked for or time was short, are in no split. None: all.
        """
        return Choice(
            uses=TEACHERS[self.teachers],
            hold_out=self.hold_out,
            valid=self._there(self.valid, made),
            test=self._there(self.test, made),
            per_group=self.per_group,
            prompt=FORMS[self.prompt],
            seed=self.seed,
        )

    def _there(self, families: tuple[str, ...], made: Collection[str] | None) -> tuple[str, ...]:
        from ops import registry

        if made is None:
            return families
        found = {registry.get(name).family for name in made}
        return tuple(family for family in families if family in found)

    def op_names(self) -> tuple[str, ...]:
        """Ops that kernels are made of, in order.

        Raises:
            UsageError: An unknown op, with the nearest.
        """
        from ops import registry

        named = [name for name in self.ops if name != "all"]
        for name in (*named, *self.hold_out):
            registry.get(name)
        every = tuple(registry.all_ops()) if "all" in self.ops else tuple(dict.fromkeys(named))
        return tuple(name for name in every if name not in self.hold_out)

    def check(self) -> None:
        """Hold it to what can be written in the end, before hours are spent on it.

        Raises:
            UsageError: Nothing is left to make, or splits leave nothing to train on.
        """
        from ops import registry

        names = self.op_names()
        if not names:
            raise UsageError(f"all {len(self.ops)} ops are held out: nothing is left to make")
        families = {registry.get(name).family for name in names}
        choice = self.choice(names)
        assign(dict.fromkeys(families, 1), valid=choice.valid, test=choice.test)

    def settings(self) -> dict[str, object]:
        """What two runs share that continue one another: all but how much, and what is kept."""
        return self.model_dump(mode="json", exclude=_FREE)
