"""Reads a kernel as Metal's compiler would, and runs nothing: clang's syntax pass over clang's own
address spaces, at the language level of Metal.

The prelude is the one that kernels run with, built as declarations (`MF_DECLARED`) for a target on
which every address space converts to the one without a name. It is precompiled as C++20, which its
own text needs, and read from the user's text in C++14 or C++17: clang lets a precompiled header of
another standard in when told not to compare (`-fno-validate-pch`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from foundry.msl.build import object_spaces
from foundry.msl.build.compiler import COMPILE_CPU_S, CompilerFailed
from foundry.msl.build.toolchain import BOUNDS, Toolchain
from foundry.msl.frontend.language import Language
from foundry.msl.frontend.refusals import methods

_FLAGS = (
    "-nostdinc",
    "-fsigned-char",
    "-fdeclspec",
    "-fno-exceptions",
    "-fno-rtti",
    "-Xclang",
    "-cl-single-precision-constant",
    "-Wno-everything",
    # Errors of clang's that it counts among the warnings.
    "-Werror=c++11-narrowing",
    "-Werror=return-mismatch",
    "-Werror=increment-bool",
    "-Werror=address-of-temporary",
    "-DMF_DECLARED=1",
)
_STRICT = ("-target", "x86_64-linux-gnu")
_LENIENT = ("-target", "nvptx64-nvidia-cuda", "-Xclang", "-target-feature", "-Xclang", "+ptx80")
_QUICK_S = 1
_VLA = "-Werror=vla-cxx-extension"


def complaint(toolchain: Toolchain, unit: str, language: Language) -> str | None:
    """What Metal's compiler has against a unit, in clang's words; None when it would build."""
    try:
        _judge(toolchain, unit, language)
    except CompilerFailed as failure:
        if said := _without_false(_as_metal_says(failure.log)):
            return said
    return _thread_complaint(toolchain, unit, language) if _NEEDS_STRICT.search(unit) else None


def _thread_complaint(toolchain: Toolchain, unit: str, language: Language) -> str | None:
    """Pointers and references from another space to `thread`, which the lenient target lets pass.

    On this machine's own target no space converts to another, so that objects cannot be copied from
    `device` either; of what clang says there, these alone count.
    """
    try:
        _judge(toolchain, unit, language, _NOT_THREAD, "-ferror-limit=0", target=_STRICT)
    except CompilerFailed as failure:
        messages = _MESSAGE.split(_as_metal_says(failure.log))
        found = [m for m in messages if _TO_THREAD.search(m)]
        return "".join(found + object_spaces.complaints(messages, unit)) or None
    return None


_NOT_THREAD = f'-D{methods.NOT_THREAD}=__attribute__((unavailable("{methods.NOT_THREAD}")))'
_ARM = r"&?\w+(?:\s*\+\s*\w+)?"
_NEEDS_STRICT = re.compile(
    rf"\bthread\b[^;{{}}()]*[*&]|^// method |\?\s*{_ARM}\s*:\s*{_ARM}\s*[;,)]|[<>=]\s*&\w",
    re.MULTILINE,
)
"""Where pointers to `thread` and to another space may meet, or classes have functions."""
_SPACE = r"(?:const )?(?:device|threadgroup|constant) "
_LEADS = rf"'{_SPACE}[^']*[*\])]'"
"""A pointer to another space, or an array there."""
_LEADS_TO_THREAD = rf"'(?!{_SPACE})[^']*\*[^']*'"
_CANDIDATE = r"candidate (?:function|constructor)"
_TO_THREAD = re.compile(
    rf"error: cannot initialize (?:an? )?[^']*of type {_LEADS_TO_THREAD} .*?with an [lr]value of"
    rf" type {_LEADS}"
    rf"|error: assigning {_LEADS} to {_LEADS_TO_THREAD} changes address space"
    rf"|error: assigning to {_LEADS_TO_THREAD} from incompatible type {_LEADS}"
    rf"|error: (?:static_cast|reinterpret_cast) from {_LEADS} to {_LEADS_TO_THREAD} is not allowed"
    r"|error: (?:incompatible operand|comparison of distinct pointer) types"
    r" \('[^']*[*\]]'[^\n]*? and '[^']*[*\]]'"
    rf"|note: {_CANDIDATE}[^\n]*cannot pass pointer to '\w+' as a pointer to 'thread'"
    rf"|note: {_CANDIDATE}[^\n]*no known conversion from {_LEADS} to {_LEADS_TO_THREAD}"
    rf"|error: binding reference of type '(?!const |{_SPACE})[^']*' to value of type '{_SPACE}"
    r"|^(?:header|source):\d+:\d+: note: candidate function(?! \(the implicit)[^\n]*cannot bind"
    r" reference in '(?:device|threadgroup|constant)' to object in 'thread'"
    r"(?![^\n]*\n[^\n]*\b(?:thread const|const thread)\b)",
    re.MULTILINE,
)
"""A reference to what is `const` binds to a copy."""


def _without_false(log: str) -> str:
    """The log without errors that are clang's alone; empty when no other is left.

    `c ? p[i] : v` of one class is an error where `p[i]` lies in an address space: Metal has vectors
    and bfloat built in.
    """
    messages = _MESSAGE.split(log)
    kept = [m for m in messages if not _is_false(m)]
    return "".join(kept) if any(": error: " in m or m.startswith("error: ") for m in kept) else ""


_MESSAGE = re.compile(r"(?m)^(?=\S+?:\d+:\d+: (?:fatal )?error: )")
_NARROWED_COMPONENT = re.compile(r"error: [^\n]* narrowed [^\n]*'mf_in'")
_OPERANDS = re.compile(r"error: incompatible operand types \((?P<a>.*?) and (?P<b>.*?)\)\n")


def _is_false(message: str) -> bool:
    """Whether an error is clang's alone: a vector is a class here, and braces its constructor."""
    operands = _OPERANDS.search(message)
    return bool(_NARROWED_COMPONENT.search(message)) or (operands is not None and _same(operands))


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


