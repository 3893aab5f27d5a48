"""What a call cost, and what it may cost at most. Prices are data: `pricing.toml`, or the user's.

Tokens are counted once: `Tokens.input_tokens` holds all input, and the cached parts of it are taken
out before the plain price applies. (Anthropic reports input without cached tokens, OpenAI with
them; each proposer brings its own count into this form.)
"""

from __future__ import annotations

import datetime
import math
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from discover.budget.limits import Spend
from discover.protocol import Request
from foundry.errors import UsageError, first_line
from foundry.store.records import Tokens

_DATED = re.compile(r"(?:-\d{8}|-\d{4}-\d{2}-\d{2}|-latest)$")
_BYTES_PER_TOKEN = 2
"""Fewer than any tokenizer needs for text, so that the bound holds."""
_FRAMING_TOKENS = 500
"""Room for roles and whatever a server puts around a prompt."""


class Price(BaseModel):
    """Dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)
    published: datetime.date | None = None
    """When this price was read from its publisher."""


FREE = Price(input=0.0, output=0.0)
Prices = Mapping[str, Price]


def load(own: Path | None = None) -> Prices:
    """Prices by model name; those of the user's own file win.

    Raises:
        UsageError: The file cannot be read, or holds something that is no price.
    """
    shipped = _read(files("discover.budget").joinpath("pricing.toml").read_text(), "pricing.toml")
    if own is None:
        return shipped
    try:
        return {**shipped, **_read(own.read_text(), str(own))}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read prices from {own}: {error}") from None


def price_of(prices: Prices, model: str) -> Price | None:
    """The price of a model, dated names (`-20261121`, `-latest`) included; None when unknown."""
    return prices.get(model) or prices.get(_DATED.sub("", model))


def cost_usd(price: Price, tokens: Tokens) -> float:
    """Dollars one call cost."""
    plain = max(0, tokens.input_tokens - tokens.cache_read_tokens - tokens.cache_write_tokens)
    millions = (
        plain * price.input
        + tokens.cache_read_tokens * _or(price.cache_read, price.input)
        + tokens.cache_write_tokens * _or(price.cache_write, price.input)
        + tokens.output_tokens * price.output
    )
    return millions / 1e6


def spend(price: Price | None, tokens: Tokens) -> Spend:
    """Tokens and dollars of one call; an unknown price counts as 0 dollars."""
    return Spend(
        tokens.input_tokens + tokens.output_tokens, cost_usd(price, tokens) if price else 0.0
    )


def size_bytes(request: Request) -> int:
    """Bytes of all texts of a request."""
    return sum(len(text.encode()) for text in _texts(request.body))


def most_input_tokens(size: int) -> int:
    """An upper bound of the tokens of a prompt of `size` bytes, whatever the tokenizer."""
    return math.ceil(size / _BYTES_PER_TOKEN) + _FRAMING_TOKENS


def at_most(price: Price | None, input_tokens: int, output_tokens: int) -> Spend:
    """What a call may use at most, from bounds of its tokens; without a price, tokens alone."""
    tokens = input_tokens + output_tokens
    if price is None:
        return Spend(tokens)
    return Spend(tokens, (input_tokens * _dearest(price) + output_tokens * price.output) / 1e6)


def output_room(
    price: Price | None, input_tokens: int, tokens: int | None, usd: float | None
) -> int | None:
    """How long an answer may be within what is left of a budget; None without a limit.

    Args:
        price: Of the model.
        input_tokens: Bound of the prompt.
        tokens: What is left of the tokens; None without a limit.
        usd: What is left of the money; None without a limit.
    """
    rooms = [] if tokens is None else [tokens - input_tokens]
    if usd is not None and price is not None and price.output > 0:
        rooms.append(math.floor((usd * 1e6 - input_tokens * _dearest(price)) / price.output))
    return min(rooms, default=None)


def _dearest(price: Price) -> float:
    return max(price.input, _or(price.cache_write, price.input))


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case Mapping():
            return [text for item in value.values() for text in _texts(item)]
        case list() | tuple():
            return [text for item in value for text in _texts(item)]
    return []


def _read(text: str, name: str) -> Prices:
    try:
        tables = tomllib.loads(text)
        dated = {"published": tables.pop("published", None)}
        return {
            model: Price.model_validate({**dated, **entry})
            for table in tables.values()
            for model, entry in table.items()
        }
    except (tomllib.TOMLDecodeError, ValidationError, AttributeError, TypeError) as error:
        raise UsageError(
            f'{name} is no price file ("model" = {{input, output}}): {first_line(error)}'
        ) from None
