"""The kernel functions of a file: those that are written out, and the instances of templates.

A library holds a function under its `host_name`, or under its own name. Of a template it holds the
explicit instantiations: `template [[host_name("f_float")]] [[kernel]] decltype(f<float>) f<float>;`
or with the signature once more, `template [[host_name("f_float")]] kernel void f<float>(...);`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from foundry.metal.reading.attributes import attributes_in, split
from foundry.metal.reading.declarations import Declaration
from foundry.msl.frontend.code import Code
from foundry.msl.frontend.refusals.refusal import Refused

_STAGES = ("vertex", "fragment", "mesh", "object", "intersection")
_MOST_THREADS = "max_total_threads_per_threadgroup"
Names = Collection[tuple[tuple[str, ...], str]]
"""What is declared in namespaces: those, and its name."""


@dataclass(frozen=True)
class KernelFunction:
    """A kernel of a library."""

    name: str
    """What the host asks for."""
    definition: Declaration
    call: str
    """What names it in C++: `::f`, `::f<float>`, which no function of Metal's is."""
    arguments: str = ""
    """Of its template, in angle brackets; empty for none, or where the signature tells them."""
    signature: str = ""
    """Its type where the name alone does not tell: `void(device float*)`."""

    @property
    def type(self) -> str:
        """Its type, as C++ text."""
        return self.signature or f"decltype({self.call})"

    @property
    def line(self) -> int:
        """Of its definition."""
        return self.definition.line

    @property
    def most_threads(self) -> str:
        """What it says of the threads of a threadgroup at most: an expression, or nothing."""
        return _attributes(self.definition).get(_MOST_THREADS, "")


@dataclass
class FileContents:
    """All that a file declares, by what it is."""

    kernels: dict[str, KernelFunction] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    """Functions of other stages, and templates without an instance: why they are no kernels."""
    instantiations: list[Declaration] = field(default_factory=list)
    foreign: list[Declaration] = field(default_factory=list)
    """Functions of other stages."""


def kernels_of(found: Sequence[Declaration]) -> FileContents:
    """The kernels of a file.

    Raises:
        Refused: An instantiation of what is no kernel template; two kernels of one name.
    """
    result = FileContents()
    templates: dict[str, list[Declaration]] = {}
    for one in found:
        if _is_instantiation(one):
            result.instantiations.append(one)
        elif one.is_function and is_kernel(one):
            _check_result(one)
            if _is_template(one):
                templates.setdefault(one.name, []).append(one)
            else:
                _keep(result, _plain(one), one.line)
        elif one.is_function and (stage := _stage(one)):
            result.others[one.name] = f"it is a {stage} function: only kernels run here"
            result.foreign.append(one)
    named = frozenset(name for one in found for name in _inside(one))
    for one in result.instantiations:
        if (kernel := _instance(one, templates, named)) is not None:
            _keep(result, kernel, one.line)
    for name in templates:
        if all(kernel.definition.name != name for kernel in result.kernels.values()):
            result.others[name] = "it is a template without an explicit instantiation"
    return result


def _keep(result: FileContents, kernel: KernelFunction, line: int) -> None:
    known = result.kernels.setdefault(kernel.name, kernel)
    is_other = known.call != kernel.call or known.definition is not kernel.definition
    if known is not kernel and is_other:
        raise Refused("header", line, f"there are two kernel functions named '{kernel.name}'")


def _plain(one: Declaration) -> KernelFunction:
    qualified = "::".join((*one.scope, one.name))
    return KernelFunction(_host_name(one) or qualified, one, f"::{qualified}")


def _is_template(one: Declaration) -> bool:
    return one.start > one.first


def _is_instantiation(one: Declaration) -> bool:
    return one.head[:1] == ["template"] and one.code.text[one.first + 1] != "<"


def is_kernel(one: Declaration) -> bool:
    """Whether a function is an entry point, which no other function may call."""
    before = one.code.text[one.first : one.parentheses]
    return "kernel" in before or "kernel" in _attributes(one)


def _check_result(one: Declaration) -> None:
    """Refuse a kernel that gives something back."""
    if "void" not in one.code.text[one.first : one.parentheses]:
        reason = f"kernel function '{one.name}' must have void return type"
        raise Refused("header", one.line, reason)


def _stage(one: Declaration) -> str:
    first = one.code.text[one.start]
    words = {first} | set(_attributes(one))
    return next((stage for stage in _STAGES if stage in words), "")


def _attributes(one: Declaration) -> Mapping[str, str]:
    """Of a declaration itself, not those of its parameters."""
    code, at = one.code, one.first
    found: dict[str, str] = {}
    while at < one.head_end:
        if code.text[at] == "[" and code.text[at + 1] == "[":
            close = code.partner[at]
            found |= attributes_in(code, at + 2, close - 1)
            at = close
        elif code.text[at] in "({" and at in code.partner:
            at = code.partner[at]
        at += 1
    return found