def is_quickly_accepted(toolchain: Toolchain, unit: str, language: Language) -> bool:
    """Whether Metal's compiler has nothing against a unit, and needs little time to see it."""
    try:
        _judge(toolchain, unit, language, limit_s=_QUICK_S)
    except CompilerFailed:
        return False
    return not _NEEDS_STRICT.search(unit) or _thread_complaint(toolchain, unit, language) is None


def _judge(
    toolchain: Toolchain,
    unit: str,
    language: Language,
    *more: str,
    target: Sequence[str] = _LENIENT,
    limit_s: int = COMPILE_CPU_S,
) -> None:
    flags = [*target, *_flags(language), f"-std={language.standard}", *BOUNDS, _VLA, *more]
    if target is _LENIENT:
        flags.append(f"-D{methods.NOT_THREAD}=")
    command = ["clang", "-x", "c++", *flags, "-Xclang", "-fno-validate-pch"]
    prelude = ["-include-pch", str(_prelude(toolchain, language, target))]
    toolchain.run([*command, *prelude, "-fsyntax-only", "-"], unit, limit_s)


def _flags(language: Language) -> list[str]:
    return [*_FLAGS, f"-DMF_LANGUAGE={language.number}"]


def _prelude(toolchain: Toolchain, language: Language, target: Sequence[str]) -> Path:
    flags = [*target, *_flags(language), "-std=c++20", "-Xclang", "-fno-pch-timestamp"]

    def build(made: Path) -> None:
        command = ["clang", "-x", "c++-header", *flags, "-", "-o", str(made)]
        toolchain.run(command, toolchain.kernel_unit)

    name = f"{toolchain.id}{toolchain.dialect}-metal-{language.version}-{target[1]}.pch"
    return toolchain.once(name, build)


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
    (re.compile(r"__attribute__\(\(address_space\((\d)\)\)\)"), lambda m: _SPACE_NAMES[m[1]]),
)


def _as_metal_says(log: str) -> str:
    for pattern, word in _WORDS:
        log = pattern.sub(word, log)
    return log
