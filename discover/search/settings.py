"""How searches go: what one search and a whole recipe have in common, and what one search is asked.

`SearchSettings` is read once, from options or from a recipe, and travels as this one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from discover.budget.limits import Limits
from discover.proposers.keys import without_login
from discover.protocol import ProposerOptions
from discover.selection.strategies import STRATEGIES
from discover.selection.strategies.puct import DEFAULT_EXPLORATION

OFFLINE = "mutate"
"""The proposer that needs neither key nor network."""


class SearchSettings(ProposerOptions):
    """Who proposes, and how candidates are chosen, judged and confirmed."""

    proposers: tuple[str, ...] = (OFFLINE,)
    """As `--llm` takes them: `mutate`, `anthropic`, `openai-chat:MODEL`."""
    bench: str = "quick"
    """Bench workloads to time: `quick`, `full` or a label."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    exploration: float = Field(default=DEFAULT_EXPLORATION, ge=0)
    strategy: str = "puct"
    """How parents are chosen: `puct`, `best-of-n`, `greedy`, `map-elites`, `random`."""
    repair: float = Field(default=0.2, ge=0, le=1)
    """Share of the expansions that repair failures."""
    parallel: int | None = Field(default=None, ge=1)
    """Expansions in flight; None: as many as workers, or a few more for a remote proposer."""
    confirm: int = Field(default=3, ge=0)
    """Finalists of each search that are measured again, within the budget."""
    wait: bool = True
    """On Ctrl-C, wait for answers that are on their way: they are paid."""
    counters: bool = True
    """Let LLMs know what the SIMD-groups of a parent do to memory."""

    @field_validator("strategy")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"choose one of {', '.join(STRATEGIES)}")
        return value

    def chosen(self) -> dict[str, Any]:
        """How parents are chosen and models asked, where that is not as ever.

        Older databases know no more.
        """
        fields = type(self).model_fields
        given = {name: getattr(self, name) for name in ("strategy", "repair", "prompt")}
        return {name: value for name, value in given.items() if value != fields[name].default}

    @field_validator("proposers")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one")
        return value


@dataclass(frozen=True)
class SearchRequest:
    """The search of one op in one dtype, as it was asked for."""

    op: str
    dtype: str
    limits: Limits
    command: str
    """As it was typed; kept with the run."""
    settings: SearchSettings = field(default_factory=SearchSettings)
    kernel_file: Path | None = None
    """A kernel of the user's own to start from as well."""
    from_scratch: bool = False
    """Leave the winners of earlier runs aside."""
    part_of: str = ""
    """The autorun it belongs to: another autorun does not take it up."""
    shapes: tuple[Mapping[str, int], ...] = ()
    """Sizes of the axes to time instead of the op's own bench cases."""

    @property
    def name(self) -> str:
        """`softmax float32`."""
        return f"{self.op} {self.dtype}"

    def key(self) -> dict[str, Any]:
        """What two commands share that continue one another; budgets may differ.

        Databases hold it: another entry, or one less, and their searches are begun anew.
        """
        shapes = {"shapes": [dict(shape) for shape in self.shapes]} if self.shapes else {}
        return {
            "op": self.op,
            "dtype": self.dtype,
            "proposers": list(self.settings.proposers),
            "bench": self.settings.bench,
            "base_url": without_login(self.settings.base_url),
            "effort": self.settings.effort,
            "exploration": self.settings.exploration,
            "kernel_file": str(self.kernel_file) if self.kernel_file else None,
            "from_scratch": self.from_scratch,
            "part_of": self.part_of,
            **shapes,
            **self.settings.chosen(),
        }
