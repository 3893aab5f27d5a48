"""The call that runs a kernel function, in the form in which MLX generates its own kernels.

What follows is then the same for both: the unit, the sanitizer, the counters. The types of the
parameters are left to the compiler, which tells the host what they are (`facts`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from foundry.metal.reading.functions import KernelFunction, spaced
from foundry.metal.reading.parameters import (
    ATTRIBUTE,
    BUFFER,
    THREADGROUP,
    FunctionParameter,
    parameters_of,
)
from foundry.msl.frontend.signature import Captured
from foundry.program import Size3

_KERNEL = "mf_function"


@dataclass(frozen=True)
class KernelCall:
    """How a kernel is called.

    Buffers are those that it reads alone, then those that it may write.
    """

    parameters: tuple[str, ...]
    """As MLX declares its own."""
    text: str
    facts: str
    """What the unit tells the host, as C++."""
    buffers: tuple[FunctionParameter, ...]
    shared: tuple[FunctionParameter, ...]
    """In threadgroup memory."""

    def captured(
        self,
        text: str,
        grid: Size3,
        threadgroup: Size3,
        threadgroup_bytes: Sequence[int] = (),
        *,
        may_overlap: bool = False,
    ) -> Captured:
        """A launch as if MLX had generated it.

        Args:
            text: The file, as the kernel needs it.
            grid: In threads.
            threadgroup: In threads.
            threadgroup_bytes: Of each parameter in threadgroup memory.
            may_overlap: Whether two of its buffers may be the same memory.
        """
        parameters = ",\n".join(self.parameters)
        source = f"{text}[[kernel]] void {_KERNEL}(\n{parameters}) {{\n{self.text}\n}}\n"
        info = (False, False, False)
        read = tuple(info for one in self.buffers if one.is_const)
        sizes = tuple(threadgroup_bytes)
        return Captured(_KERNEL, source, grid, threadgroup, read, self.facts, sizes, may_overlap)


def call_of(kernel: KernelFunction) -> KernelCall:
    """The call of a kernel.

    Raises:
        Refused: A parameter without a meaning that is known here.
    """
    taken = parameters_of(kernel.definition)
    buffers = sorted((p for p in taken if p.kind == BUFFER), key=lambda p: not p.is_const)
    shared = [p for p in taken if p.kind == THREADGROUP]
    attributes = [p for p in taken if p.kind == ATTRIBUTE]
    slots = {p: f"{p.kind}({n})" for group in (buffers, shared) for n, p in enumerate(group)}
    names = _names(taken, kernel)
    lines, rows = {}, {}
    for n, one in enumerate(taken):
        slot = slots.get(one, one.slot)
        lines[one] = f"  {_type(kernel, one, n)} {names[n]} [[{slot}]]"
        facts = f"mf::facts<mf::parameter<{kernel.type}, {n}>>"
        rows[one] = f"{facts}({one.slot}, {one.condition or 'true'})"
    return KernelCall(
        tuple(lines[p] for p in (*buffers, *attributes, *shared)),
        f"{kernel.call}({', '.join(names)});",
        _facts(kernel, [rows[p] for p in (*buffers, *shared)]),
        tuple(buffers),
        tuple(shared),
    )


def _type(kernel: KernelFunction, parameter: FunctionParameter, n: int) -> str:
    if parameter.sign == "&":
        return f"mf::referent<{kernel.type}, {n}>&"
    return f"mf::parameter<{kernel.type}, {n}>"


def _names(taken: Sequence[FunctionParameter], kernel: KernelFunction) -> list[str]:
    """Names for the call's own parameters, none of which hides what the call names."""
    hidden = set(re.findall(r"\w+", f"{kernel.call} {kernel.type}"))
    return [f"{p.name}_" if p.name in hidden else p.name for p in taken]


def _facts(kernel: KernelFunction, rows: Sequence[str]) -> str:
    """What the unit tells the host of the parameters, and of the threads of a threadgroup."""
    table = ", ".join([*rows, "mf::ParameterFacts{}"])
    before, most = _most_threads(kernel)
    exported = 'extern "C" MF_EXPORT const mf::'
    return (
        f"{exported}u32 mf_parameter_count = {len(rows)};\n"
        f"{exported}ParameterFacts mf_parameters[] = {{{table}}};\n"
        f"{before}{exported}u32 mf_most_threads = {most};\n"
    )


def _most_threads(kernel: KernelFunction) -> tuple[str, str]:
    """An expression, and what has to stand before it where it depends on a template's arguments."""
    definition, most = kernel.definition, kernel.most_threads or "0"
    if definition.start == definition.first:
        return "", most
    if not kernel.arguments:
        return "", "0"
    head = spaced(definition.code.text[definition.first : definition.start])
    return f"{head} constexpr mf::u32 mf_most = {most};\n", f"mf_most{kernel.arguments}"
