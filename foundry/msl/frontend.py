"""From a generated Metal kernel to one C++ translation unit for a CPU target.

1. `translate` rewrites header and body token by token (threadgroup declarations) and keeps their
   lines, so that the compiler's messages stand on the user's own lines.
2. It decides how the kernel runs: as a plain loop over threads when nothing in it synchronises,
   else one fibre per thread.
3. It adds the entry functions the runtime calls.

Ownership: `tokens` knows the lexical rules, `screen` what is refused, `threadgroup` one rewrite,
`signature` what MLX put around the user's text. Nothing here runs a process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundry.msl import convergence, threadgroup
from foundry.msl.convergence import Place, functions_of
from foundry.msl.signature import Parameter, Signature
from foundry.msl.threadgroup import Storage
from foundry.msl.tokens import COMMENT, SPACE, STRING, Token, join_lines, tokenize

FLAT, GROUPS, FIBRES = "flat", "groups", "fibres"

_UNIFORM_ATTRIBUTES = frozenset(
    {
        "dispatch_quadgroups_per_threadgroup",
        "dispatch_simdgroups_per_threadgroup",
        "dispatch_threads_per_threadgroup",
        "grid_origin",
        "grid_size",
        "thread_execution_width",
        "thread_position_in_grid",
        "threadgroups_per_grid",
        "threads_per_grid",
        "threads_per_simdgroup",
    }
)
_WORD = re.compile(r"\w+")
_NEEDS_FIBRES = re.compile(
    r"\b(?:simd_|quad_|threadgroup_barrier|schedule_row_tile|make_(?:filled|diagonal)_simdgroup"
    r"|simdgroup_(?!index_in_threadgroup\b))"
)


@dataclass(frozen=True)
class Unit:
    """A translation unit: its text, how it runs, its threadgroup storages and numbered places."""

    text: str
    mode: str
    storages: tuple[Storage, ...]
    places: tuple[Place, ...]


def translate(signature: Signature) -> Unit:
    """The translation unit of a parsed kernel.

    Raises:
        BadDeclaration: for a threadgroup declaration that Metal does not accept.
    """
    header = list(tokenize(join_lines(signature.header)))
    body = list(tokenize(join_lines(signature.body)))
    header, first = threadgroup.rewrite(header, 0)
    body, second = threadgroup.rewrite(body, len(first))
    storages = (*first, *second)
    mode = _mode(signature, header, body, bool(storages))
    places: list[Place] = []
    if mode == FIBRES:
        (header, body), places = convergence.number([header, body])
    head = _text(header)
    if head.endswith("\n"):  # else the header's last line goes on into the kernel, as on a Mac
        head = f'#line 1 "header"\n{head}#line 1 "signature"'
    text = "\n".join(
        [
            *(
                ['#line 1 "header"', head + '#line 1 "signature"']
                if head.endswith("\n")
                else [head]
            ),
            f"{signature.template} static inline __attribute__((always_inline)) void"
            f" {signature.kernel}({_declarations(signature.parameters)}) {{",
            '#line 1 "source"',
            _text(body),
            "}",
            '#line 1 "launch"',
            _entry(signature, mode),
        ]
    )
    return Unit(text, mode, storages, tuple(places))


def _text(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


def _mode(signature: Signature, header: list[Token], body: list[Token], has_storage: bool) -> str:
    text = _code(body)
    if has_storage or _NEEDS_FIBRES.search(text + _reachable(header, text)):
        return FIBRES
    return FLAT if signature.attributes <= _UNIFORM_ATTRIBUTES else GROUPS


def _code(tokens: list[Token]) -> str:
    return " ".join(token.text for token in tokens if token.kind not in {COMMENT, SPACE, STRING})


def _reachable(header: list[Token], body: str) -> str:
    """The code of the header without functions that the body does not reach."""
    if not _NEEDS_FIBRES.search(_code(header)):
        return ""
    source = convergence.Source(header)
    left = {function: source.text[slice(*function.body)] for function in functions_of(source)}
    inside = {i for f in left for i in range(source.order[f.at], source.order[f.body[1]] + 1)}
    reached = _code([token for i, token in enumerate(header) if i not in inside])
    names = set(_WORD.findall(f"{body} {reached}"))
    while found := [function for function in left if function.name in names]:
        for function in found:
            words = left.pop(function)
            names.update(words)
            reached += " " + " ".join(words)
    return reached


def _declarations(parameters: tuple[Parameter, ...]) -> str:
    return ", ".join(f"{p.type} {p.name}" for p in parameters)


def _buffer(parameter: Parameter) -> str:
    """The expression that takes a buffer from the launch as the parameter's type."""
    at = f"launch.buffers[{parameter.buffer}]"
    if parameter.type.endswith("&"):
        return f"*static_cast<{parameter.type[:-1]}*>({at})"
    return f"static_cast<{parameter.type}>({at})"


def _attribute(parameter: Parameter, mode: str) -> str:
    if mode == FLAT and parameter.name == "thread_position_in_grid":
        return "mf::attribute::uint3(x, y, z)"
    return f"mf::attribute::{parameter.name}(launch, at)"


def _entry(signature: Signature, mode: str) -> str:
    buffers = [p for p in signature.parameters if p.buffer is not None]
    call = f"{signature.kernel}{signature.arguments}"
    attributes = [_attribute(p, mode) for p in signature.parameters if p.buffer is None]
    if mode == FIBRES:
        arguments = ", ".join([*map(_buffer, buffers), *attributes])
        return (
            'extern "C" MF_EXPORT void mf_run_thread(const mf::Launch* launch_pointer,'
            " const mf::Position* position) {\n"
            "  const mf::Launch& launch = *launch_pointer;\n"
            "  const mf::Position& at = *position;\n  (void)launch, (void)at;\n"
            f"  {call}({arguments});\n}}\nMF_STORAGE_TABLE\n" + _mode_symbol(mode)
        )
    parameters = "".join(f", {_restricted(p)} mf_{i}" for i, p in enumerate(buffers))
    arguments = ", ".join([*(f"mf_{i}" for i in range(len(buffers))), *attributes])
    walk = (
        "mf::for_flat(launch, begin, end, [&](mf::u32 x, mf::u32 y, mf::u32 z)"
        " __attribute__((always_inline)) {\n"
        "    const mf::Position at = {}; (void)at, (void)x, (void)y, (void)z;\n"
        if mode == FLAT
        else "mf::for_groups(launch, begin, end, [&](const mf::Position& at)"
        " __attribute__((always_inline)) {\n    (void)at;\n"
    )
    return (
        "static __attribute__((noinline)) void mf_items(const mf::Launch& launch, mf::u64 begin,"
        f" mf::u64 end{parameters}) {{\n  {walk}    {call}({arguments});\n  }});\n}}\n"
        'extern "C" MF_EXPORT void mf_run_items(const mf::Launch* launch_pointer,'
        " mf::u64 begin, mf::u64 end) {\n  const mf::Launch& launch = *launch_pointer;\n"
        f"  mf_items(launch, begin, end{''.join(', ' + _buffer(p) for p in buffers)});\n}}\n"
        + _mode_symbol(mode)
    )


def _mode_symbol(mode: str) -> str:
    number = (FLAT, GROUPS, FIBRES).index(mode)
    return f'extern "C" MF_EXPORT const mf::u32 mf_mode = {number};\n'


def _restricted(parameter: Parameter) -> str:
    """The buffers of a launch never overlap: said to the optimiser, loops can be vectorised."""
    return f"{parameter.type}{' __restrict' if parameter.type.endswith('*') else ''}"