def _host_name(one: Declaration) -> str:
    """The name in `[[host_name("f" "loat")]]`, whose strings are one."""
    spelt = _attributes(one).get("host_name", "")
    return "".join(piece for n, piece in enumerate(spelt.split('"')) if n % 2)


def _instance(
    one: Declaration, templates: Mapping[str, Sequence[Declaration]], named: Names
) -> KernelFunction | None:
    code = one.code
    end = one.last if one.parentheses is None else one.parentheses
    name_at, arguments = _named(code, one.first, end)
    name = code.text[name_at]
    if name not in templates:
        return None
    scope = _scope_of(one, _qualifiers(code, name_at), templates[name])
    definitions = [d for d in templates[name] if d.scope == scope] or templates[name]
    qualified = "::".join((*scope, name))
    signature = ""
    if one.parentheses is not None:
        types = [_outside(one, words, named) for words in _types(code, one.parentheses)]
        definitions = [d for d in definitions if _count(d) == len(types)] or definitions
        if not arguments:
            signature = f"void({', '.join(types)})"
    outside = _outside(one, arguments, named)
    return KernelFunction(
        _host_name(one) or f"{qualified}{spaced(arguments)}",
        definitions[0],
        f"::{qualified}{outside}",
        outside,
        signature,
    )


def instance_name(one: Declaration) -> str:
    """The function that an explicit instantiation names."""
    end = one.last if one.parentheses is None else one.parentheses
    return one.code.text[_named(one.code, one.first, end)[0]]


def _scope_of(
    one: Declaration, qualifiers: tuple[str, ...], definitions: Sequence[Declaration]
) -> tuple[str, ...]:
    """The namespaces of a template that an instantiation names from where it stands."""
    scopes = {definition.scope for definition in definitions}
    around = (one.scope[:count] for count in range(len(one.scope), -1, -1))
    known = (found for outer in around if (found := (*outer, *qualifiers)) in scopes)
    return next(known, qualifiers or definitions[0].scope)


def _inside(one: Declaration) -> Iterator[tuple[tuple[str, ...], str]]:
    """A declaration and the namespaces that it is in, those at the top left out."""
    if one.scope:
        yield one.scope, one.name
    for count in range(1, len(one.scope)):
        yield one.scope[:count], one.scope[count]


def _outside(one: Declaration, words: Sequence[str], named: Names) -> str:
    """Tokens as text that means the same outside of the namespaces that they stand in."""
    told = []
    for at, word in enumerate(words):
        is_first = at == 0 or words[at - 1] != "::"
        around = (one.scope[:count] for count in range(len(one.scope), 0, -1))
        scope = next((s for s in around if is_first and (s, word) in named), ())
        told.append(" ::" + "::".join((*scope, word)) if scope else word)
    return spaced(told)


def _named(code: Code, first: int, end: int) -> tuple[int, Sequence[str]]:
    """Where a function is named before `end`, and the arguments of its template."""
    if code.text[end - 1] != ">":
        return end - 1, ()
    depth = 0
    for at in range(end - 1, first, -1):
        depth += (code.text[at] == ">") - (code.text[at] == "<")
        if depth == 0:
            return at - 1, code.text[at:end]
    return end - 1, ()


def _qualifiers(code: Code, at: int) -> tuple[str, ...]:
    names: list[str] = []
    while code.text[at - 1] == "::" and code.is_name(at - 2) and code.text[at - 2] != "void":
        names.insert(0, code.text[at - 2])
        at -= 2
    return tuple(names)


def spaced(texts: Sequence[str]) -> str:
    """Tokens as text again, apart where they would become one."""
    result = ""
    for text in texts:
        if result and _in_name(result[-1]) and _in_name(text[0]):
            result += " "
        result += text
    return result


def _in_name(sign: str) -> bool:
    return sign.isalnum() or sign == "_"


def _count(definition: Declaration) -> int:
    assert definition.parentheses is not None
    return sum(1 for _ in _types(definition.code, definition.parentheses))


def _types(code: Code, opening: int) -> Iterator[list[str]]:
    """The types in a list of parameters: without attributes and names."""
    for first, last in split(code, opening + 1, code.partner[opening]):
        words = []
        at = first
        while at < last and code.text[at] != "=":
            if code.text[at] == "[" and code.text[at + 1] == "[":
                at = code.partner[at]
            else:
                words.append(code.text[at])
            at += 1
        names = [n for n, w in enumerate(words) if w.isidentifier()]
        kinds = [n for n in names if words[n] not in {"const", "device", "constant", "threadgroup"}]
        if len(kinds) > 1 and kinds[-1] == len(words) - 1:
            words.pop()
        yield words
