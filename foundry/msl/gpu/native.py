"""The same text for this machine: address spaces and GPU attributes go, counters come. Pure."""

from __future__ import annotations

import re

from foundry.msl.gpu.machine import Machine, as_json

_SPACE = re.compile(r",? ?addrspace\(\d+\)")
_OVERLOAD = re.compile(r"(@llvm\.\w+(?:\.\w+)*?)((?:\.p\d+)+)")
_TARGET = re.compile(
    r' "(?:target-cpu|target-features|uniform-work-group-size|amdgpu-[\w-]+)"(?:="[^"]*")?'
)
_ENTRY = re.compile(r"define .*@mf_run_gpu\((.*)\)[^)]*\{$")
_LABEL = re.compile(r'^(?:"([^"]+)"|([-\w.$]+)):')
_COMDAT = re.compile(r",? comdat(?:\(\$[^)]*\))?(?=[,\s]|$)")
_DECLARATION = "\ndeclare void @mf_count_block(i32)\n"


def native_text(text: str, layout: str) -> str:
    """The text for the target of `layout`, with the entry that the runtime calls."""
    lines, parameters = [], 0
    for line in text.split("\n"):
        if line.startswith("target datalayout"):
            lines.append(layout)
            continue
        if line.startswith(("target triple", "$")):
            continue
        if "addrspace" in line:
            line = _SPACE.sub("", line.replace("addrspacecast", "bitcast"))
        if "@llvm." in line:
            line = _OVERLOAD.sub(lambda m: m[1] + re.sub(r"\.p\d+", ".p0", m[2]), line)
        if " comdat" in line:
            # They merge copies in many objects. Here is one, and a Mac's objects have none.
            line = _COMDAT.sub("", line)
        if line.startswith("attributes "):
            line = _TARGET.sub("", line)
        if entry := _ENTRY.match(line):
            parameters = len(re.findall(r"(?:^|, )ptr\b", entry[1]))
        lines.append(line)
    return "\n".join(lines) + _thread(parameters)


def _thread(parameters: int) -> str:
    """The entry: buffers are read from the launch."""
    made = ["\ndefine void @mf_run_thread(ptr %launch, ptr %position) {"]
    made.append("  %buffers = load ptr, ptr %launch, align 8")
    for number in range(parameters):
        made.append(f"  %at{number} = getelementptr ptr, ptr %buffers, i64 {number}")
        made.append(f"  %b{number} = load ptr, ptr %at{number}, align 8")
    passed = ", ".join(f"ptr %b{number}" for number in range(parameters))
    return "\n".join([*made, f"  call void @mf_run_gpu({passed})", "  ret void", "}", ""])


def with_blocks(text: str, machine: Machine) -> str:
    """The text with a call in each block of the kernel, and the machine's blocks in that order.

    Blocks that the GPU's back end made no instruction of count too; the table names all.
    """
    lines: list[str] = []
    names: list[str] = []
    inside = waiting = False
    for line in text.split("\n"):
        if line.startswith("define ") and "@mf_run_gpu(" in line:
            inside = True
        elif line == "}":
            inside = False
        elif inside and (label := _LABEL.match(line)):
            names.append(label[1] or label[2])
            waiting = True
        elif waiting and line.strip() and " = phi " not in line:
            lines.append(f"  call void @mf_count_block(i32 {len(names) - 1})")
            waiting = False
        lines.append(line)
    return (
        "\n".join(lines)
        + _DECLARATION
        + _table("machine", as_json(machine))
        + _table("blocks", "\n".join(names))
    )


def _table(name: str, text: str) -> str:
    data = text.encode() + b"\0"
    shown = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data)
    return f'\n@mf_{name} = constant [{len(data)} x i8] c"{shown}"\n'
