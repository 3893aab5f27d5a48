"""What of a file cannot run here, and what a function needs of the rest.

Textures and the like are parts of Metal that the cpu engine leaves out. A declaration that names
one is left out with all that depends on it, so that a file's other kernels run; who asks for a
kernel that is left out is told the line and the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foundry.metal.reading.declarations import Declaration
from foundry.metal.reading.functions import KernelFunction, is_kernel
from foundry.msl.frontend.refusals.refusal import unsupported
from foundry.msl.frontend.tokens import NAME

_BFLOAT = frozenset({"bfloat", "bfloat16_t"})
_OF_THE_LIBRARY = frozenset(
    {
        "abs", "clamp", "copysign", "fdim", "isfinite", "isinf", "isnan", "max", "min", "mix",
        "saturate", "sign", "smoothstep", "step",
    }
)  # fmt: skip
"""What is written without a builtin."""
FUNCTION_CONSTANTS = ("function_constant", "is_function_constant_defined")


@dataclass(frozen=True)
class Reason:
    """Why a declaration cannot run here, and the line that shows it."""

    line: int
    sentence: str


def unusable(found: Sequence[Declaration]) -> dict[int, Reason]:
    """Declarations that cannot run here, by their place in the list."""
    reasons = {n: reason for n, one in enumerate(found) if (reason := _named(one))}
    total = Counter(one.name for one in found)
    while True:
        gone = Counter(found[n].name for n in reasons)
        names = {
            found[n].name: (reason, found[n].is_function)
            for n, reason in reasons.items()
            if found[n].name and gone[found[n].name] == total[found[n].name]
        }
        more = {
            n: reason
            for n, one in enumerate(found)
            if n not in reasons and (reason := _depends(one, names))
        }
        if not more:
            return reasons
        reasons |= more


def _named(one: Declaration) -> Reason | None:
    for at in range(one.first, one.last + 1):
        token = one.code.tokens[one.code.at[at]]
        if token.text in FUNCTION_CONSTANTS or token.kind != NAME:
            continue
        if sentence := unsupported([token]):
            return Reason(token.line, sentence)
    return None


def repeats_library(one: Declaration) -> bool:
    """Whether a function adds to Metal's library what is there already.

    Published files write functions of bfloat, which Apple's library lacks and this one has, over
    builtins of Apple's compiler.
    """
    if one.scope[:1] != ("metal",) or not one.is_function:
        return False
    over_bfloat = bool(_BFLOAT & one.words) and one.name in _OF_THE_LIBRARY
    return over_bfloat or any(word.startswith("__metal_") for word in one.words)


def _depends(one: Declaration, names: Mapping[str, tuple[Reason, bool]]) -> Reason | None:
    """Of types and variables every mention counts, of functions a call."""
    for name in one.words & names.keys():
        reason, is_function = names[name]
        for at in range(one.first, one.last + 1):
            called = one.code.text[at + 1 : at + 2] in (["("], ["<"])
            if one.code.text[at] == name and (called or not is_function) and name != one.name:
                return reason
    return None


def needed(found: Sequence[Declaration], kernel: KernelFunction) -> list[Declaration]:
    """What a kernel needs: the functions that it reaches, their types' names, and all the rest."""
    return list(_reached(found, kernel))


def _reached(found: Sequence[Declaration], kernel: KernelFunction) -> Iterator[Declaration]:
    left = {one.first: name for one in found if (name := _reached_by(one))}
    left.pop(kernel.definition.first, None)
    words = _words(kernel.arguments + kernel.signature)
    types = set(words)
    others = [one for one in found if one.first not in left and one is not kernel.definition]
    for one in (kernel.definition, *others):
        words |= one.words
        types |= _in_decltype(one)
        yield one
    places = {one.first: one for one in found}
    # No function calls a kernel, but a member or a variable may well be called as one is.
    kernels = {one.first for one in found if one.is_function and is_kernel(one)}
    while reached := [f for f, name in left.items() if name in (types if f in kernels else words)]:
        for first in reached:
            yield places[first]
            words |= places[first].words
            types |= _in_decltype(places[first])
            del left[first]


def _in_decltype(one: Declaration) -> set[str]:
    """Names of which a declaration takes the type."""
    code, found = one.code, set[str]()
    for at in range(one.first, one.last):
        if code.text[at] == "decltype" and at + 1 in code.partner:
            inside = range(at + 2, code.partner[at + 1])
            found |= {code.text[n] for n in inside if code.is_name(n)}
    return found


def _reached_by(one: Declaration) -> str:
    """The name that a function is called by, or a type that is made of one (`decltype`)."""
    if one.is_function:
        return one.name
    text = one.code.text
    if text[one.first] == "typedef" and "decltype" in one.words:
        return text[one.last - 1]
    if text[one.first] == "using" and "decltype" in one.words:
        return text[one.first + 1]
    return ""


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in text).split())
