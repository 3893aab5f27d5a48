"""What several commands take as the value of an option or argument: names, sizes, durations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from foundry.errors import UsageError, unknown


class Name(click.ParamType[str, str]):
    """One of the names a registry knows; anything else is answered with the nearest."""

    def __init__(self, kind: str, known: Callable[[], Iterable[str]]) -> None:
        self.name = kind
        self._known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, when it is known."""
        known = tuple(self._known())
        if value not in known:
            raise unknown(self.name, str(value), known)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The known names that go on from here."""
        return [CompletionItem(name) for name in self._known() if name.startswith(incomplete)]


class DeviceName(Name):
    """A known device, or an engine as `module:Class`, which its workers load."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, when it is known or names a class."""
        from foundry.chips.device import chip_named

        if chip_named(str(value)) is not None:
            raise UsageError(
                f"'{value}' is no device that kernels run on: times on a chip that is not here are"
                " predicted; foundry run, discover search, autorun and ask take it"
            )
        module, colon, attribute = str(value).partition(":")
        if colon and module and attribute:
            return str(value)
        return super().convert(value, param, ctx)


class SearchedDevice(DeviceName):
    """Such a device, or `model:CHIP`: a chip that is not here, whose times are predicted."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, when it is known."""
        from foundry.chips.device import PREFIX, chip_named

        chip = chip_named(str(value))
        if chip is None:
            return DEVICE.convert(value, param, ctx)
        return f"{PREFIX}{CHIP.convert(chip, param, ctx)}"


class Names(click.ParamType[tuple[str, ...], tuple[str, ...]]):
    """Several such names, comma-separated; each once, in the order given."""

    def __init__(self, kind: str, known: Callable[[], Iterable[str]]) -> None:
        self.name = f"{kind},..."
        self._one = Name(kind, known)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Names from text with commas, or from a list of a settings file."""
        parts = value.split(",") if isinstance(value, str) else list(value)
        names = dict.fromkeys(str(part).strip() for part in parts)
        found = tuple(self._one.convert(name, param, ctx) for name in names if name)
        if not found:
            self.fail("give at least one name", param, ctx)
        return found

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The same, for the name after the last comma."""
        head, comma, last = incomplete.rpartition(",")
        items = self._one.shell_complete(ctx, param, last)
        return [CompletionItem(f"{head}{comma}{item.value}") for item in items]


class AxisSizes(click.ParamType[dict[str, int], dict[str, int]]):
    """Sizes of axes: `m=4096,k=64`."""

    name = "axis=size,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int]:
        """Sizes by axis."""
        if isinstance(value, dict):
            return value
        try:
            pairs = [word.split("=") for word in str(value).split(",")]
            found = {name.strip(): int(size) for name, size in pairs}
        except ValueError:
            self.fail(f"it is like m=64,n=64, not '{value}'", param, ctx)
        if len(found) < len(pairs):
            self.fail(f"'{value}' gives an axis two sizes", param, ctx)
        return found


class Number(click.FloatRange):
    """A number in a range; nan and inf are none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"'{value}' is no number", param, ctx)
        return found


class Duration(click.ParamType[float, float]):
    """A time span as seconds: `90`, `90s`, `5m`, `1.5h`."""

    name = "duration"
    _unit_s = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._positive(float(value), value, param, ctx)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
        if match is None:
            self.fail(f"'{value}' is no duration; write 90s, 5m or 1.5h", param, ctx)
        return self._positive(float(match[1]) * self._unit_s[match[2]], value, param, ctx)

    def _positive(
        self,
        seconds: float,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        if not 0 < seconds < float("inf"):
            self.fail(f"'{value}' must be more than 0 seconds", param, ctx)
        return seconds


def known_ops() -> Iterable[str]:
    """Names of all ops, users' own included."""
    from ops import registry

    return registry.all_ops()


def known_templates() -> Iterable[str]:
    """Names of all templates, users' own included."""
    from templates import registry

    return registry.all_templates()


def known_devices() -> Iterable[str]:
    """What `--device` takes, besides `module:Class`."""
    from foundry import engines

    return engines.names()


def known_chips() -> Iterable[str]:
    """Names of chips."""
    from foundry.chips import registry

    return registry.all_chips()


def known_searched_devices() -> Iterable[str]:
    """What `--device` takes where kernels are searched."""
    from foundry.chips.device import PREFIX

    return (*known_devices(), *(f"{PREFIX}{chip}" for chip in known_chips()))


def known_languages() -> Iterable[str]:
    """Versions of the Metal Shading Language."""
    from foundry.msl.frontend.language import VERSIONS

    return VERSIONS


def known_dtypes() -> Iterable[str]:
    """Every dtype some op supports."""
    from ops import registry, spec

    return spec.dtypes_of(tuple(registry.all_ops().values()))


OP = Name("op", known_ops)
OPS = Names("op", known_ops)
DTYPE = Name("dtype", known_dtypes)
DTYPE_LIST = Names("dtype", known_dtypes)
TEMPLATES = Names("template", known_templates)
DURATION = Duration()
LANGUAGE_VERSION = Name("language version", known_languages)
LANGUAGE_SETTING = "FOUNDRY_LANGUAGE_VERSION"
CHIP = Name("chip", known_chips)
DEVICE = DeviceName("device", known_devices)
SEARCHED_DEVICE = SearchedDevice("device", known_searched_devices)
DEVICE_METAVAR = "auto|metal|cpu|MODULE:CLASS"
SEARCHED_METAVAR = f"{DEVICE_METAVAR}|model:CHIP"
