"""A recipe: which ops to search overnight, who proposes, how much it may use. TOML in `runs/`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from discover.budget.limits import Limits
from foundry.errors import UsageError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Allowance(_Table):
    """What may be used; a missing entry is no limit."""

    evaluations: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, ge=0)
    usd: float | None = Field(default=None, ge=0)

    def limits(self) -> Limits:
        """As the limits of a budget."""
        return Limits(self.evaluations, self.seconds, self.tokens, self.usd)


class Products(_Table):
    """What is written at the end."""

    dataset: bool = True
    catalog: str | None = "my_kernels"
    """Import name of the wheel; "" for none."""


class Recipe(_Table):
    """One autorun."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    ops: tuple[str, ...] = Field(min_length=1)
    """Names, or `all`."""
    dtypes: tuple[str, ...] = ("float32",)
    proposers: tuple[str, ...] = ("mutate",)
    """As `--llm` takes them: `mutate`, `anthropic`, `openai-chat:MODEL`."""
    base_url: str | None = None
    effort: str | None = None
    max_output_tokens: int = Field(default=16_000, ge=256)
    bench: str = "quick"
    device: str = "auto"
    seed: int = Field(default=0, ge=0)
    exploration: float = Field(default=1.0, ge=0)
    parallel: int | None = Field(default=None, ge=1)
    """Expansions in flight."""
    confirm: int = Field(default=3, ge=0)
    """Finalists of each search that are measured again."""
    counters: bool = True
    """Let LLMs know what the SIMD-groups of a parent do to memory."""
    per_op: Allowance = Allowance()
    total: Allowance = Allowance()
    products: Products = Products()

    @field_validator("dtypes", "proposers")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one")
        return value

    def tasks(self) -> tuple[tuple[str, str], ...]:
        """Op and dtype of every search, in order.

        Raises:
            UsageError: An unknown op or dtype, with the nearest.
        """
        from foundry.errors import unknown
        from ops import registry

        names = tuple(registry.all_ops()) if self.ops == ("all",) else self.ops
        found = []
        for name in dict.fromkeys(names):
            op = registry.get(name)
            for dtype in self.dtypes:
                if dtype not in op.dtypes:
                    raise unknown(f"dtype of {name}", dtype, op.dtypes)
                found.append((name, dtype))
        return tuple(found)


def read(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        UsageError: Missing, not TOML, or an entry that is no recipe's.
    """
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read the recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: '{where}': {first['msg']}") from None
