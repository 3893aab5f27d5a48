"""Which kind of work an instruction of gfx11 is, in the words of a table of Apple's."""

from __future__ import annotations

import re

_PREFIX = re.compile(r"^(?:v_dual|v_pk|v|s)_")
_NOTHING = re.compile(
    r"^s_(?:waitcnt|delay_alu|clause|nop|endpgm|code_end|set_inst|inst_prefetch|sendmsg|version"
    r"|wait_|sethalt|setprio|denorm|round)"
)
_KINDS = (
    # A load of Apple's GPUs adds base and scaled index itself; AMD's needs these.
    ("address", r"(?:lshl\w*_[bu]64|ashr\w*_i64|add_co|addc|sub_co|subb|add_u64|lshl_add_u64)"),
    ("fp64", r"\w*_f64(?:_|$)"),
    ("convert", r"(?:cvt|rndne|trunc|floor|ceil|frexp)_"),
    ("exp2", r"(?:exp|log)_f"),
    ("reciprocal", r"rcp_"),
    ("rsqrt", r"(?:rsq|sqrt)_"),
    ("sine", r"(?:sin|cos)_"),
    ("compare", r"(?:cmpx?_|cndmask|cselect|max|min|med3|maxmin|minmax|bitcmp)"),
    ("fp16", r"\w*_(?:f16|bf16)(?:_|$)"),
    (
        "fp32",
        r"(?:fma|fmac|fmaak|fmamk|mul|add|sub|subrev|mad|div_\w+|ldexp|fract|dot\w*)_(?:\w+_)?f32",
    ),
    ("wide_multiply", r"(?:mul_hi|mad_[ui]64|mad_co)"),
    ("multiply", r"(?:mul_|mad_)"),
    ("shift_right", r"(?:lshr|ashr|bfe|alignbit|alignbyte)"),
    ("shift_left", r"lshl\w*_b"),
    ("count", r"(?:bcnt|bfrev|brev|ff|cls|flbit|ctz)"),
    ("bitwise", r"(?:and|or|xor|not|andn|orn|bfi|bfm|perm|nand|nor|xnor)"),
)
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_WHOLE = {
    "s_barrier": "barrier",
    "mf_shuffle": "shuffle",
    "mf_multiply": "matrix",
    "mf_simd_barrier": "simd_barrier",
    "mf_active": "bitwise",
}
_MEMORY = (
    ("shared_load", r"ds_(?:load|read)"),
    ("shared_store", r"ds_(?:store|write)"),
    ("shared_atomic", r"ds_"),
    ("spill", r"(?:scratch|buffer)_(?:load|store)"),
    ("device_atomic", r"(?:global|flat)_atomic"),
    ("device_load", r"(?:global|flat)_load"),
    ("device_store", r"(?:global|flat)_store"),
    ("uniform_load", r"s_load"),
)
_COMPILED_MEMORY = tuple((kind, re.compile(pattern)) for kind, pattern in _MEMORY)


def kind_of(opcode: str) -> str | None:
    """The kind of an instruction; None for what costs nothing on another GPU."""
    if opcode in _WHOLE:
        return _WHOLE[opcode]
    for kind, pattern in _COMPILED_MEMORY:
        if pattern.match(opcode):
            return kind
    if _NOTHING.match(opcode) or not opcode.startswith(("v_", "s_")):
        return None
    if opcode.startswith(("s_cbranch", "s_branch")):
        return "branch"
    if "saveexec" in opcode:
        return "branch"
    rest = _PREFIX.sub("", opcode)
    return next((kind for kind, pattern in _COMPILED if pattern.match(rest)), "integer")
