"""The parameters of a kernel function, as MSL 5.2 has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from foundry.metal.reading import slots
from foundry.metal.reading.aliases import Aliases, aliases_of, written_out
from foundry.metal.reading.attributes import attributes_in, split
from foundry.metal.reading.declarations import Declaration
from foundry.msl.frontend.code import Code
from foundry.msl.frontend.refusals.refusal import Refused

SIZE_ATTRIBUTES = frozenset(
    {
        "dispatch_threads_per_threadgroup", "grid_origin", "grid_size", "thread_position_in_grid",
        "thread_position_in_threadgroup", "threadgroup_position_in_grid", "threadgroups_per_grid",
        "threads_per_grid", "threads_per_threadgroup",
    }
)  # fmt: skip
"""Of up to three components."""
INDEX_ATTRIBUTES = frozenset(
    {
        "dispatch_quadgroups_per_threadgroup", "dispatch_simdgroups_per_threadgroup",
        "quadgroup_index_in_threadgroup", "quadgroups_per_threadgroup",
        "simdgroup_index_in_threadgroup", "simdgroups_per_threadgroup", "thread_execution_width",
        "thread_index_in_quadgroup", "thread_index_in_simdgroup", "thread_index_in_threadgroup",
        "threads_per_simdgroup",
    }
)  # fmt: skip
_SPACES = ("device", "constant", "threadgroup")
_QUALIFIERS = {"const", "volatile", "restrict", "__restrict", "struct", *_SPACES}
_INDEX_TYPES = frozenset({"uint", "ushort", "uint32_t", "uint16_t", "unsigned", "unsigned int"})
_SIZE_TYPES = _INDEX_TYPES | {f"{t}{n}" for t in ("uint", "ushort") for n in (2, 3)}
_KNOWN_TYPES = frozenset(
    f"{sign}{name}{count}"
    for name in ("char", "short", "int", "long")
    for sign in ("", "u")
    for count in ("", 2, 3, 4)
) | {"float", "half", "bool", "size_t", "int32_t", "int64_t", "uint64_t", "float2", "float3"}
"""Types that are known to be what they are called."""
_NO_MEANING = {"unused", "maybe_unused", "restrict", "noalias"}
BUFFER, THREADGROUP, ATTRIBUTE = "buffer", "threadgroup", "attribute"
_MEANINGS = {BUFFER, THREADGROUP, *SIZE_ATTRIBUTES, *INDEX_ATTRIBUTES}
_NOT_HERE = {
    "stage_in": "[[stage_in]] is not supported: only what a kernel takes in buffers runs here",
    "texture": "textures are not supported by the cpu engine",
    "sampler": "samplers are not supported by the cpu engine",
    "payload": "[[payload]] is not supported: only compute kernels run here",
    "imageblock_data": "imageblocks are not supported by the cpu engine",
}


@dataclass(frozen=True)
class FunctionParameter:
    """One parameter: `kind` is where its value comes from, `slot` which buffer or attribute."""

    name: str
    kind: str
    slot: str
    """An index as an expression, or the name of an attribute."""
    type: str
    space: str
    """Address space, or an empty string."""
    sign: str
    """`*`, `&` or an empty string."""
    is_const: bool
    condition: str
    """A function constant that decides whether it is there, or an empty string."""
    line: int


@dataclass
class _Read:
    """What is known of a parameter's tokens while they are walked."""

    words: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


def parameters_of(function: Declaration) -> list[FunctionParameter]:
    """The parameters of a kernel function.

    Raises:
        Refused: One without a meaning that is known here, with its line.
    """
    opening = function.parentheses
    assert opening is not None
    closing = function.code.partner[opening]
    aliases = aliases_of(function.code)
    for hidden in function.code.text[function.first : function.start]:
        aliases.pop(hidden, None)
    found = [
        _parameter(function, first, last, aliases)
        for first, last in split(function.code, opening + 1, closing)
    ]
    _check_sizes(found)
    numbered = _numbered(found)
    _check_slots(numbered)
    return numbered


def _parameter(function: Declaration, first: int, last: int, aliases: Aliases) -> FunctionParameter:
    code = function.code
    read = _walk(code, first, last)
    line = code.line(first)
    words = read.words
    names = [n for n, word in enumerate(words) if word.isidentifier() and word not in _QUALIFIERS]
    name = words.pop(names[-1]) if len(names) > 1 else f"unnamed_{first}"
    unplaced = _unplaced(words)
    words = written_out(words, aliases, function.scope)
    sign = "&" if "&" in words else "*" if {"*", "["} & set(words) else ""
    pointee = words[: _last(words, sign)] if sign else words
    space = next((w for w in words if w in _SPACES), "")
    typed = " ".join(w for w in words if w not in {"*", "&", "[", *_QUALIFIERS})
    kind, slot = _meaning(name, read.attributes, space, sign, line)
    if kind == ATTRIBUTE:
        _check_attribute(slot, typed, sign, line)
    elif reason := _reason_against(kind, [*words, *typed.split()], sign) or unplaced:
        raise Refused("header", line, f"{reason} (parameter '{name}')")
    return FunctionParameter(
        name, kind, slot, typed, space, sign,
        is_const=space == "constant" or "const" in pointee,
        condition=read.attributes.get("function_constant", ""), line=line,
    )  # fmt: skip


def _last(words: Sequence[str], sign: str) -> int:
    places = [n for n, word in enumerate(words) if word == sign]
    return places[-1] if places else len(words)


