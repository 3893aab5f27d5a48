"""The Python file of an op that was authored: people read it, and the judge's workers load it."""

from __future__ import annotations

import ast
import hashlib
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from numbers import Real

from foundry.authoring.constants import FLOAT32_MAX
from foundry.authoring.expression import (
    FUNCTIONS,
    REDUCTIONS,
    Tree,
    derivative,
    flops,
    names_of,
    read,
    read_derivative,
    written,
)
from foundry.errors import UsageError
from ops.declaring.validation import refused_name

_HEAD = '''"""Made of an expression by foundry.authoring: {said}"""

from __future__ import annotations

import numpy

from ops.declaring.cases import ROWS_HIDDEN, ROWS_VISIBLE
from ops.families.forms.pointwise import BENCH, elements, pointwise
from ops.families.forms.rowwise import Layout, rowwise
from ops.families.pointwise.elementwise import LOG_ONE_PLUS
from ops.matches import Close
from ops.workload import Tensor

'''
_PASS = re.compile(r"p\d+")
_NOT_METAL = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|//[^\n]*|\.\w+", re.DOTALL)
_TEMPLATES = ("elements.jinja", "rowwise.jinja", "rows.jinja")
"""What the kernels of authored functions are filled into."""
_ALSO_TAKEN = ("out", "numpy", "log_one_plus", "INFINITY", "NAN", "MAXFLOAT")


@dataclass(frozen=True)
class Authored:
    """What a user wrote."""

    expression: str
    inputs: tuple[str, ...]
    """Names; in rows `weight[cols]` has one element a column, `scale[rows]` one a row."""
    params: Mapping[str, float] = field(default_factory=dict)
    kind: str = "elementwise"
    """`elementwise`, `rowwise` or `map_reduce`."""
    reduction: str = ""
    """Of `map_reduce`."""
    gradients: Mapping[str, str] | None = None
    """Expressions of the gradient by input, over inputs and `dout`; None: none of its own."""
    is_gradient_given: bool = False
    """Whether these are the author's, of which MLX knows nothing, and not derived."""

    @property
    def name(self) -> str:
        """Of the op: equal texts have equal names."""
        gradients = sorted((self.gradients or {}).items())
        key = repr((self.expression, self.inputs, sorted(self.params.items()), self.kind))
        key += repr((self.reduction, gradients))
        return f"authored_{hashlib.sha256(key.encode()).hexdigest()[:10]}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, without where they lie."""
        return tuple(text.partition("[")[0].strip() for text in self.inputs)


def check(authored: Authored) -> None:
    """Refuse what cannot be made an op.

    Raises:
        UsageError: Names that are no names or mean something else, or no inputs.
    """
    known = (*authored.names, *authored.params)
    if not authored.inputs:
        raise UsageError("an expression needs at least one input; name it: inputs=('x',)")
    for name in known:
        if name in _taken() or _PASS.fullmatch(name) or refused_name(name):
            what = "a parameter" if name in authored.params else "an input"
            raise UsageError(f"'{name}' cannot name {what}; choose another word")
    if len(set(known)) < len(known):
        raise UsageError(f"a name is given twice: {', '.join(known)}")
    if authored.gradients is not None:
        made = {"dout", *(f"d{name}" for name in authored.names)}
        if clash := made & set(known):
            raise UsageError(
                f"'{min(clash)}' is the name of a gradient; choose another word, or grad=False"
            )


@cache
def _taken() -> frozenset[str]:
    """Words that mean something where expressions are written down."""
    shared = resources.files("templates") / "shared"
    texts = (_NOT_METAL.sub(" ", (shared / name).read_text()) for name in _TEMPLATES)
    words = {word for text in texts for word in re.findall(r"[A-Za-z_]\w*", text)}
    return frozenset({*words, *FUNCTIONS, *REDUCTIONS, *_ALSO_TAKEN})


def numbers(params: Mapping[str, float] | None) -> dict[str, float]:
    """Parameters as kernels take them.

    Raises:
        UsageError: One that is no number, or none that float32 holds.
    """
    named = params is None or isinstance(params, Mapping)
    if not named or not all(isinstance(name, str) for name in params or {}):
        raise UsageError(f"params is {params!r}; give numbers by name, as {{'eps': 1e-5}}")
    found = {}
    for name, value in (params or {}).items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not abs(value) <= FLOAT32_MAX:
            raise UsageError(f"parameter '{name}' is {value!r}; give a number that float32 holds")
        found[name] = float(value)
    return found


