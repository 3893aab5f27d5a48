"""What Metal's compiler is asked of a kernel: its own text, and those that are about to follow.

MLX binds an input of fewer than 8 elements as `constant`, any other as `device`, so a kernel that
meets small and large inputs has a text for each. Most of the time that the pass takes is the same
for one text and for several, so they are read together. Only where that fails is each read alone,
for one of them may be wrong and its neighbour right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from foundry.msl.frontend import as_metal
from foundry.msl.frontend.language import Language
from foundry.msl.frontend.signature import Parameter, Signature
from foundry.msl.frontend.tokens import Token

_NAME = "mf_judged"
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_INPUT = re.compile(r"^const (?P<space>device|constant) (?P<rest>.*\*)$")
_ABOUT_INPUTS = ("_shape", "_strides", "_ndim")
_MOST_VARIED = 3
_LONGEST_BODY = 20_000


@dataclass(frozen=True)
class MetalTexts:
    """A kernel's text to judge, the same for inputs of other sizes, and all of them in one."""

    text: str
    siblings: tuple[str, ...] = ()
    together: str = ""


def texts_to_judge(
    signature: Signature, parts: Mapping[str, Sequence[Token]], language: Language
) -> MetalTexts:
    """What is asked of a kernel, whose parts are spelt as the pass reads them (`as_metal`)."""
    signature = _renamed(signature, parts)
    others = tuple(_siblings(signature))
    text, *siblings = (as_metal.text_of([s], parts, language) for s in (signature, *others))
    if not others:
        return MetalTexts(text)
    numbered = [replace(s, kernel=f"{s.kernel}{n}") for n, s in enumerate((signature, *others))]
    return MetalTexts(text, tuple(siblings), as_metal.text_of(numbered, parts, language))


def _renamed(signature: Signature, parts: Mapping[str, Sequence[Token]]) -> Signature:
    """Without the hash of the inputs' spaces in the name; a name that is none stays."""
    used = any(_NAME in t.text or signature.kernel in t.text for p in parts.values() for t in p)
    if used or not _IDENTIFIER.fullmatch(signature.kernel):
        return signature
    return replace(signature, kernel=_NAME)


def _siblings(signature: Signature) -> Iterator[Signature]:
    inputs = [n for n, p in enumerate(signature.parameters) if _is_input(p)]
    if not inputs or len(signature.body) > _LONGEST_BODY or signature.kernel != _NAME:
        return
    seen = {signature.parameters}
    for small in _small(inputs):
        parameters = tuple(
            _bound(p, "constant" if n in small else "device") if n in inputs else p
            for n, p in enumerate(signature.parameters)
        )
        if parameters not in seen:
            seen.add(parameters)
            yield replace(signature, parameters=parameters)


def _small(inputs: Sequence[int]) -> Iterator[set[int]]:
    """Sets of inputs that may be small at once."""
    yield set()
    yield set(inputs)
    if len(inputs) <= _MOST_VARIED:
        yield from ({n} for n in inputs)


def _is_input(parameter: Parameter) -> bool:
    return bool(_INPUT.match(parameter.type)) and not parameter.name.endswith(_ABOUT_INPUTS)


def _bound(parameter: Parameter, space: str) -> Parameter:
    return replace(parameter, type=_INPUT.sub(rf"const {space} \g<rest>", parameter.type))
