"""Reads a kernel as Metal's compiler would, and runs nothing: clang's syntax pass over clang's own
address spaces, at the language level of Metal.

The prelude is the one that kernels run with, built as declarations (`MF_DECLARED`) for a target on
which every address space converts to the one without a name. It is precompiled as C++20, which its
own text needs, and read from the user's text in C++14 or C++17: clang lets a precompiled header of
another standard in when told not to compare (`-fno-validate-pch`).
"""

from __future__ import annotations

import re
from pathlib import Path

from foundry.msl.build.toolchain import BOUNDS, CompilerFailed, Toolchain
from foundry.msl.frontend.language import Language

_FLAGS = (
    "-nostdinc",
    "-fsigned-char",
    "-fdeclspec",
    "-fno-exceptions",
    "-fno-rtti",
    "-Xclang",
    "-cl-single-precision-constant",
    "-Wno-everything",
    "-DMF_DECLARED=1",
)
_LENIENT = ("-target", "nvptx64-nvidia-cuda", "-Xclang", "-target-feature", "-Xclang", "+ptx80")
_VLA = "-Werror=vla-cxx-extension"


def complaint(toolchain: Toolchain, unit: str, language: Language) -> str | None:
    """What Metal's compiler has against a unit, in clang's words; None when it would build."""
    try:
        _judge(toolchain, unit, language)
    except CompilerFailed as failure:
        return _without_false(_as_metal_says(failure.log)) or None
    return None


def _without_false(log: str) -> str:
    """The log without errors that are clang's alone; empty when no other is left.

    `c ? p[i] : v` of one class is an error where `p[i]` lies in an address space: Metal has vectors
    and bfloat built in.
    """
    messages = _MESSAGE.split(log)
    kept = [m for m in messages if not (match := _OPERANDS.search(m)) or not _same(match)]
    return "".join(kept) if any(": error: " in m or m.startswith("error: ") for m in kept) else ""


_MESSAGE = re.compile(r"(?m)^(?=\S+?:\d+:\d+: (?:fatal )?error: )")
_OPERANDS = re.compile(r"error: incompatible operand types \((?P<a>.*?) and (?P<b>.*?)\)\n")


def _same(operands: re.Match[str]) -> bool:
    """Whether two types are one but for qualifiers and address spaces."""
    one, other = (_plain(operands[name]) for name in "ab")
    return one == other


def _plain(quoted: str) -> str:
    name = re.findall(r"'([^']*)'", quoted)[-1]
    words = {"const", "volatile", "device", "threadgroup", "constant", "metal::"}
    return " ".join(w for w in name.replace("metal::", "").split() if w not in words)


def resolve(toolchain: Toolchain, unit: str, language: Language) -> str:
    """Everything that clang says about a unit, without end and as it says it."""
    try:
        _judge(toolchain, unit, language, "-ferror-limit=0")
    except CompilerFailed as failure:
        return failure.log
    return ""


def _judge(toolchain: Toolchain, unit: str, language: Language, *more: str) -> None:
    flags = [*_flags(language), f"-std={language.standard}", *BOUNDS, _VLA, *more]
    command = ["clang", "-x", "c++", *flags, "-Xclang", "-fno-validate-pch"]
    prelude = ["-include-pch", str(_prelude(toolchain, language))]
    toolchain.run([*command, *prelude, "-fsyntax-only", "-"], unit)


def _flags(language: Language) -> list[str]:
    return [*_LENIENT, *_FLAGS, f"-DMF_LANGUAGE={language.number}"]


def _prelude(toolchain: Toolchain, language: Language) -> Path:
    flags = [*_flags(language), "-std=c++20", "-Xclang", "-fno-pch-timestamp"]

    def build(target: Path) -> None:
        command = ["clang", "-x", "c++-header", *flags, "-", "-o", str(target)]
        toolchain.run(command, toolchain.kernel_unit)

    return toolchain.once(f"{toolchain.id}-metal-{language.version}.pch", build)


_SPACE_NAMES = {"1": "device", "3": "threadgroup", "4": "constant"}
_WORDS = (
    (re.compile(r"address space '(\d)'"), lambda m: f"'{_SPACE_NAMES.get(m[1], m[1])}'"),
    (re.compile(r"generic address space"), lambda m: "'thread'"),
    (
        re.compile(r"variable length arrays in C\+\+ are a Clang extension[^\n]*"),
        lambda m: "variable length arrays are not supported in Metal",
    ),
    (
        re.compile(r"variable length arrays are not supported for the current target"),
        lambda m: "variable length arrays are not supported in Metal",
    ),
    (re.compile(r"static assertion failed due to requirement '.*?': "), lambda m: ""),
    (re.compile(r"__attribute__\(\(address_space\(\d\)\)\) ?"), lambda m: ""),
)


def _as_metal_says(log: str) -> str:
    for pattern, word in _WORDS:
        log = pattern.sub(word, log)
    return log
