"""Fills the holes of a template: a point of its knob space becomes a kernel file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import UsageError, unknown
from ops.texts.metal import with_precise_calls
from templates import space
from templates.space import Point
from templates.template import Template, Value

if TYPE_CHECKING:
    import jinja2

SHARED = Path(__file__).parent / "shared"
"""Folder of the macros that a template may import, such as `rows.jinja`."""


def render(template: Template, point: Point) -> str:
    """Text of the kernel file at a point.

    Args:
        template: The template to fill.
        point: Knob values; a knob that is not given takes its default.

    Raises:
        UsageError: An unknown knob or value, a constraint that is not met, or a template that
            jinja2 cannot render.
    """
    import jinja2

    values = complete(template, point)
    try:
        text = _compiled(template.source).render({**values, **_member(template)})
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(f"template '{template.name}' line {error.lineno}: {error}") from None
    except jinja2.TemplateError as error:
        raise UsageError(f"template '{template.name}': {error}") from None
    return with_precise_calls(text.strip("\n")) + "\n"


def _member(template: Template) -> dict[str, object]:
    return {"op": template.member} if template.family else {}


def complete(template: Template, point: Point) -> dict[str, Value]:
    """All knob values of a point, defaults filled in, checked.

    Raises:
        UsageError: An unknown knob or value, or a constraint that is not met.
    """
    for knob in point:
        if knob not in template.knobs:
            raise unknown(f"knob of {template.name}", knob, template.knobs)
    values: dict[str, Value] = {**space.default(template), **point}
    if space.valid(template, values):
        return values
    for knob, known in template.knobs.items():
        if not space.valid_value(known, values[knob]):
            raise UsageError(
                f"knob '{knob}' of {template.name} cannot be {values[knob]!r}: "
                f"{_nearest(known, values[knob])}"
            )
    raise UsageError(
        f"{template.name}: {template.broken_constraint(values)} is not met by "
        + ", ".join(f"{knob}={value}" for knob, value in values.items())
    )


def _nearest(known: tuple[Value, ...], value: Value) -> str:
    def numeric(v: Value) -> bool:
        return isinstance(v, int) and not isinstance(v, bool)

    choices = ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in known)
    if numeric(value) and all(numeric(v) for v in known):
        near = min(known, key=lambda v: abs(int(v) - int(value)))
        return f"the nearest is {near}; known: {choices}"
    return f"known: {choices}"


@cache
def _environment() -> jinja2.Environment:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(SHARED),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters["calling"] = calling
    return environment


def calling(text: str, function: str, other: str) -> str:
    """Metal text with calls of one function turned into calls of another: `exp`, `fast::exp`."""
    return re.sub(rf"(?<![\w:]){re.escape(function)}(?=\s*\()", other, text)


@cache
def _compiled(source: str) -> jinja2.Template:
    return _environment().from_string(source)