def _walk(code: Code, first: int, last: int) -> _Read:
    """Words of the declaration, and what its attributes say."""
    read = _Read()
    at = first
    while at < last:
        text = code.text[at]
        if text == "=":
            break
        if text == "[" and code.text[at + 1] == "[":
            close = code.partner[at]
            read.attributes |= attributes_in(code, at + 2, close - 1)
            at = close
        elif text == "[":
            read.words.append("[")
            at = code.partner[at]
        elif text == "<" and (end := code.angle_end(at)) is not None:
            read.words.append("".join(code.text[at : end + 1]))
            at = end
        elif text not in "()":
            read.words.append(text)
        at += 1
    return read


def _reason_against(kind: str, words: Sequence[str], sign: str) -> str | None:
    """Why memory of a kind cannot be what a declaration says; an alias may hide what it is."""
    spaces = {"device", "constant"} if kind == BUFFER else {"threadgroup"}
    wrong = ({*_SPACES, "thread"} - spaces) & set(words)
    if wrong:
        return f"address space '{min(wrong)}' is not valid for attribute '{kind}'"
    if sign and _KNOWN_TYPES & set(words) and not spaces & set(words):
        kind_of = "reference" if sign == "&" else "pointer"
        return f"{kind_of} type must have explicit address space qualifier"
    if not sign and _KNOWN_TYPES & set(words):
        return f"a value is not valid for attribute '{kind}': it takes a pointer or a reference"
    return None


def _unplaced(words: Sequence[str]) -> str | None:
    """Why a parameter may not lead to a pointer: with nothing said, that lies in `thread`."""
    signs = [n for n, word in enumerate(words) if word in {"*", "&"}]
    if len(signs) < 2 or {"device", "constant", "threadgroup"} & set(words[signs[-2] : signs[-1]]):
        return None
    return (
        "a pointer to a pointer must say in which address space that lies: 'device float* device*'"
    )


def _meaning(
    name: str, attributes: dict[str, str], space: str, sign: str, line: int
) -> tuple[str, str]:
    told = [word for word in attributes if word in _MEANINGS]
    if len(told) > 1:
        reason = f"attributes '{told[0]}' and '{told[1]}' of parameter '{name}' exclude each other"
        raise Refused("header", line, reason)
    for word, argument in attributes.items():
        if word in _NOT_HERE:
            raise Refused("header", line, f"{_NOT_HERE[word]} (parameter '{name}')")
        if word in {BUFFER, THREADGROUP, "threadgroup_index"}:
            return (BUFFER if word == BUFFER else THREADGROUP), argument
        if word in SIZE_ATTRIBUTES | INDEX_ATTRIBUTES:
            return ATTRIBUTE, word
        if word not in _NO_MEANING | {"function_constant"}:
            reason = f"the attribute '{word}' of parameter '{name}' means nothing to a kernel here"
            raise Refused("header", line, reason)
    if sign and space in {"device", "constant", ""}:
        return BUFFER, ""
    if sign:
        return THREADGROUP, ""
    reason = f"parameter '{name}' has no attribute that says where its value comes from"
    raise Refused("header", line, reason)


def _check_attribute(attribute: str, type_name: str, sign: str, line: int) -> None:
    """Refuse a type that is known to be wrong; of other names the compiler knows what they are."""
    allowed = _SIZE_TYPES if attribute in SIZE_ATTRIBUTES else _INDEX_TYPES
    plain = type_name.removeprefix("metal :: ")
    if sign or (plain in _KNOWN_TYPES and plain not in allowed):
        kinds = "ushort or uint, or a vector of 2 or 3 of them"
        wanted = kinds if attribute in SIZE_ATTRIBUTES else "ushort or uint"
        reason = f"type '{plain}{sign}' is not valid for attribute '{attribute}': it is {wanted}"
        raise Refused("header", line, reason)


def _check_sizes(found: Sequence[FunctionParameter]) -> None:
    """Refuse vectors of sizes and positions that differ in their number of components."""
    vectors = [p for p in found if p.slot in SIZE_ATTRIBUTES and p.type[-1:] in {"2", "3"}]
    for one in vectors[1:]:
        if one.type[-1] != vectors[0].type[-1]:
            reason = (
                f"'{one.name}' has {one.type[-1]} components and '{vectors[0].name}'"
                f" {vectors[0].type[-1]}: vectors of positions and sizes must have as many"
            )
            raise Refused("header", one.line, reason)


def _check_slots(found: Sequence[FunctionParameter]) -> None:
    """Refuse indices that there are not, and two parameters that are always there at one."""
    taken: dict[tuple[str, int], str] = {}
    for one in found:
        if one.kind == ATTRIBUTE:
            continue
        reason = slots.reason_against(one.kind, one.slot)
        index = slots.number(one.slot)
        if index is not None and not one.condition:
            other = taken.setdefault((one.kind, index), one.name)
            if other != one.name:
                reason = (
                    f"cannot reserve '{one.kind}' index {index} for '{one.name}': '{other}' has it"
                )
        if reason:
            raise Refused("header", one.line, reason)


def _numbered(found: Sequence[FunctionParameter]) -> list[FunctionParameter]:
    """With the first index that is free for each buffer that has none."""
    result = list(found)
    for kind in (BUFFER, THREADGROUP):
        taken = {slots.number(p.slot) for p in found if p.kind == kind}
        for at, one in enumerate(result):
            if one.kind == kind and not one.slot:
                free = next(n for n in range(len(found) + 1) if n not in taken)
                taken.add(free)
                result[at] = replace(one, slot=str(free))
    return result