def elementwise_text(authored: Authored) -> str:
    """The file of an op of elements, and of its gradient where it has one."""
    names = (*authored.names, *authored.params)
    tree = read(authored.expression, names)
    blocks = [_pointwise("OP", authored.name, authored, {"out": tree}, names)]
    if authored.gradients is not None:
        given = (*authored.names, "dout", *authored.params)
        texts = authored.gradients.items()
        wanted = {f"d{n}": read_derivative(text, given) for n, text in texts}
        backward = Authored(authored.expression, (*authored.names, "dout"), authored.params)
        name = f"{authored.name}_vjp"
        blocks.append(_pointwise("GRADIENT", name, backward, wanted, given, authored))
    return _HEAD.format(said=_quoted(authored.expression)) + "\n\n".join(blocks) + "\n"


def derived(authored: Authored) -> dict[str, str]:
    """Gradients of an elementwise expression by every input, as text over `dout`."""
    tree = read(authored.expression, (*authored.names, *authored.params))
    found = {}
    for name in authored.names:
        product = ast.BinOp(derivative(tree, name), ast.Mult(), ast.Name("dout"))
        found[name] = ast.unparse(ast.fix_missing_locations(ast.Expression(product)))
    return found


def _pointwise(
    variable: str,
    name: str,
    authored: Authored,
    outputs: Mapping[str, Tree],
    names: Sequence[str],
    forward: Authored | None = None,
) -> str:
    first = authored.names[0]
    numpy = ", ".join(_full(t, written(t, "numpy"), first, "numpy") for t in outputs.values())
    metal = {output: written(tree, "metal") for output, tree in outputs.items()}
    inputs = ", ".join(f'elements("{n}")' for n in authored.names)
    return f'''
def {name}_formula({", ".join(names)}):
    with numpy.errstate(all="ignore"):
        return ({numpy},)


{variable} = pointwise(
    "{name}",
    "elementwise",
    ({inputs},),
    {metal!r},
    np={name}_formula,
    steps={name}_formula,
    mlx={_mlx(authored.names, outputs)!r},
    helpers={_helpers(*metal.values())},
    flops={max(1, sum(map(flops, outputs.values())))},
    params={dict(authored.params)!r},
    formula={"; ".join(f"{o} = {_quoted(ast.unparse(t))}" for o, t in outputs.items())!r},
    gradient_of={forward.name if forward else ""!r},
)
'''


def rows_text(authored: Authored) -> str:
    """The file of an op of rows."""
    names = (*authored.names, *authored.params)
    text = authored.expression
    if authored.kind == "map_reduce":
        text = f"{authored.reduction}({authored.expression})"
    tree = read(text, names, reductions=True)
    found = _Passes(authored.names)
    value = found.visit(tree)
    if authored.kind == "map_reduce":
        output = 'Tensor("out", ("rows",), match=Close("cols"))'
        numpy, mlx = f"({found.numpy(value)})[:, 0]", f"({found.mlx(value)})[:, 0]"
    else:
        output = 'Tensor("out", ("rows", "cols"), match=Close("cols"))'
        # Reductions keep an axis of 1 that names the input too.
        numpy = _spread(found.numpy(value), authored.names[0], "numpy")
        mlx = _spread(found.mlx(value), authored.names[0], "mx")
    return (
        _HEAD.format(said=_quoted(authored.expression))
        + f'''
def {authored.name}_formula({", ".join(names)}):
    with numpy.errstate(all="ignore"):
{textwrap.indent(_shaped(authored, "None"), " " * 8)}        return ({numpy},)


OP = rowwise(
    "{authored.name}",
    "rowwise",
    ({", ".join(map(_row_input, authored.inputs))},),
    ({output},),
    np={authored.name}_formula,
    steps=lambda stored, *given, **named: {authored.name}_formula(*given, **named),
    mlx={_row_mlx(authored, mlx)!r},
    passes={found.passes!r},
    metal={{"out": {written(value, "metal")!r}}},
    helpers={_helpers(*found.passes.values(), written(value, "metal"))},
    flops={max(1, flops(tree))},
    cases=(ROWS_VISIBLE, tuple(c for c in ROWS_HIDDEN if c.axes["cols"]), BENCH),
    layout=Layout(cols_metal="{authored.names[0]}_shape[1]"),
    params={dict(authored.params)!r},
    formula={_quoted(text)!r},
)
'''
    )


