"""A `.metal` file, read: its kernels, its function constants, and the text that one kernel needs.

1. The text with its includes is checked as any kernel's text (`refusals`) and goes through the
   preprocessor: kernels and their names are often spelt by macros.
2. Its declarations are told apart: kernels, function constants, what cannot run here.
3. `text_for` is the file without what a kernel does not need, with values for its constants; every
   token that is left stands on its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from foundry.errors import UsageError, unknown
from foundry.metal.reading import constants as function_constants
from foundry.metal.reading.constants import FunctionConstant, Value
from foundry.metal.reading.declarations import Declaration, declarations
from foundry.metal.reading.functions import FileContents, KernelFunction, instance_name, kernels_of
from foundry.metal.reading.left_out import Reason, needed, repeats_library, unusable
from foundry.metal.reading.places import FilePlaces
from foundry.msl.frontend.code import Code
from foundry.msl.frontend.expansion import Preprocess, expand
from foundry.msl.frontend.language import Language
from foundry.msl.frontend.refusals import restricted
from foundry.msl.frontend.refusals.refusal import Refused, refuse
from foundry.msl.frontend.tokens import DIRECTIVE, SPACE, Token, join_lines, tokenize

_TYPES = {"struct", "class", "union"}
PART = "header"
"""What the front end calls a text that holds whole functions."""


@dataclass(frozen=True, eq=False)
class MetalSource:
    """A file that was read.

    Its places are told in the text with all includes; `places` has the files' own.
    """

    places: FilePlaces
    code: Code
    declared: tuple[Declaration, ...]
    found: FileContents
    constants: Mapping[str, FunctionConstant]
    left_out: Mapping[int, Reason] = field(repr=False)

    @property
    def names(self) -> list[str]:
        """Of the kernels, those that cannot run here among them."""
        return list(self.found.kernels)

    def kernel(self, name: str) -> KernelFunction:
        """The kernel of a name.

        Raises:
            UsageError: There is none; it says what there is.
            Refused: It cannot run here.
        """
        if name in self.found.kernels:
            kernel = self.found.kernels[name]
            if reason := self._reasons.get(kernel.definition.first):
                raise Refused(PART, reason.line, reason.sentence)
            return kernel
        if name in self.found.others:
            raise UsageError(f"'{name}' is no kernel of this file: {self.found.others[name]}")
        raise unknown("kernel function", name, self.found.kernels)

    @cached_property
    def _reasons(self) -> Mapping[int, Reason]:
        return {self.declared[n].first: reason for n, reason in self.left_out.items()}

    @cached_property
    def usable(self) -> list[Declaration]:
        """What a kernel may need: all but what cannot run here, and instantiations."""
        found = self.found
        gone = {one.first for one in (*found.instantiations, *found.foreign)} | self._reasons.keys()
        return [one for one in self.declared if one.first not in gone and not repeats_library(one)]

    def text_for(self, kernel: KernelFunction, values: Mapping[str, Value]) -> str:
        """The file with what a kernel needs, and with values for function constants.

        Raises:
            UsageError: A constant that it uses has no value.
        """
        kept = needed(self.usable, kernel)
        missing = function_constants.missing(self.constants, values, kept)
        used = [n for n in missing if n in kernel.definition.words or self._is_reached(n, kept)]
        if used:
            example = ", ".join(f"{name!r}: ..." for name in used)
            raise UsageError(
                f"'{kernel.name}' uses the function constant '{used[0]}', which has no value: give"
                f" function_constants={{{example}}}"
            )
        return self._text(kept, values, judged=False)

    def _is_reached(self, name: str, kept: Sequence[Declaration]) -> bool:
        own = {constant.declaration.first for constant in self.constants.values()}
        return any(name in one.words for one in kept if one.first not in own)

    @cached_property
    def text_to_judge(self) -> str:
        """The whole file, as a library is built from it before any function is taken.

        Explicit instantiations are there as declarations: those have to fit their template, and
        make nothing of it.
        """
        return self._text([*self.usable, *self._instances], {}, judged=True)

    @cached_property
    def _instances(self) -> list[Declaration]:
        """Explicit instantiations of functions that can run here."""
        lost = {self.declared[n].name for n in self.left_out}
        functions = (one for one in self.found.instantiations if not _TYPES & set(one.head))
        return [one for one in functions if instance_name(one) not in lost]

    def _text(
        self, kept: Sequence[Declaration], values: Mapping[str, Value], *, judged: bool
    ) -> str:
        tokens = list(self.code.tokens)
        gone = {one.first for one in self.declared} - {one.first for one in kept}
        instances = {one.first for one in self.found.instantiations}
        for one in self.declared:
            if one.first in gone:
                _blank(tokens, self.code, one)
        for one in kept:
            if one.first in instances:
                _replace(tokens, self.code.at[one.first], "extern template")
            for at, text in function_constants.answers(one, values).items():
                _replace(tokens, self.code.at[at], text)
        for constant in self.constants.values():
            one = constant.declaration
            if one.first not in gone:
                _blank(tokens, self.code, one)
                text = constant.text(values.get(constant.name), judged=judged)
                _replace(tokens, self.code.at[one.first], text)
        return "".join(token.text for token in tokens)


def _blank(tokens: list[Token], code: Code, one: Declaration) -> None:
    for at in range(code.at[one.first], code.at[one.last] + 1):
        tokens[at] = tokens[at]._replace(kind=SPACE, text="\n" * tokens[at].text.count("\n"))


def _replace(tokens: list[Token], at: int, text: str) -> None:
    tokens[at] = tokens[at]._replace(text=text)


def read(text: str, places: FilePlaces, language: Language, preprocess: Preprocess) -> MetalSource:
    """Read a file, its includes in their places.

    Raises:
        Refused: A text that is not Metal or reaches outside of the kernel, with its line.
        CompilerFailed: What the preprocessor refuses.
    """
    tokens = _accepted(text)
    if any(t.kind == DIRECTIVE and "pragma" not in t.text[:20] for t in tokens):
        expanded = expand({PART: "".join(t.text for t in tokens)}, preprocess, language)
        tokens = _accepted(expanded[PART])
    code = Code(tokens)
    # Where brackets do not match there is nothing to read, and the compiler says so.
    declared = tuple(declarations(code)) if code.unmatched is None else ()
    return MetalSource(
        places,
        code,
        declared,
        kernels_of(declared),
        function_constants.constants_of(declared),
        unusable(declared),
    )


def _accepted(text: str) -> list[Token]:
    tokens = list(tokenize(join_lines(text)))
    restricted.check_names(tokens, PART)
    restricted.check(tokens, PART)
    return refuse(tokens, PART)
