"""Refuses, before the compiler sees it, kernel text that reaches outside the kernel.

Metal source is text from strangers, and clang does more than Metal's compiler: it reads files,
runs code when an object is loaded, takes assembly and flags from the text. `refuse` walks the
tokens of a header or body, refuses what could do any of that, and blanks directives that Metal
ignores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from foundry.msl.frontend.tokens import (
    COMMENT,
    DIRECTIVE,
    NAME,
    SPACE,
    STRING,
    Token,
    tokenize,
)

_HEADERS = re.compile(
    r"<(?:metal_(?!tensor|cooperative)[a-z_]+(?:\.h)?|simd/[a-z_]+\.h|simd\.h)>"
    r'|"(?:metal_(?!tensor|cooperative)[a-z_]+(?:\.h)?|simd/[a-z_]+\.h|simd\.h)"'
)
_DIRECTIVE = re.compile(r"(?:#|%:)(?:\s|/\*.*?\*/)*(?P<word>\w*)(?P<rest>.*)", re.DOTALL)
_COMMENTS = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_HAS_INCLUDE = re.compile(r"\b__has_include\s*\(\s*(?P<name><[^>\n]*>|\"[^\"\n]*\")\s*\)")
_CONDITIONS = {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}
_INCLUDES = {"include", "include_next", "import", "embed", "include_macros"}
_PLAIN_DIRECTIVES = {
    "", "define", "undef", "if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else", "endif",
    "error", "warning",
}  # fmt: skip
_PRAGMA = re.compile(r"\s*(?:unroll\b|nounroll\b|clang\s+loop\b|clang\s+fp\b|STDC\s+FP_CONTRACT\b)")
_METAL_FP = re.compile(
    r"\s*METAL\s+fp\s+(?:contract\s*\(\s*(?P<contract>off|on|fast)\s*\)"
    r"|math_mode\s*\(\s*(?P<mode>safe|relaxed|fast)\s*\))\s*"
)
_FOREIGN_PRAGMA = re.compile(
    r"\s*(?:clang|GCC|comment|weak|redefine_extname|section|include_alias|init_seg|code_seg)\b"
)
_ASSEMBLY = {"asm", "__asm", "__asm__"}
_FILE_QUESTIONS = {"__has_include", "__has_include_next", "__has_embed"}
_ATTRIBUTES = {
    "always_inline", "noinline", "flatten", "unused", "maybe_unused", "aligned", "packed", "pure",
    "const", "nothrow", "may_alias", "vector_size", "ext_vector_type", "cold", "hot", "fallthrough",
    "nodiscard", "warn_unused_result", "deprecated", "assume", "assume_aligned", "nonnull",
    "returns_nonnull", "noreturn", "optnone", "overloadable", "opencl_unroll_hint", "noescape",
    "gnu", "clang", "loop_unroll", "annotate",
}  # fmt: skip
_VENDORS = {"gnu", "__gnu__", "clang", "_Clang", "msvc", "omp"}
_BUILTINS = re.compile(
    r"__builtin_(?:expect\w*|assume\w*|unreachable|constant_p|offsetof|bit_cast|astype|trap"
    r"|popcount\w*|clz\w*|ctz\w*|ffs\w*|clrsb\w*|parity\w*|bswap\w+|bitreverse\w+|rotate\w+"
    r"|is(?:nan|inf|finite|normal|greater|greaterequal|less|lessequal|lessgreater|unordered)\w*"
    r"|inf\w*|huge_val\w*|nan\w*|signbit\w*|copysign\w*|fabs\w*|fma\w*|sqrt\w*|floor\w*|ceil\w*"
    r"|trunc\w*|round\w*|rint\w*|fmin\w*|fmax\w*|fmod\w*|pow\w*|exp\w*|log\w*|sin\w*|cos\w*|tan\w*"
    r"|tanh\w*|memcpy|memset|memmove|shufflevector|convertvector|elementwise_\w+|reduce_\w+|abs\w*"
    r"|(?:add|sub|mul)\w*_overflow|LINE|COLUMN|prefetch|choose_expr|types_compatible_p|clear_padding)"
)
_TENSOR_HEADERS = re.compile(r"metal_tensor|metal_cooperative|MetalPerformancePrimitives")
_TENSORS = "Metal 4 tensor operations are not supported by the cpu engine"
_UNSUPPORTED = {
    "textures": re.compile(
        r"(?:texture|depth)(?:1d|2d|3d|cube)\w*|texture_buffer|sampler|(?:threadgroup_)?imageblock\w*"
    ),
    "Metal 4 tensor operations": re.compile(
        r"mpp|tensor_ops|cooperative_tensor|tensor_(?:handle|inline|offset)|matmul2d(?:_descriptor)?"
    ),
    "function constants": re.compile(r"function_constant|is_function_constant_defined"),
    "ray tracing": re.compile(r"raytracing|intersector|acceleration_structure\w*|ray_data"),
}


@dataclass(eq=False)
class Refused(Exception):
    """Text that is refused: why, and on which line of which part."""

    part: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.part}:{self.line}: error: {self.reason}"


def refuse(tokens: list[Token], part: str) -> list[Token]:
    """The tokens without includes of Metal's headers and directives Metal ignores.

    Raises:
        Refused: for text that could read files, run code at load time or leave the language.
    """
    result = []
    depth = 0
    for at, token in enumerate(tokens):
        if token.kind == DIRECTIVE:
            match = _DIRECTIVE.match(token.text)
            depth += _CONDITIONS.get(match["word"] if match else "", 0)
            result.append(_directive(token, part, depth))
            continue
        if token.kind == NAME:
            _name(tokens, at, part)
        result.append(token)
    return result


def unsupported(tokens: list[Token]) -> str | None:
    """One sentence about a part of Metal that this package leaves out, if the text names one."""
    for token in tokens:
        for what, names in _UNSUPPORTED.items():
            if token.kind == NAME and names.fullmatch(token.text):
                return f"{what} are not supported by the cpu engine ('{token.text}')"
            if token.kind == DIRECTIVE and _TENSOR_HEADERS.search(token.text):
                return _TENSORS
    return None


def _directive(token: Token, part: str, depth: int) -> Token:
    match = _DIRECTIVE.match(token.text)
    word = match["word"] if match else ""
    rest = _COMMENTS.sub(" ", match["rest"]) if match else ""
    if word in _INCLUDES:
        if word == "include" and _HEADERS.fullmatch(rest.strip()):
            return _blank(token)
        reason = f"#{word} {rest.strip()}: only Metal's own headers can be included"
        if _TENSOR_HEADERS.search(rest):
            reason = _TENSORS
        if depth > 0 and word == "include":  # perhaps not taken: the preprocessor decides
            return _replace(token, "#error " + reason.replace('"', "'"))
        raise Refused(part, token.line, reason)
    if word == "pragma":
        return _pragma(token, rest, part)
    if word not in _PLAIN_DIRECTIVES:
        return _blank(token)
    asked = _HAS_INCLUDE.sub(_has_header, rest)
    if asked != rest:
        token, rest = _replace(token, f"#{word}{asked}"), asked
    inside = [t._replace(line=token.line) for t in tokenize(rest)]
    for at, inner in enumerate(inside):
        if inner.kind == NAME:
            _name(inside, at, part)
    if word == "define" and _first_name(inside) in _ATTRIBUTES:
        reason = f"'{_first_name(inside)}' names an attribute and cannot be a macro"
        raise Refused(part, token.line, reason)
    return token


def _has_header(question: re.Match[str]) -> str:
    """Of Metal's own headers there are all, and no others."""
    return " 1 " if _HEADERS.fullmatch(question["name"]) else " 0 "


