"""What the judge asks of every kernel of an op, in the words of a prompt. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from foundry.judge.oracle.bounds import EPSILON, usual
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS
from foundry.judge.oracle.inputs import applicable
from ops.matches import Close, Distribution, Exact, Set, Ties
from ops.spec import Op
from ops.workload import ELEMENT, Tensor

_VALUES = {
    "normal": "normal ones of size 1",
    "large": "larger ones",
    "small": "smaller ones",
    "sparse": "mostly zeros",
    "constant": "rows of one value",
    "ties": "a handful of values, both zeros among them",
    "duplicates": "every value several times",
    "sorted": "sorted rows",
    "cancelling": "sums that nearly vanish",
    "offset": "a mean far above the deviation",
    "extreme": "many powers of two apart",
    "denormal": "below the smallest normal number",
    "widest": "up to the ends of the dtype",
}
"""Distributions worth a word; the others are variations."""
_WORDS_OF = {
    Ties: "any index is right whose key equals that of the reference",
    Set: "the last axis in any order",
    Distribution: "held against the probabilities over many draws",
}


def inputs(op: Op) -> str:
    """Which values the inputs hold, over all the runs of a proof."""
    names = applicable(op, tuple(DISTRIBUTIONS))
    return ", ".join(words for name, words in _VALUES.items() if name in names)


def nonfinite(op: Op) -> str:
    """What is asked of NaN and infinities."""
    return op.on_nonfinite or "What comes of NaN and infinities in inputs is not checked."


def tolerances(op: Op, dtype: str) -> Iterator[str]:
    """How each output is compared."""
    for tensor in op.outputs:
        yield f"{tensor.name}: {_tolerance(tensor, dtype)}"


def baselines(op: Op) -> list[str]:
    """What the kernel is timed against, as Python, each text once."""
    ways: dict[str, set[bool]] = {}
    for baseline in map(op.baseline, op.baselines):
        ways.setdefault(baseline.text.strip(), set()).add(baseline.compiled)
    return [_HOW[frozenset(compiled)] + text for text, compiled in ways.items()]


_HOW: Mapping[frozenset[bool], str] = {
    frozenset({False}): "",
    frozenset({True}): "# under mx.compile\n",
    frozenset({False, True}): "# as it stands, and under mx.compile\n",
}


def _tolerance(tensor: Tensor, dtype: str) -> str:
    is_of_t = tensor.dtype == ELEMENT
    match tensor.compared:
        case Close() if is_of_t and dtype not in EPSILON:
            return "equal bit for bit"
        case Exact():
            return "equal bit for bit"
        case Close(reduction=terms):
            return _close(dtype if is_of_t else tensor.dtype, terms)
        case other:
            return _WORDS_OF[type(other)]


def _close(dtype: str, terms: int | str) -> str:
    """Of a float, within the error model; of an integer that is rounded to, half a step more."""
    if dtype not in EPSILON:
        return "the nearest integer, or the next where two are about as near"
    share = usual(dtype, 1).of_element / 2
    summed = "" if terms == 1 else f" and of sums of `{terms}` terms"
    return (
        f"within {share:.1e} of each element, plus what float32 rounding of inputs{summed} moves it"
    )
