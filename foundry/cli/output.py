"""Results on stdout, as a table or as one JSON document; notes on stderr."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import click

from foundry.report.table import Column, table


def print_json(document: Any) -> None:
    """One JSON document on stdout; infinities and NaN become texts, as JSON has none."""
    click.echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout: cut to the terminal's width, uncut when it goes elsewhere."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(table(columns, rows, width))


def colour_wanted(stream: TextIO) -> bool:
    """Whether colour may be written: a terminal, and no `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def note(line: str) -> None:
    """One line on stderr, for a person."""
    click.echo(line, err=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
