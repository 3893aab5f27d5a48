"""A text after the preprocessor, every line on its number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from foundry.msl.frontend.language import Language

Preprocess = Callable[[str], str]
"""Expands macros in a text and keeps line markers, as `clang -E`."""
_MARKER = re.compile(r'# (\d+) "([^"]*)"')
_UNROLL = re.compile(r"(?m)^[ \t]*#[ \t]*pragma[ \t]+(?=unroll\b|clang[ \t]+loop\b)")
_HELD = "mf_pragma "
_FREED = re.compile(rf"(?m)^[ \t]*{_HELD}")
"""The compiler expands macros in `#pragma unroll (MIN(N, 4))`, its preprocessor alone does not."""


def expand(parts: Mapping[str, str], preprocess: Preprocess, language: Language) -> dict[str, str]:
    """The parts of a text with their macros expanded, as one text in their order."""
    text = language.macros()
    for part, content in parts.items():
        text += f'#line 1 "{part}"\n{_UNROLL.sub(_HELD, content)}\n'
    expanded = dict.fromkeys(parts, "")
    part = ""
    for line in _FREED.sub("#pragma ", preprocess(text)).split("\n"):
        marker = _MARKER.match(line)
        if marker:
            part = marker[2]
            if part in expanded:
                missing = int(marker[1]) - 1 - expanded[part].count("\n")
                expanded[part] += "\n" * max(0, missing)
        elif part in expanded:
            expanded[part] += line + "\n"
    return expanded