def _first_name(tokens: list[Token]) -> str:
    return next((token.text for token in tokens if token.kind == NAME), "")


def _pragma(token: Token, rest: str, part: str) -> Token:
    if re.match(r"\s*(?:once|(?:clang|GCC)\s+diagnostic)\b", rest):  # would switch off checks
        return _blank(token)
    if _PRAGMA.match(rest):
        return token
    if floating := _METAL_FP.fullmatch(rest):
        return _replace(token, f"#pragma clang fp {_clang_fp(floating)}")
    if _FOREIGN_PRAGMA.match(rest):
        raise Refused(part, token.line, f"#pragma{rest.rstrip()} is not Metal")
    return _blank(token)


def _clang_fp(pragma: re.Match[str]) -> str:
    if pragma["contract"]:
        return f"contract({pragma['contract']})"
    state = "off" if pragma["mode"] == "safe" else "on"
    return f"reassociate({state}) reciprocal({state})"


def _check_pragma_operator(text: str, part: str, line: int) -> None:
    match = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', text.strip())
    if match is None or not _PRAGMA.match(match[1].replace('\\"', '"')):
        raise Refused(part, line, f"_Pragma({text.strip()}) is not Metal")


def _name(tokens: list[Token], at: int, part: str) -> None:
    token = tokens[at]
    refusal = Refused(part, token.line, "")
    _check_name(token.text, refusal)
    following = _significant(tokens, at, 3)
    linkage = following[0] if token.text == "extern" and following else token
    if linkage.kind == STRING and linkage.text != '"C"':
        raise replace(refusal, reason='extern with a linkage other than "C" is not Metal')
    if token.text == "import" and _starts_line(tokens, at):
        raise replace(refusal, reason="import is not Metal")
    if token.text == "_Pragma":
        text = following[1].text if len(following) > 1 else ""
        _check_pragma_operator(text, part, token.line)
    if token.text in {"__attribute__", "__attribute"}:
        _check_attributes(_bracketed(tokens, at, refusal), refusal)
    if token.text == "using" and _before(tokens, at) == "[" and following:
        _check_attributes(_attribute_list(tokens, at + 1), refusal)
    if token.text in _VENDORS and _before(tokens, at) in {"[", ","}:
        _check_attributes(_attribute_list(tokens, at), refusal)


