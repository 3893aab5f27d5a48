"""What a GPU's register allocator and scheduler make of a kernel: instructions by basic block.

1. `kernel_text`: the hardware that the text calls upon becomes instructions of the target, or
   words in inline assembly where the target has none.
2. `read`: the assembly that comes back becomes a `Machine`.

The target is AMD's gfx11 with 32 lanes, bounded to the 128 registers that a thread of Apple's GPUs
may hold. Its scalar instructions count as any other: Apple's GPUs have no scalar unit.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from foundry.msl.gpu.kinds import kind_of

REGISTERS = 128
"""Of 32 bits, at most, before a thread of Apple's GPUs spills."""
_ATTRIBUTES = f'"amdgpu-num-vgpr"="{REGISTERS}" "amdgpu-flat-work-group-size"="1,1024"'
_AXES = "xyz"
_SLOT_BYTES = 4096
_CALL = re.compile(
    r"^(?P<left>\s+(?:%\S+ = )?)(?:tail |musttail |notail )?call .*?"
    r"@mf_(?:gpu_)?(?P<name>\w+)\((?P<arguments>.*)\)(?: #\d+)?(?:, !.*)?$"
)
_PARAMETER = re.compile(r"\b(?:noundef|signext|zeroext|inreg|range\([^)]*\)) ")
_INTRINSICS = {
    "lane": "i32 @llvm.amdgcn.mbcnt.lo(i32 -1, i32 0)",
    "index": "i32 @llvm.amdgcn.workitem.id.x()",
    "barrier": "void @llvm.amdgcn.s.barrier()",
    "exp2": "float @llvm.amdgcn.exp2.f32({})",
    "log2": "float @llvm.amdgcn.log.f32({})",
    "rsqrt": "float @llvm.amdgcn.rsq.f32({})",
    "sin": "float @llvm.amdgcn.sin.f32({})",
    "cos": "float @llvm.amdgcn.cos.f32({})",
    "active": 'i32 asm sideeffect "mf_active $0", "=s"()',
    "launch": 'i32 asm "mf_launch $0", "=s"()',
    "shuffle": 'i32 asm sideeffect "mf_shuffle $0, $1, $2", "=v,v,v"({})',
    "multiply": 'i64 asm sideeffect "mf_multiply $0, $1, $2, $3, $4, $5, $6", "=v,v,v,v,v,v,v"({})',
    "simd_barrier": 'void asm sideeffect "mf_simd_barrier", "~{{memory}}"()',
}
_DECLARATIONS = """
@mf_lds = internal addrspace(3) global [16 x i8] undef, align 16
declare i32 @llvm.amdgcn.mbcnt.lo(i32, i32)
declare i32 @llvm.amdgcn.workitem.id.x()
declare i32 @llvm.amdgcn.workitem.id.y()
declare i32 @llvm.amdgcn.workitem.id.z()
declare i32 @llvm.amdgcn.workgroup.id.x()
declare i32 @llvm.amdgcn.workgroup.id.y()
declare i32 @llvm.amdgcn.workgroup.id.z()
declare void @llvm.amdgcn.s.barrier()
declare float @llvm.amdgcn.exp2.f32(float)
declare float @llvm.amdgcn.log.f32(float)
declare float @llvm.amdgcn.rsq.f32(float)
declare float @llvm.amdgcn.sin.f32(float)
declare float @llvm.amdgcn.cos.f32(float)
"""


@dataclass(frozen=True)
class Machine:
    """One kernel after register allocation."""

    registers: int
    """Of 32 bits, a thread."""
    scratch_bytes: int
    """A thread keeps so much in memory: registers that did not fit, and arrays that it indexes."""
    blocks: Mapping[str, Mapping[str, int]]
    """Instructions by kind, by name of the basic block."""


def kernel_text(text: str) -> str:
    """The text of a kernel for the compiler's back end, from clang's text."""
    lines = []
    for line in text.split("\n"):
        if line.startswith("declare ") and ("@mf_gpu_" in line or "@mf_note_" in line):
            continue
        if line.startswith("define ") and "@mf_run_gpu(" in line:
            line = line.replace("define ", "define amdgpu_kernel ", 1)
            line = f"{line[: line.rindex('{')]}{_ATTRIBUTES} {{"
        elif found := _CALL.match(line) if "@mf_" in line else None:
            line = _instruction(found["left"], found["name"], found["arguments"])
        lines.append(line)
    return "\n".join(lines) + _DECLARATIONS


def _instruction(left: str, name: str, arguments: str) -> str:
    arguments = _PARAMETER.sub("", arguments)
    if name.startswith("note_"):
        return ""
    if name == "storage":
        offset = int(arguments.rpartition(" ")[2]) * _SLOT_BYTES
        return f"{left}getelementptr i8, ptr addrspace(3) @mf_lds, i32 {offset}"
    if name in {"local", "group"}:
        axis = _AXES[int(arguments.rpartition(" ")[2])]
        what = "workitem" if name == "local" else "workgroup"
        return f"{left}call i32 @llvm.amdgcn.{what}.id.{axis}()"
    return f"{left}call {_INTRINSICS[name].format(arguments)}"


_LABEL = re.compile(r"(?:\.LBB(\d+_\d+):|; %bb\.\d+:)(?:[^%]*%(\S+))?")
_LOOP = re.compile(r"in Loop: Header=BB(\d+_\d+)")
_ENTRY = "entry"
_REGISTERS = re.compile(r"^; NumVgprs: (\d+)", re.MULTILINE)
_SCRATCH = re.compile(r"^; ScratchSize: (\d+)", re.MULTILINE)


def read(assembly: str) -> Machine:
    """A kernel from its assembly.

    A block that the back end put in has no name of its own: it counts with the header of the loop
    that it is in, or with the first block of the kernel.
    """
    start = assembly.index("\nmf_run_gpu:")
    stop = assembly.index(".Lfunc_end", start)
    tail = assembly[stop:]
    registers, scratch = _REGISTERS.search(tail), _SCRATCH.search(tail)
    return Machine(
        int(registers[1]) if registers else 0,
        int(scratch[1]) if scratch else 0,
        {name: dict(kinds) for name, kinds in _blocks(assembly[start:stop].split("\n")).items()},
    )


def _blocks(lines: Sequence[str]) -> dict[str, Counter[str]]:
    blocks: dict[str, Counter[str]] = {}
    # A loop's header may stand below blocks of the loop.
    labels = [label for line in lines if (label := _LABEL.match(line))]
    own = {label[1]: _own_name(label) for label in labels}
    name: str | None = _ENTRY
    for line in lines:
        if label := _LABEL.match(line):
            name = _own_name(label)
        if name is None and (loop := _LOOP.search(line)):
            name = own.get(loop[1])
        if line.startswith("\t") and line[1:2].isalpha():
            for part in line.strip().split(" :: "):
                if kind := kind_of(part.split()[0]):
                    blocks.setdefault(name or _ENTRY, Counter())[kind] += 1
    return blocks


def _own_name(label: re.Match[str]) -> str | None:
    """Of a basic block of the kernel; None of one that the back end put in."""
    found = (label[2] or "").strip('"')
    return None if not found or found.startswith("Flow") else found


def as_json(machine: Machine) -> str:
    """The machine as text that is kept in a kernel's library."""
    return json.dumps(asdict(machine))


def from_json(text: str) -> Machine:
    """The machine from that text."""
    return Machine(**json.loads(text))
