"""MLX text: the expressions and straight statements that a baseline may hold.

One expression (`"mx.square(mx.maximum(x, 0))"`), or lines of assignments and `for` loops that end
in `return`. The text is parsed into Python's syntax tree and held to a list of what may stand in
it, so that whoever reads an op file knows that a baseline computes and does nothing else.
"""

from __future__ import annotations

import ast
import functools
import symtable
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

MODULES = ("mx", "math")
"""Modules a text may use: `mlx.core` and Python's `math`."""
BUILTINS: Mapping[str, Any] = MappingProxyType(
    {
        f.__name__: f
        for f in (abs, bool, enumerate, float, int, len, list, max, min, range)
        + (reversed, round, slice, sum, tuple, zip)
    }
)
"""Python's functions a text may use."""

_STATEMENTS = (ast.Assign, ast.AugAssign, ast.For, ast.FunctionDef, ast.Return)
_REFUSED_NODES: Mapping[type[ast.AST], str] = MappingProxyType(
    {
        ast.NamedExpr: "':='",
        ast.Await: "'await'",
        ast.Yield: "'yield'",
        ast.YieldFrom: "'yield from'",
        ast.JoinedStr: "an f-string",
    }
)
_REFUSED_ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "item": "reads a value back, which no compiled or differentiated function can",
        "tolist": "reads values back, which no compiled or differentiated function can",
        "eval": "waits for a result; whoever calls a baseline does that",
        "async_eval": "starts an evaluation; whoever calls a baseline does that",
        "compile": "is asked for with Baseline(text, compiled=True)",
        "seed": "changes the state of MLX for every other call",
        **dict.fromkeys(("load", "import_function"), "reads a file"),
        **dict.fromkeys(
            ("save", "savez", "savez_compressed", "save_safetensors", "save_gguf"), "writes a file"
        ),
        **dict.fromkeys(
            ("export_function", "exporter", "export_to_dot", "start_capture"), "writes a file"
        ),
        "set_default_device": "changes the state of MLX for every other call",
        "set_default_stream": "changes the state of MLX for every other call",
    }
)


class MlxTextError(ValueError):
    """What is wrong with a text, and on which of its lines (from 1)."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line


@functools.lru_cache(maxsize=1024)
def statements(text: str) -> str:
    """The text as the body of a function: its lines, the last one a `return`.

    Raises:
        MlxTextError: Not Python, or neither one expression nor lines that end in `return`.
    """
    lines = textwrap.dedent(text).strip("\n").rstrip()
    try:
        ast.parse(lines, mode="eval")
    except SyntaxError:
        return _returning(lines)
    return f"return {lines.lstrip()}"


def _returning(lines: str) -> str:
    try:
        body = ast.parse(lines).body
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise MlxTextError(line, f"not Python: {getattr(error, 'msg', error)}") from None
    if not body:
        raise MlxTextError(1, "the text is empty")
    if not isinstance(body[-1], ast.Return):
        raise MlxTextError(body[-1].lineno, "the last line of several is a 'return'")
    return lines


def names_in(text: str) -> dict[str, int]:
    """Names that a text takes from outside, with the first line of each.

    Raises:
        MlxTextError: As `statements`.
    """
    body = statements(text)
    tree = ast.parse(body)
    wanted = _outside(symtable.symtable(_defined(body), "<baseline>", "exec"))
    loads = (n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in wanted)
    found: dict[str, int] = {}
    for name in sorted(loads, key=lambda n: (n.lineno, n.col_offset)):
        found.setdefault(name.id, name.lineno)
    return found


def _defined(body: str) -> str:
    return "def baseline():\n" + textwrap.indent(body, "    ")


def _outside(table: symtable.SymbolTable) -> set[str]:
    inside = {s.get_name() for s in table.get_symbols() if s.is_global()}
    return inside.union(*(_outside(child) for child in table.get_children()))


def faults(text: str, known: Iterable[str]) -> Iterator[str]:
    """Everything in a text that may not stand there, each in one sentence with its line.

    Args:
        text: The text.
        known: Names of the op that it may use, beside `mx`, `math` and some functions of Python.
    """
    try:
        tree = ast.parse(statements(text))
        for statement in tree.body:
            _check_statement(statement, last=statement is tree.body[-1])
        for node in ast.walk(tree):
            _check_node(node)
        used = names_in(text)
    except MlxTextError as error:
        yield str(error)
        return
    allowed = (*MODULES, *dict.fromkeys(known))
    for name, line in used.items():
        if name not in allowed and name not in BUILTINS:
            yield f"line {line}: unknown name '{name}'; known: {', '.join(allowed)}"


def _check_statement(node: ast.stmt, *, last: bool) -> None:
    if not isinstance(node, _STATEMENTS):
        raise MlxTextError(
            node.lineno,
            f"'{ast.unparse(node).splitlines()[0]}' may not stand here; a baseline holds "
            "assignments, 'for' loops and one 'return'",
        )
    if isinstance(node, ast.Return) and (node.value is None or not last):
        raise MlxTextError(node.lineno, "one 'return', with a value, is the last line")
    if isinstance(node, ast.FunctionDef) and node.decorator_list:
        raise MlxTextError(node.lineno, "a function in a baseline has no decorator")
    inner = [] if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) else node.body
    for statement in inner:
        _check_statement(
            statement,
            last=isinstance(node, ast.FunctionDef) and statement is inner[-1],
        )


def _check_node(node: ast.AST) -> None:
    line = getattr(node, "lineno", 1)
    if type(node) in _REFUSED_NODES:
        raise MlxTextError(line, f"{_REFUSED_NODES[type(node)]} may not stand in a baseline")
    if isinstance(node, ast.Attribute):
        if node.attr.startswith("_"):
            raise MlxTextError(line, f"'.{node.attr}' is private; use what MLX documents")
        if node.attr in _REFUSED_ATTRIBUTES:
            raise MlxTextError(line, f"'.{node.attr}' {_REFUSED_ATTRIBUTES[node.attr]}")
    if isinstance(node, ast.Name) and node.id.startswith("__"):
        raise MlxTextError(line, f"'{node.id}' is a word of Python's own; choose another name")
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in MODULES:
        raise MlxTextError(line, f"'{node.id}' is a module; choose another name")


def unknown_to_mlx(text: str, mx: Any) -> str | None:
    """The first `mx.…` of a text that this MLX does not have, such as `line 2: mx.sofmax`."""
    for node in ast.walk(ast.parse(statements(text))):
        if isinstance(node, ast.Attribute) and (path := _path(node)):
            found = mx
            for part in path:
                found = getattr(found, part, None)
                if found is None:
                    return f"line {node.lineno}: mx.{'.'.join(path)}"
    return None


def _path(node: ast.expr) -> tuple[str, ...]:
    """`("fast", "rope")` of `mx.fast.rope`; nothing for what does not start with `mx`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return tuple(parts) if isinstance(node, ast.Name) and node.id == "mx" else ()
