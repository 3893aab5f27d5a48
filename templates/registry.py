"""Finds templates: Metal text with holes, and the knobs that fill them.

1. A template is two files: `NAME.metal`, the jinja2 text of a kernel file, beside `NAME.toml`,
   its op, summary, knobs and constraints.
2. Built-in templates lie in this package, one folder per family. A user's own are found in the
   folders of `FOUNDRY_TEMPLATES` and in those that entry points name.
3. Every file is checked when it is read, so that `space` and `render` meet none that is broken.

`registry.py` owns files and names, `space.py` the points of a knob space, `render.py` the text.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from ops.errors import UsageError, unknown
from ops.expressions import ExpressionError, holds, names_in

Value = int | str | bool

ENTRY_POINT_GROUP = "metal_foundry.templates"
"""Each entry names a folder: a path, or a package whose folder holds templates."""
FOLDERS_VARIABLE = "FOUNDRY_TEMPLATES"
"""Environment variable: folders of templates, separated as in PATH."""

_KEYS = ("op", "summary", "start", "constraints", "knobs")


@dataclass(frozen=True)
class Template:
    """Metal text with holes for one op, and the values that may fill them."""

    name: str
    op: str
    summary: str
    knobs: Mapping[str, tuple[Value, ...]]
    """Ordered values of each knob; the first of each is the default."""
    constraints: tuple[str, ...]
    """Conditions over integer and boolean knobs that every valid point meets."""
    source: str
    """jinja2 text of a kernel file."""
    start: bool = False
    """Whether a search of the op starts here: the plain first version."""

    def __hash__(self) -> int:
        return hash((self.name, self.source))

    def broken_constraint(self, values: Mapping[str, Value]) -> str | None:
        """The first constraint that the values do not meet, or None."""
        numbers = {name: int(v) for name, v in values.items() if not isinstance(v, str)}
        return next((c for c in self.constraints if not holds(c, numbers)), None)


def get(name: str) -> Template:
    """The template of that name.

    Raises:
        UsageError: No such template; carries the nearest names.
    """
    templates = all_templates()
    if name not in templates:
        raise unknown("template", name, templates)
    return templates[name]


def for_op(op: str) -> tuple[Template, ...]:
    """Templates of an op, the starting template first; empty when there is none."""
    found = [template for template in all_templates().values() if template.op == op]
    return tuple(sorted(found, key=lambda template: not template.start))


def all_templates() -> Mapping[str, Template]:
    """Every template by name: built in, from `FOUNDRY_TEMPLATES`, from entry points.

    Raises:
        UsageError: A folder or file that cannot be read as templates, or a name used twice.
    """
    return _collect(os.environ.get(FOLDERS_VARIABLE, ""))


def load_folder(path: Path) -> tuple[Template, ...]:
    """Every template of a folder and the folders in it, by name.

    Raises:
        UsageError: No folder, no template in it, or a file that breaks the format.
    """
    if not path.is_dir():
        raise UsageError(f"no folder {path}; {FOLDERS_VARIABLE} lists folders of templates")
    files = sorted(path.rglob("*.toml"), key=lambda file: (file.stem, str(file)))
    if not files:
        raise UsageError(f"{path} holds no template; a template is NAME.metal beside NAME.toml")
    return tuple(_read(file) for file in files)


@cache
def _collect(folders: str) -> Mapping[str, Template]:
    found: dict[str, Template] = {}
    places = [Path(__file__).parent, *(Path(p) for p in folders.split(os.pathsep) if p)]
    for place in [*places, *_entry_point_folders()]:
        for template in load_folder(place):
            if template.name in found:
                raise UsageError(
                    f"template '{template.name}' of {place} exists already; choose a new name"
                )
            found[template.name] = template
    return MappingProxyType(found)


def _entry_point_folders() -> Iterator[Path]:
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            target = point.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"cannot load templates of entry point {point.name}: {error}"
            ) from None
        if isinstance(target, ModuleType):
            target = next(iter(getattr(target, "__path__", ())), None)
        if not isinstance(target, str | os.PathLike):
            raise UsageError(f"entry point {point.name} of {ENTRY_POINT_GROUP} names no folder")
        yield Path(target)


def _read(file: Path) -> Template:
    metal = file.with_suffix(".metal")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        source = metal.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read template {file}: {error}") from None
    try:
        return _template(file.stem, table, source)
    except (UsageError, ExpressionError) as error:
        raise UsageError(f"template {file}: {error}") from None


def _template(name: str, table: Mapping[str, Any], source: str) -> Template:
    for key in table:
        if key not in _KEYS:
            raise unknown("key", key, _KEYS)
    knobs = table.get("knobs", {})
    if not isinstance(knobs, dict):
        raise UsageError("[knobs] is a table of lists")
    template = Template(
        name=name,
        op=_text(table, "op"),
        summary=_text(table, "summary"),
        knobs=MappingProxyType({knob: _values(knob, given) for knob, given in knobs.items()}),
        constraints=_constraints(table.get("constraints", []), knobs),
        source=source,
        start=table.get("start", False) is True,
    )
    first = {knob: values[0] for knob, values in template.knobs.items()}
    if broken := template.broken_constraint(first):
        raise UsageError(f"the first value of every knob is the default, but {broken} is not met")
    return template


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{key} is missing; give it as text")
    return value


def _values(knob: str, given: object) -> tuple[Value, ...]:
    if not knob.isidentifier():
        raise UsageError(f"knob '{knob}' is not a name")
    if not isinstance(given, list) or not given:
        raise UsageError(f"knob '{knob}' needs a list of values, the default first")
    kinds = {type(value) for value in given}
    if len(kinds) > 1 or not kinds <= {int, str, bool}:
        raise UsageError(f"knob '{knob}': values are all integers, all booleans or all text")
    if len(set(given)) < len(given):
        raise UsageError(f"knob '{knob}' lists a value twice")
    return tuple(given)


def _constraints(given: object, knobs: Mapping[str, Any]) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise UsageError("constraints is a list of conditions")
    numeric = [name for name, values in knobs.items() if not _is_text(values)]
    for text in given:
        for name in names_in(text):
            if name not in numeric:
                raise unknown("integer or boolean knob", name, numeric)
    return tuple(given)


def _is_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)
