"""Finds templates: Metal text with holes, and the knobs that fill them.

1. A template is two files: `NAME.metal`, the jinja2 text of a kernel file, beside `NAME.toml`,
   its op or family, summary, knobs and constraints. One for a family stands for as many templates
   as the family has members.
2. Built-in templates lie in this package, one folder per family. A user's own are found in the
   folders of `FOUNDRY_TEMPLATES` and in those that entry points name.
3. Every file is checked when it is read, so that `space` and `render` meet none that is broken.

`registry.py` owns files and names, `families.py` the members of a family, `space.py` the points of
a knob space, `render.py` the text.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from ops.errors import UsageError, unknown
from ops.registry import all_ops
from ops.spec import Op
from ops.texts.expressions import ExpressionError, names_in
from templates.families import FamilyTemplate
from templates.template import Template, Value

ENTRY_POINT_GROUP = "metal_foundry.templates"
"""Each entry names a folder: a path, or a package whose folder holds templates."""
FOLDERS_VARIABLE = "FOUNDRY_TEMPLATES"
"""Environment variable: folders of templates, separated as in PATH."""

_KEYS = ("op", "family", "summary", "start", "uses", "constraints", "knobs")


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
    """Templates of an op, the starting template first; empty when there is none.

    Raises:
        UsageError: A folder or file that cannot be read as templates, or a name used twice.
    """
    known = all_ops()
    found = _named([known[op]] if op in known else [])
    own = [template for template in found.values() if template.op == op]
    return tuple(sorted(own, key=lambda template: not template.start))


def all_templates() -> Mapping[str, Template]:
    """Every template by name: built in, from `FOUNDRY_TEMPLATES`, from entry points.

    Raises:
        UsageError: A folder or file that cannot be read as templates, or a name used twice.
    """
    return MappingProxyType(_named(all_ops().values()))


def _named(ops: Collection[Op]) -> dict[str, Template]:
    """Templates by name; those of families for some ops alone: a search asks for one."""
    found: dict[str, Template] = {}
    for place, files in _collect(os.environ.get(FOLDERS_VARIABLE, "")):
        for template in _bound(files, ops):
            if template.name in found:
                raise UsageError(
                    f"template '{template.name}' of {place} exists already; choose a new name"
                )
            found[template.name] = template
    own = {t.op for t in found.values() if t.start and not t.family}
    plain = (replace(t, start=False) if t.family and t.op in own else t for t in found.values())
    return {template.name: template for template in plain}


def one_of_each_text() -> tuple[Template, ...]:
    """Every template of one op, and those of a family for its first member only."""
    firsts: dict[object, Template] = {}
    for template in all_templates().values():
        key = (template.family, template.source) if template.family else template.name
        firsts.setdefault(key, template)
    return tuple(firsts.values())


def load_folder(path: Path) -> tuple[Template, ...]:
    """Every template of a folder and the folders in it, by name; those of a family for each member.

    Raises:
        UsageError: No folder, no template in it, or a file that breaks the format.
    """
    return tuple(_bound(_read_folder(path), all_ops().values()))


def _bound(files: Iterable[Template | FamilyTemplate], ops: Collection[Op]) -> Iterator[Template]:
    for file in files:
        if isinstance(file, Template):
            yield file
        else:
            yield from (file.bind(op) for op in ops if file.renders(op))


def _read_folder(path: Path) -> tuple[Template | FamilyTemplate, ...]:
    if not path.is_dir():
        raise UsageError(f"no folder {path}; {FOLDERS_VARIABLE} lists folders of templates")
    files = sorted(path.rglob("*.toml"), key=lambda file: (file.stem, str(file)))
    if not files:
        raise UsageError(f"{path} holds no template; a template is NAME.metal beside NAME.toml")
    return tuple(_read(file) for file in files)


@cache
def _collect(folders: str) -> tuple[tuple[Path, tuple[Template | FamilyTemplate, ...]], ...]:
    places = [Path(__file__).parent, *(Path(p) for p in folders.split(os.pathsep) if p)]
    return tuple((place, _read_folder(place)) for place in [*places, *_entry_point_folders()])


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


def _read(file: Path) -> Template | FamilyTemplate:
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


def _template(name: str, table: Mapping[str, Any], source: str) -> Template | FamilyTemplate:
    for key in table:
        if key not in _KEYS:
            raise unknown("key", key, _KEYS)
    given = table.get("knobs", {})
    if not isinstance(given, dict):
        raise UsageError("[knobs] is a table of lists")
    summary, start = _text(table, "summary"), table.get("start", False) is True
    knobs = MappingProxyType({knob: _values(knob, values) for knob, values in given.items()})
    constraints = _constraints(table.get("constraints", []), given)
    if "family" in table:
        family, uses = _text(table, "family"), _uses(table, knobs, constraints)
        return FamilyTemplate(name, family, summary, knobs, uses, constraints, source, start)
    template = Template(name, _text(table, "op"), summary, knobs, constraints, source, start)
    first = {knob: values[0] for knob, values in template.knobs.items()}
    if broken := template.broken_constraint(first):
        raise UsageError(f"the first value of every knob is the default, but {broken} is not met")
    return template


def _uses(
    table: Mapping[str, Any], knobs: Mapping[str, Any], constraints: tuple[str, ...]
) -> Mapping[str, str]:
    if "op" in table:
        raise UsageError("op and family exclude each other; give one of them")
    uses = table.get("uses", {})
    if not isinstance(uses, dict) or not all(isinstance(f, str) for f in uses.values()):
        raise UsageError('[uses] names a function by knob, such as fast_exp = "exp"')
    for knob in uses:
        if knob not in knobs:
            raise unknown("knob", knob, knobs)
        if any(knob in names_in(condition) for condition in constraints):
            raise UsageError(f"knob '{knob}' is missing for some members; no constraint may use it")
    return MappingProxyType(uses)


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
