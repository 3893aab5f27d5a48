"""Many models with the kernels of a catalog in several modes: the cells, and what is known of each.

The recipe is a TOML file:

    catalog = "dist/my_kernels-0.1.0-py3-none-any.whl"
    modes = ["stable", "fast"]
    tokens = 50
    [[models]]
    name = "tiny:llama"
    dtype = "bfloat16"      # optional: as the weights are
    quantised = 4           # optional: bits
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.errors import UsageError
from foundry.models.validation import ModelValidation

MODES = ("stable", "fast", "edge")
DTYPES = (None, "float32", "float16", "bfloat16")
"""Of weights; None: as they are."""
BITS = (0, 4, 8)
"""That weights are packed in; 0: they are not."""
COLUMNS = (
    "model", "family", "mode", "catalog", "patterns", "kernels", "tokens", "identical",
    "logits within", "prefill", "decoding", "why",
)  # fmt: skip


@dataclass(frozen=True)
class MatrixCell:
    """One model in one mode."""

    model: str
    mode: str
    dtype: str | None = None
    quantised: int = 0


@dataclass(frozen=True)
class MatrixRecipe:
    """What a matrix is made of."""

    catalog: str
    cells: tuple[MatrixCell, ...]
    tokens: int = 50
    pairs: int = 5


def read(path: Path) -> MatrixRecipe:
    """A recipe from its file; paths in it are meant from the folder of the file.

    Raises:
        UsageError: Not TOML, or a key, mode or value that has no meaning.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no recipe ({error})") from error
    unknown = set(found) - {"catalog", "modes", "tokens", "pairs", "models"}
    if unknown or not isinstance(found.get("catalog"), str) or not found.get("models"):
        said = f"knows no '{min(unknown)}'" if unknown else "needs catalog and [[models]]"
        raise UsageError(f"{path} {said}; it may have catalog, modes, tokens, pairs, [[models]]")
    catalog = found["catalog"]
    if catalog.endswith(".whl"):
        catalog = str(path.parent / catalog)
    cells = tuple(_cells(path, found["models"], found.get("modes", ["stable"])))
    tokens, pairs = (_count(path, found, *of) for of in (("tokens", 2, 50), ("pairs", 0, 5)))
    return MatrixRecipe(catalog, cells, tokens, pairs)


def _count(path: Path, found: Mapping[str, Any], name: str, least: int, absent: int) -> int:
    given = found.get(name, absent)
    if type(given) is not int or given < least:
        raise UsageError(f"{path}: {name} is {given!r}; give a whole number of {least} or more")
    return given


def _cells(path: Path, models: Any, modes: Any) -> Iterator[MatrixCell]:
    if not isinstance(modes, list) or not modes:
        raise UsageError(f"{path}: modes is {modes!r}; give a list of {', '.join(MODES)}")
    for wrong in [mode for mode in modes if mode not in MODES]:
        raise UsageError(f"{path}: mode '{wrong}'; give {', '.join(MODES)}")
    if not isinstance(models, list) or not all(isinstance(row, dict) for row in models):
        raise UsageError(f"{path}: models is {models!r}; give a table [[models]] for each")
    for row in models:
        unknown = set(row) - {"name", "dtype", "quantised"}
        if unknown or not isinstance(row.get("name"), str):
            raise UsageError(f"{path}: {row!r}; a model has name, and may have dtype, quantised")
        bits = row.get("quantised", 0)
        if row.get("dtype") not in DTYPES or type(bits) is not int or bits not in BITS:
            raise UsageError(
                f"{path}: {row!r}; dtype is {', '.join(filter(None, DTYPES))}, and quantised 4 or 8"
            )
        name = row["name"]
        name = name if name.startswith("tiny:") else str(path.parent / name)
        for mode in modes:
            yield MatrixCell(name, mode, row.get("dtype"), bits)


def row_of(found: ModelValidation) -> tuple[str, ...]:
    """A validation as texts, one a column."""
    same, tokens = found.identical
    furthest = max((p.furthest for p in found.prompts), default=0.0)
    return (
        found.model,
        found.family,
        found.mode,
        f"{found.catalog} {found.catalog_version}",
        str(sum(found.patterns.values())),
        ", ".join(found.kernels_ran) or "none",
        str(tokens),
        str(same),
        f"{furthest:.2g}",
        _gain(found.prefill),
        _gain(found.decoding),
        why(found),
    )


def why(found: ModelValidation) -> str:
    """In one sentence what a reader must know of a cell."""
    if "model" in found.left:
        return found.left["model"]
    parted = [p for p in found.prompts if not p.is_same]
    if parted:
        first = min(parted, key=lambda p: p.identical)
        return (
            f"parts at token {first.identical}: the plain model preferred its own by "
            f"{first.plain_margin:.3g}, logits differ by {first.parted_by:.3g}"
        )
    if found.kernels_ran:
        return ""
    reasons = "; ".join(dict.fromkeys(found.kernels_idle.values()))
    return "no kernel answered a call on this machine" + (reasons and f": {reasons}")


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """Rows under their titles, as spreadsheets take them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _gain(found: Any) -> str:
    if found is None:
        return ""
    return f"{found.gain:.2f} [{found.gain_low:.2f}, {found.gain_high:.2f}]"
