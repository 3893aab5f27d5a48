"""The runtime's own memory, as far as a kernel's text reaches it: fibres, SIMD-groups, the launch.

The prelude reads and writes it for barriers, SIMD-group operations and thread attributes. Nothing
of the user's leads there, so that such accesses need no checks; that a value which is not set
travels through it is seen all the same (`local_hooks`). What is known of a fibre is how its
address is made: from the stack pointer, by arithmetic. Its SIMD-group is found at a fixed place in
it. Threadgroup memory is reached through other places, and is the user's.
"""

from __future__ import annotations

import re

from foundry.msl.build.llvm_text import REGISTER, REGISTERS

_ENTRY = re.compile(r"define [^@]*@mf_run_thread\(")
_STACK = re.compile(rf"\s+{REGISTER} = (?:tail )?call ptr @llvm\.stackaddress")
_ARITHMETIC = re.compile(rf"\s+{REGISTER} = (?:ptrtoint|and|lshr|shl|mul|or|add) (.*)")
_ADDRESS = re.compile(rf"\s+{REGISTER} = inttoptr i64 {REGISTER} to ptr")
_PLACE = re.compile(rf"\s+{REGISTER} = getelementptr .*?, ptr {REGISTER}, ([^!]*)")
_POINTER = re.compile(rf"\s+{REGISTER} = load ptr, ptr {REGISTER}, ")
_GROUP = "i64 8"
"""Where a fibre keeps the address of its SIMD-group (`target_cpu.h`)."""


class EngineMemory:
    """Which registers of a function hold such addresses.

    Args:
        head: The line that the function begins with.
    """

    def __init__(self, head: str) -> None:
        self._launch = set(REGISTERS.findall(head)) if _ENTRY.match(head) else set()
        """Of the launch and the thread's position: what is at a fixed place in them."""
        self._numbers: set[str] = set()
        self._fibres: set[str] = set()
        self._group_places: set[str] = set()
        self._places: set[str] = set()

    def note(self, line: str) -> None:
        """Take in an instruction."""
        if found := _STACK.match(line):
            self._numbers.add(found[1])
        elif found := _ARITHMETIC.match(line):
            operands = REGISTERS.findall(found[2])
            if operands and self._numbers.issuperset(operands):
                self._numbers.add(found[1])
        elif (found := _ADDRESS.match(line)) and found[2] in self._numbers:
            self._fibres.add(found[1])
        elif (found := _POINTER.match(line)) and found[2] in self._group_places:
            self._places.add(found[1])
        elif found := _PLACE.match(line):
            self._place(found[1], found[2], found[3].strip(", "))

    def _place(self, register: str, base: str, offset: str) -> None:
        if base in self._fibres and offset == _GROUP:
            self._group_places.add(register)
        if base in self._fibres or base in self._places:
            self._places.add(register)
        if base in self._launch and "%" not in offset:
            self._places.add(register)

    def holds(self, register: str) -> bool:
        """Whether an access there is the runtime's own."""
        own = (self._places, self._fibres, self._launch)
        return any(register in registers for registers in own)
