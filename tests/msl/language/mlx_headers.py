"""MLX's own kernel headers, from the installed wheel, as one text for a kernel's `header`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import mlx

INCLUDE = Path(next(iter(mlx.__path__))) / "include"
KERNELS = INCLUDE / "mlx" / "backend" / "metal" / "kernels"
_PREAMBLE = {"bf16.h", "bf16_math.h", "complex.h", "defines.h", "logging.h", "utils.h"}
_CONSTANT = re.compile(
    r"\b(constant|STEEL_CONST) (bool|int) (\w+) \[\[function_constant\(\d+\)\]\]"
)


def text_of(names: Sequence[str]) -> str:
    """The headers in order, their includes put in once, function constants set to false."""
    seen: set[Path] = set()
    text = "\n".join(_inline(KERNELS / name, seen) for name in names)
    return _CONSTANT.sub(r"constant \2 \3 = 0", text)


def _inline(path: Path, seen: set[Path]) -> str:
    if path in seen or (path.parent == KERNELS and path.name in _PREAMBLE):
        return ""
    seen.add(path)
    lines = []
    for line in path.read_text().split("\n"):
        include = re.match(r'\s*#\s*include\s+"(.*)"', line)
        if include:
            lines.append(_inline(INCLUDE / include[1], seen))
        elif "#pragma once" not in line:
            lines.append(line)
    return "\n".join(lines)