class _Passes(ast.NodeTransformer):
    """Reductions of a tree become names of passes, found in order."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs = inputs
        self.passes: dict[str, str] = {}
        self._trees: dict[str, tuple[str, Tree]] = {}

    def visit_Call(self, node: ast.Call) -> Tree:
        """A reduction of a reduced argument; any other call over its own arguments."""
        arguments = [self.visit(argument) for argument in node.args]
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in REDUCTIONS:
            return ast.Call(node.func, arguments, [])
        kind = "sum" if name == "mean" else name
        text = f"{kind} of {written(arguments[0], 'metal')}"
        at = next((at for at, known in self.passes.items() if known == text), None)
        if at is None:
            at = f"p{len(self.passes)}"
            self.passes[at] = text
            self._trees[at] = kind, arguments[0]
        found: Tree = ast.Name(at)
        return ast.BinOp(found, ast.Div(), ast.Name("float(cols)")) if name == "mean" else found

    def numpy(self, tree: Tree) -> str:
        """NumPy text with the reductions in their places."""
        return self._put(tree, "numpy", "numpy.{1}({0}, axis=-1, keepdims=True)")

    def mlx(self, tree: Tree) -> str:
        """MLX text with the reductions in their places."""
        return self._put(tree, "mlx", "mx.{1}({0}, axis=-1, keepdims=True)")

    def _put(self, tree: Tree, language: str, form: str) -> str:
        width = f"{self.inputs[0]}.shape[-1]"
        text = written(tree, language).replace("float(cols)", width)
        for at in reversed(self.passes):
            kind, inner = self._trees[at]
            library = "numpy" if language == "numpy" else "mx"
            full = _full(inner, written(inner, language), self.inputs[0], library)
            reduced = form.format(full, kind)
            text = re.sub(rf"\b{at}\b", reduced.replace("float(cols)", width), text)
        return text


def _row_input(text: str) -> str:
    name, bracket, where = text.partition("[")
    match bracket + where.rstrip():
        case "":
            return f'elements("{name.strip()}")'
        case "[cols]" | "[rows]" as axis:
            return f'Tensor("{name.strip()}", ("{axis.strip("[]")}",))'
    raise UsageError(f"'{text}' lies nowhere; write {name}, {name}[cols] or {name}[rows]")


def _shaped(authored: Authored, new: str) -> str:
    """A statement that makes columns of what has one element a row."""
    by_row = [n for n, t in zip(authored.names, authored.inputs, strict=True) if "[rows" in t]
    return "".join(f"{n} = {n}[:, {new}]\n" for n in by_row)


def _mlx(names: Sequence[str], outputs: Mapping[str, Tree]) -> str:
    """In float32, as kernels compute, and rounded once."""
    wide = [f"{name} = {name}.astype(mx.float32)" for name in names]
    texts = [_full(tree, written(tree, "mlx"), names[0], "mx") for tree in outputs.values()]
    values = [f"({text}).astype(dtype)" for text in texts]
    result = values[0] if len(values) == 1 else f"({', '.join(values)})"
    return "\n".join([*wide, f"return {result}"])


def _row_mlx(authored: Authored, value: str) -> str:
    wide = [f"{name} = {name}.astype(mx.float32)" for name in authored.names]
    columns = _shaped(authored, "None").splitlines()
    return "\n".join([*wide, *columns, f"return ({value}).astype(dtype)"])


def _full(tree: Tree, text: str, name: str, library: str) -> str:
    """As large as the inputs, also where the expression names none of them."""
    return text if name in names_of(tree) else _spread(text, name, library)


def _spread(text: str, name: str, library: str) -> str:
    return f"{library}.broadcast_to({text}, {name}.shape)"


def _helpers(*texts: str) -> str:
    """The Metal functions that expressions call beside Metal's own, as Python text."""
    return "LOG_ONE_PLUS" if any("log_one_plus(" in text for text in texts) else '""'


def _quoted(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', "'")
