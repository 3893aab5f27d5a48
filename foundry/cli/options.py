"""Options and parameter types that several commands share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from foundry.errors import UsageError, unknown

F = TypeVar("F", bound=Callable[..., Any])
MOST_WORKERS = 8


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


def default_workers() -> int:
    """One worker per core, from 2 to 8."""
    return min(MOST_WORKERS, max(2, os.cpu_count() or 1))


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


def db_option(function: F) -> F:
    """`--db`, as an SQLAlchemy URL or a path; None stands for the default."""
    return click.option(
        "--db",
        envvar="FOUNDRY_DB",
        metavar="URL",
        help="Database: a path or any SQLAlchemy URL.  [default: runs/foundry.db]",
        show_envvar=True,
    )(function)


def device_option(function: F) -> F:
    """`--device auto|metal|cpu`, another package's engine, or `module:Class`."""
    return click.option(
        "--device",
        type=DEVICE,
        default="auto",
        show_default=True,
        envvar="FOUNDRY_DEVICE",
        show_envvar=True,
        metavar=DEVICE_METAVAR,
        help="Where kernels run; auto takes Metal where it works, else the CPU.",
    )(function)


def searched_device_option(function: F) -> F:
    """`--device`, or `model:CHIP` for a chip that is not here."""
    return click.option(
        "--device",
        type=SEARCHED_DEVICE,
        default="auto",
        show_default=True,
        envvar="FOUNDRY_DEVICE",
        show_envvar=True,
        metavar=SEARCHED_METAVAR,
        help="Where kernels run; auto takes Metal where it works, else the CPU. With model:m4-max "
        "they are proven on the CPU, and their times on that chip are predicted.",
    )(function)


def seed_option(function: F) -> F:
    """`--seed`, of every random choice but the inputs of kernels, which are drawn in secret."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**31 - 1),
        default=0,
        show_default=True,
        envvar="FOUNDRY_SEED",
        show_envvar=True,
        help="Seed of every random choice.",
    )(function)


def inputs_seed_option(function: F) -> F:
    """`--seed`, of the inputs alone."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**48 - 1),
        default=None,
        help="Seed of the inputs, to repeat an evaluation.  [default: drawn in secret]",
    )(function)


def output_option(folder: str) -> Callable[[F], F]:
    """`-o, --output`, a folder that is made where it does not exist."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        default=folder,
        show_default=True,
        help="Folder to write.",
    )


def selection_options(function: F) -> F:
    """`--ops` and `--device-id`: which stored evaluations are meant."""
    function = click.option(
        "--device-id",
        metavar="ID",
        help="Only records of this device: its id, or how it starts, such as cpu.",
    )(function)
    return click.option("--ops", type=OPS, help="Only these ops, comma-separated.")(function)


def save_option(function: F) -> F:
    """`--save`: keep the verdict in the database."""
    return click.option(
        "--save", is_flag=True, help="Keep kernel and verdict in the database, as runs do."
    )(function)


def bench_option(function: F) -> F:
    """`--bench quick|full|LABEL`."""
    return click.option(
        "--bench",
        default="quick",
        show_default=True,
        metavar="quick|full|LABEL",
        help="Bench workloads to time: the first, all, or the one of that label.",
    )(function)


def json_option(function: F) -> F:
    """`--json`: standard output carries one JSON document and nothing else."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document on standard output."
    )(function)


def debug_option(function: F) -> F:
    """`--debug`, read by the application before the command runs."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        help="Show the traceback of an error.",
    )(function)


def user_code_options(function: F) -> F:
    """`--op-file` and `--templates`: ops and templates from users' own files.

    Both are published through their environment variables, so that worker processes see them.
    """
    function = click.option(
        "--templates",
        "template_folders",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        multiple=True,
        is_eager=True,
        expose_value=False,
        callback=_publish("FOUNDRY_TEMPLATES"),
        help="Folder with templates of your own (repeatable).  [env var: FOUNDRY_TEMPLATES]",
    )(function)
    return click.option(
        "--op-file",
        "op_files",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        is_eager=True,
        expose_value=False,
        callback=_publish("FOUNDRY_OPS"),
        help="Python file with ops of your own (repeatable).  [env var: FOUNDRY_OPS]",
    )(function)


def language_option(function: F) -> F:
    """`--language-version`, published so that worker processes see it."""
    return click.option(
        "--language-version",
        type=LANGUAGE_VERSION,
        envvar=LANGUAGE_SETTING,
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_publish_language,
        help="Metal Shading Language that kernels are read as.  [default: 4.0, of macOS 26]",
    )(function)


def _publish_language(
    ctx: click.Context, param: click.Parameter, version: str | None
) -> str | None:
    if version is not None and not ctx.resilient_parsing:
        before = os.environ.get(LANGUAGE_SETTING)
        os.environ[LANGUAGE_SETTING] = version
        ctx.call_on_close(lambda: _restore(LANGUAGE_SETTING, before))
    return version


def _publish(
    variable: str,
) -> Callable[[click.Context, click.Parameter, tuple[Path, ...]], tuple[Path, ...]]:
    """A callback that adds the paths to `variable` for as long as the command runs."""

    def publish(
        ctx: click.Context, param: click.Parameter, paths: tuple[Path, ...]
    ) -> tuple[Path, ...]:
        if paths and not ctx.resilient_parsing:
            before = os.environ.get(variable)
            parts = [*([before] if before else []), *(str(path.resolve()) for path in paths)]
            os.environ[variable] = os.pathsep.join(parts)
            ctx.call_on_close(lambda: _restore(variable, before))
        return paths

    return publish


def _restore(variable: str, before: str | None) -> None:
    if before is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = before
