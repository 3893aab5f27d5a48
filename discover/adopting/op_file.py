"""The op file of an adopted call: Python that its author may read, correct and keep.

The reference is both: evaluated in float64 it is the oracle, as MLX it is the baseline.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable

from discover.adopting.call import AdoptedCall, Array
from discover.adopting.cases import CaseSizes, bench, hidden, least, shown
from ops.dtypes import FLOAT_DTYPES
from ops.errors import UsageError
from ops.texts.expressions import Expression, names_in
from ops.texts.mlx import MlxTextError, statements
from ops.workload import ELEMENT

FAMILY = "own"
_SUMS = re.compile(
    r"@|\b(?:sum|mean|var|std|prod|matmul|addmm|einsum|inner|outer|tensordot|softmax|logsumexp"
    r"|cumsum|cumprod|conv\w*|rms_norm|layer_norm|scaled_dot_product_attention|quantized_matmul)\b"
)
_TEXT = '''"""{name}: a call of `metal_kernel`, adopted. Correct whatever is not as you mean it.

`REFERENCE` is the formula: in float64 it says what is right, as MLX it is what is to be beaten.
"""

from ops import Axis, Baseline, Case, Close, Exact, MlxFormula, Op, Tensor
from ops.fills import Index

REFERENCE = {reference}

FORMULA = MlxFormula(REFERENCE, inputs={inputs!r}, outputs={kinds!r})

OP = Op(
    name={name!r},
    family="{family}",
    formula={formula!r},
    axes=({axes}),
    inputs=({given}),
    outputs=({made}),
    params={params!r},
    oracle=FORMULA.oracle,
    steps=FORMULA.steps,
    baselines={{"reference": REFERENCE, "compiled": Baseline(REFERENCE, compiled=True)}},
    flops={flops!r},
    dtypes={dtypes!r},
    types={types!r},
    visible=({visible}),
    hidden=({hidden}),
    bench=({bench}),
)
'''


def op_text(call: AdoptedCall) -> str:
    """The file.

    Raises:
        UsageError: The reference is neither an expression nor lines that end in `return`.
    """
    reference = _of_the_right_dtype(call)
    outputs = call.outputs.values()
    return _TEXT.format(
        name=call.name,
        family=FAMILY,
        reference=_literal(reference),
        formula=_formula(call),
        inputs=tuple(call.arrays),
        kinds=tuple(call.dtype_of(array) for array in outputs),
        axes=_lines(_axis(call, axis) for axis in call.axes),
        given=_lines(_tensor(call, name, array) for name, array in call.arrays.items()),
        made=_lines(_output(call, name, array) for name, array in call.outputs.items()),
        params=dict(call.numbers),
        flops=call.flops or _product(next(iter(outputs)).shape),
        dtypes=call.dtypes,
        types={name: (dtype,) for name, dtype in call.types.items()},
        visible=_lines(_case(case) for case in shown(call)),
        hidden=_lines(_case(case) for case in hidden(call)),
        bench=_lines(
            _case(case, label=f"{call.name} {at}") for at, case in enumerate(bench(call), 1)
        ),
    )


def _of_the_right_dtype(call: AdoptedCall) -> str:
    """The reference with its value in the dtype of the output, where it is one expression."""
    text = textwrap.dedent(call.reference).strip("\n").rstrip()
    try:
        statements(text)
        ast.parse(text.strip(), mode="eval")
    except MlxTextError as error:
        raise UsageError(f"the reference: {error}") from None
    except SyntaxError:
        return text
    if len(call.outputs) > 1:
        return text.strip()
    kind = call.dtype_of(next(iter(call.outputs.values())))
    named = "dtype" if kind == ELEMENT else kind if kind in call.types else f"mx.{kind}"
    return f"({text.strip()}).astype({named})"


def _formula(call: AdoptedCall) -> str:
    """What a proposer reads: the reference, in MLX."""
    text = " ".join(call.reference.split()) if "return" not in call.reference else call.reference
    return f"{', '.join(call.outputs)} = {text.strip()}, as MLX has it."


def _axis(call: AdoptedCall, axis: str) -> str:
    compiled = any(axis in names_in(v) for v in call.constants.values())
    rules = ["compiled=True"] if compiled else []
    if axis in call.fixed:
        rules.append(f"values=({call.sizes[0][axis]},)")
    else:
        multiple, lowest = call.multiples.get(axis, 1), least(call, axis)
        rules += [f"multiple_of={multiple}"] if multiple > 1 else []
        rules += [f"least={lowest}"] if lowest else []
    return f"Axis({', '.join([repr(axis), *rules])})"


def _tensor(call: AdoptedCall, name: str, array: Array) -> str:
    fill = "" if array.below is None else f", fill=Index({array.below!r})"
    return f"Tensor({name!r}, {array.shape!r}, {call.dtype_of(array)!r}{fill})"


def _output(call: AdoptedCall, name: str, array: Array) -> str:
    dtype = call.dtype_of(array)
    is_float = dtype in FLOAT_DTYPES or (dtype == ELEMENT and call.element in FLOAT_DTYPES)
    match = f"Close({terms_summed(call)!r})" if is_float else "Exact()"
    return f"Tensor({name!r}, {array.shape!r}, {dtype!r}, match={match})"


def terms_summed(call: AdoptedCall) -> Expression:
    """How many terms one element of an output may be the sum of.

    Where the reference sums at all: the axes that no output has, or else the last of the largest
    input.
    """
    if call.reduction is not None:
        return call.reduction
    if not _SUMS.search(call.reference):
        return 1
    kept = {size for array in call.outputs.values() for size in array.shape}
    given = [size for array in call.arrays.values() for size in array.shape]
    summed = [size for size in dict.fromkeys(given) if size not in kept]
    largest = max((array.shape for array in call.arrays.values()), key=len)
    return _product(summed) if summed else (largest[-1] if largest else 1)


def _product(shape: Iterable[Expression]) -> str:
    return " * ".join(_factor(size) for size in shape) or "1"


def _factor(size: Expression) -> str:
    text = str(size)
    return text if text.isidentifier() or text.isdecimal() else f"({text})"


def _case(case: CaseSizes, label: str = "") -> str:
    parts = [repr(case.axes)]
    parts += [repr(case.params)] if case.params or label else []
    parts += [f"label={label!r}"] if label else []
    return f"Case({', '.join(parts)})"


def _literal(text: str) -> str:
    return f'"""\n{text}\n"""' if "\n" in text and '"""' not in text else repr(text)


def _lines(items: Iterable[str]) -> str:
    found = list(items)
    return "".join(f"\n        {item}," for item in found) + "\n    " if found else ""