def _check_name(name: str, refusal: Refused) -> None:
    if name in _ASSEMBLY:
        raise replace(refusal, reason="inline assembly is not Metal")
    if name in _FILE_QUESTIONS:
        raise replace(refusal, reason=f"{name} asks about files of this machine")
    if name == "double":
        raise replace(refusal, reason="'double' is not supported in Metal")
    if name == "__declspec":
        raise replace(refusal, reason="__declspec is not Metal")
    if name.startswith("__builtin_") and not _BUILTINS.fullmatch(name):
        raise replace(refusal, reason=f"{name} is not Metal")


def _check_attributes(names: list[str], refusal: Refused) -> None:
    for name in names:
        if name.strip("_") not in _ATTRIBUTES:
            raise replace(refusal, reason=f"the attribute '{name}' is not allowed in a kernel")


def _bracketed(tokens: list[Token], at: int, refusal: Refused) -> list[str]:
    """Attribute names in `((a, b(1)))`: the names two parentheses deep."""
    if [token.text for token in _significant(tokens, at, 2)] != ["(", "("]:
        raise replace(refusal, reason="__attribute__ is not followed by its attributes")
    depth = 0
    names = []
    for token in tokens[at + 1 :]:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 2 and token.kind == NAME:
            names.append(token.text)
        if depth == 0 and token.kind not in {SPACE, COMMENT}:
            break
    return names


def _attribute_list(tokens: list[Token], at: int) -> list[str]:
    """Names from a scope to the end of its `[[...]]`, arguments left out."""
    depth = 0
    names = []
    for token in tokens[at:]:
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "]":
            break
        if depth == 0 and token.kind == NAME:
            names.append(token.text)
    return names


def _significant(tokens: list[Token], at: int, count: int) -> list[Token]:
    found = [t for t in tokens[at + 1 : at + 1 + 4 * count] if t.kind not in {SPACE, COMMENT}]
    return found[:count]


def _before(tokens: list[Token], at: int) -> str:
    for token in reversed(tokens[max(0, at - 8) : at]):
        if token.kind not in {SPACE, COMMENT}:
            return token.text
    return ""


def _starts_line(tokens: list[Token], at: int) -> bool:
    for token in reversed(tokens[:at]):
        if "\n" in token.text:
            return True
        if token.kind not in {SPACE, COMMENT}:
            return False
    return True


def _blank(token: Token) -> Token:
    return Token(SPACE, "\n" * token.text.count("\n"), token.line)


def _replace(token: Token, text: str) -> Token:
    return Token(DIRECTIVE, text + "\n" * token.text.count("\n"), token.line)
