"""The user's side of an SFT chat: what kernel is wanted. Never how fast one was.

Pure, and equal for equal input, so that an export can be repeated to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ops.matches import Distribution, Exact, Set, Ties
from ops.spec import Case, Op, Tensor, param_dtype

_FORMAT = """\
Answer with one kernel file and nothing else. It starts with TOML in a comment: a `/*kernel` line,
`op`, `grid` and `threadgroup` (in threads; arithmetic over axes and constants), optionally
`[constants]`, `math_mode`, `init_value`, `atomic_outputs`, and `*/`. Then come helper functions,
the line `// --- body ---`, and the body exactly as mx.fast.metal_kernel takes it: it names inputs,
parameters and outputs as above, `T` for the element type, `NAME_shape[i]` for sizes, and Metal's
attributes such as `thread_position_in_grid`. Further `/*kernel` blocks are further launches; each
then lists its `inputs` and `outputs`, and the first declares `[temporaries.NAME]`."""

_COMPARED: Mapping[type, str] = MappingProxyType(
    {
        Exact: ", exact",
        Ties: ", equal elements in any order",
        Set: ", its last axis in any order",
        Distribution: ", drawn at random",
    }
)


def prompt(op: Op, dtypes: Sequence[str]) -> str:
    """The request for a kernel of an op that is right for these element types."""
    return "\n".join(_lines(op, dtypes))


def _lines(op: Op, dtypes: Sequence[str]) -> Iterator[str]:
    yield f"Write a fast Metal kernel for MLX: {op.name}."
    yield ""
    yield op.formula.strip()
    if op.on_nonfinite:
        yield op.on_nonfinite
    yield ""
    yield f"Axes: {', '.join(op.axis_names)}. Every size must work, 0 and 1 included."
    if op.conditions:
        yield f"Given: {'; '.join(op.conditions)}."
    yield f"Element type T: {', '.join(dtypes)}."
    for name, possible in op.types.items():
        yield f"Type {name}: {', '.join(possible)}."
    yield "Inputs: " + "; ".join(map(described, op.inputs)) + "."
    if op.params:
        shown = (
            f"{name} ({param_dtype(value)}, default {value})" for name, value in op.params.items()
        )
        yield "Parameters, read by name as 0-d inputs: " + "; ".join(shown) + "."
    yield "Outputs: " + "; ".join(map(described, op.outputs)) + "."
    if op.bench:
        yield "Typical sizes: " + "; ".join(map(_case, op.bench)) + "."
    yield ""
    yield _FORMAT


def described(tensor: Tensor) -> str:
    """A tensor as a proposer reads of it: name, shape, dtype, and what is special about it."""
    said = _COMPARED.get(type(tensor.match), "")
    held = f" ({words})" if tensor.fill and (words := tensor.fill.in_words()) else ""
    there = f", given where the constant {tensor.flag} is true" if tensor.optional else ""
    shape = ", ".join(map(str, tensor.shape))
    return f"{tensor.name}[{shape}] of {tensor.dtype}{held}{said}{there}"


def _case(case: Case) -> str:
    sizes = ", ".join(f"{axis}={size}" for axis, size in case.axes.items())
    return f"{sizes} ({case.label})" if case.label else sizes
