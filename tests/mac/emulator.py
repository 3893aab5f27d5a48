"""A Mac's process in miniature: loads Mach-O libraries of this project and runs their arm64 code.

The processor is emulated by Unicorn; the loader and the few functions of the system that the
runtime calls are here, with XNU's rules: pages of 16 KiB, flags of `mmap`, handlers of signals on
their alternate stack, which XNU holds taken until `sigreturn`. There is one thread.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lief
import numpy as np
from unicorn import UC_ARCH_ARM64, UC_HOOK_CODE, UC_MODE_ARM, Uc, UcError
from unicorn import arm64_const as arm
from unicorn.unicorn_const import UC_HOOK_MEM_INVALID

PAGE_BYTES = 16384
_IMAGES, _HEAP, _STUBS, _STACK = 0x1_0000_0000, 0x20_0000_0000, 0x7000_0000, 0x6000_0000
_STACK_BYTES = 1 << 20
lief.logging.disable()
_RETURN = struct.pack("<I", 0xD65F03C0)
_SIGSEGV, _SIGBUS = 11, 10
_X = [getattr(arm, f"UC_ARM64_REG_X{n}") for n in range(31)]
_MAP_PRIVATE, _MAP_ANON, _MAP_NORESERVE = 0x2, 0x1000, 0x40
_UP_FROM_HANDLER = 0x8000_0000
_FLOATS_ON = 0x300000
_MOST_PAGES = 64
_OF_LIBM = {
    f"_{name}{kind}"
    for kind in ("f", "")
    for name in (
        "cos", "sin", "tan", "acos", "asin", "atan", "atan2", "cosh", "sinh", "tanh", "acosh",
        "asinh", "atanh", "exp", "exp2", "exp10", "log", "log2", "log10", "pow", "ldexp", "fmod",
        "cbrt", "expm1", "log1p", "hypot", "erf", "remainder", "fmin", "fmax", "fma",
    )
}  # fmt: skip
_OF_FLOAT = {
    f"_{function.__name__}f": function
    for function in (np.exp, np.exp2, np.log, np.log2, np.sin, np.cos)
}
"""What builds for the chip model call; those for the cpu engine bring their own."""


class Killed(Exception):
    """The process would have ended by a signal."""


def _absent(name: str) -> None:
    raise Killed(f"{name} is not here")


class Emulator:
    """One process; every address is the guest's."""

    def __init__(self) -> None:
        self._cpu = Uc(UC_ARCH_ARM64, UC_MODE_ARM)
        self._cpu.ctl_set_cpu_model(arm.UC_CPU_ARM64_MAX)
        self._cpu.reg_write(arm.UC_ARM64_REG_CPACR_EL1, _FLOATS_ON)
        self._next_image, self._next_page = _IMAGES, _HEAP
        self.symbols: dict[str, int] = {}
        self.calls: list[str] = []
        self._stubs: dict[int, Callable[[], int | None]] = {}
        self._handlers: dict[int, bytes] = {}
        self._alternate = bytes(24)
        self._on_alternate = False
        self._fault: int | None = None
        self._reserved: list[range] = []
        self._barred: set[int] = set()
        """Pages, by number, that nobody may touch."""
        self._given: set[int] = set()
        self._cpu.mem_map(_STUBS, 1 << 16)
        self._cpu.mem_map(_STACK, _STACK_BYTES)
        self._finish = self._stub("finish", lambda: None)
        self._leave_handler = self._stub("leave handler", lambda: None)
        for name, function in self._system().items():
            self.symbols[name] = self._stub(name, function)
        self._cpu.hook_add(UC_HOOK_CODE, self._on_stub, begin=_STUBS, end=_STUBS + (1 << 16))
        self._cpu.hook_add(UC_HOOK_MEM_INVALID, self._on_invalid)

    # Loading

    def load(self, path: Path) -> dict[str, int]:
        """Map a library, slide it, bind what it imports; its own symbols by name."""
        image = lief.MachO.parse(str(path)).at(0)
        base = self._next_image
        size = max(s.virtual_address + s.virtual_size for s in image.segments)
        self._next_image += -(-size // PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES
        self._cpu.mem_map(base, -(-size // PAGE_BYTES) * PAGE_BYTES)
        for segment in image.segments:
            if segment.name != "__LINKEDIT":
                self.write(base + segment.virtual_address, bytes(segment.content))
        for relocation in image.relocations:
            at = base + relocation.address
            self.write(at, struct.pack("<Q", self._word(at) + base))
        for binding in image.bindings:
            target = self._bound(binding.symbol.name) + binding.addend
            self.write(base + binding.address, struct.pack("<Q", target))
        own = {s.name: base + s.value for s in image.exported_symbols}
        self.symbols.update(own)
        return own

    def _bound(self, name: str) -> int:
        """Where a function of another library is; of most of libm only the names are here."""
        if name not in self.symbols:
            assert name in _OF_LIBM, f"{name} is no function of the system that is known"
            stub = partial(self._of_float, name) if name in _OF_FLOAT else partial(_absent, name)
            self.symbols[name] = self._stub(name, stub)
        return self.symbols[name]

    def _of_float(self, name: str) -> None:
        """A function of one float, from the first floating-point register into it."""
        bits = self._cpu.reg_read(arm.UC_ARM64_REG_S0)
        value = np.uint32(bits & 0xFFFF_FFFF).view(np.float32)
        with np.errstate(all="ignore"):
            found = np.float32(_OF_FLOAT[name](value))
        self._cpu.reg_write(arm.UC_ARM64_REG_S0, int(found.view(np.uint32)))

    # Memory

    def allocate(self, size: int) -> int:
        """Zeroed pages of their own, with unmapped ones behind them."""
        at = self.reserve(size)
        self._cpu.mem_map(at, self._reserved.pop().stop - at)
        return at

    def reserve(self, size: int) -> int:
        """Address space that gets memory where it is touched."""
        at = self._next_page
        whole = max(1, -(-size // PAGE_BYTES)) * PAGE_BYTES
        self._next_page += whole + PAGE_BYTES
        self._reserved.append(range(at, at + whole))
        return at

    def _give(self, fault: int) -> bool:
        """Map what lies around an address between barred pages; False where nobody may be."""
        page = fault // PAGE_BYTES
        room = next((r for r in self._reserved if fault in r), None)
        if room is None or page in self._barred:
            return False
        first = last = page
        while (first - 1) * PAGE_BYTES in room and self._may_join(first - 1, page):
            first -= 1
        while (last + 1) * PAGE_BYTES in room and self._may_join(last + 1, page):
            last += 1
        self._cpu.mem_map(first * PAGE_BYTES, (last + 1 - first) * PAGE_BYTES)
        self._given.update(range(first, last + 1))
        return True

    def _may_join(self, page: int, to: int) -> bool:
        return page not in self._barred | self._given and abs(page - to) < _MOST_PAGES

    def write(self, at: int, data: bytes) -> None:
        self._touch(at, len(data))
        self._cpu.mem_write(at, data)

    def read(self, at: int, size: int) -> bytes:
        self._touch(at, size)
        return bytes(self._cpu.mem_read(at, size))

    def _touch(self, at: int, size: int) -> None:
        """Give what the system itself reads or writes the memory that it was promised."""
        for page in self._pages(at, size):
            if page not in self._given:
                self._give(page * PAGE_BYTES)

    def _word(self, at: int) -> int:
        return int(struct.unpack("<Q", self.read(at, 8))[0])

    # Running

    def call(self, function: int, *arguments: int) -> int:
        """What a function returns in x0.

        Raises:
            Killed: A signal would have ended the process.
        """
        self._cpu.reg_write(arm.UC_ARM64_REG_SP, _STACK + _STACK_BYTES - 64)
        self._cpu.reg_write(arm.UC_ARM64_REG_LR, self._finish)
        for register, value in zip(_X, arguments, strict=False):
            self._cpu.reg_write(register, value)
        at = function
        while at != self._finish:
            self._fault = None
            try:
                self._cpu.emu_start(at, self._finish)
            except UcError as error:
                if self._fault is None:
                    raise Killed(f"{error} at {self._program_counter():#x}") from error
            if self._fault is None:
                break
            at = self._deliver(self._fault)
        return self._argument(0)

    def _argument(self, number: int) -> int:
        return int(self._cpu.reg_read(_X[number]))

    def _program_counter(self) -> int:
        return int(self._cpu.reg_read(arm.UC_ARM64_REG_PC))

    def _stub(self, name: str, function: Callable[[], int | None]) -> int:
        at = _STUBS + 16 * len(self._stubs)
        self.write(at, _RETURN)

        def run() -> int | None:
            self.calls.append(name)
            return function()

        self._stubs[at] = run
        return at

    def _on_stub(self, _cpu: Uc, at: int, _size: int, _data: object) -> None:
        if at == self._leave_handler:
            self._restore(self._context)
            return
        result = self._stubs[at]()
        if result is not None:
            self._cpu.reg_write(_X[0], result & (1 << 64) - 1)

    # Signals

    def _on_invalid(self, _cpu: Uc, _kind: int, at: int, size: int, *_: object) -> bool:
        if self._give(at) and (at % PAGE_BYTES + size <= PAGE_BYTES or self._give(at + size - 1)):
            return True
        self._fault = at
        return False

    def _deliver(self, fault: int) -> int:
        """Enter the handler as XNU does; where it begins."""
        handler = self._handlers.get(_SIGSEGV, bytes(16))
        function, _, flags = struct.unpack("<QII", handler)
        if not function:
            raise Killed(f"fault at {fault:#x}, pc {self._program_counter():#x}")
        sp = int(self._cpu.reg_read(arm.UC_ARM64_REG_SP))
        base, size, _ = struct.unpack("<QQQ", self._alternate)
        if flags & 1 and base and not self._on_alternate:
            sp, self._on_alternate = base + size, True
        sp = (sp - 2048) & ~15
        information, context, machine = sp, sp + 128, sp + 256
        registers = [*(self._argument(n) for n in range(31)), *self._stack_and_place()]
        try:
            self.write(information, struct.pack("<iiiiIiQ", _SIGSEGV, 0, 0, 0, 0, 0, fault))
            self.write(context + 48, struct.pack("<Q", machine))
            self.write(machine + 16, struct.pack("<33Q", *registers))
        except UcError as error:
            raise Killed("no stack for a handler") from error
        self._context = context
        for register, value in zip(_X, (_SIGSEGV, information, context), strict=False):
            self._cpu.reg_write(register, value)
        self._cpu.reg_write(arm.UC_ARM64_REG_SP, sp)
        self._cpu.reg_write(arm.UC_ARM64_REG_LR, self._leave_handler)
        return int(function)

    def _stack_and_place(self) -> tuple[int, int]:
        return int(self._cpu.reg_read(arm.UC_ARM64_REG_SP)), self._program_counter()

    def _restore(self, context: int) -> None:
        """What `sigreturn` does."""
        machine = self._word(context + 48)
        *general, sp, place = struct.unpack("<33Q", self.read(machine + 16, 33 * 8))
        for register, value in zip(_X, general, strict=True):
            self._cpu.reg_write(register, value)
        self._cpu.reg_write(arm.UC_ARM64_REG_SP, sp)
        self._cpu.reg_write(arm.UC_ARM64_REG_PC, place)
        self._on_alternate = False

    # The system

    def _system(self) -> dict[str, Callable[[], int | None]]:
        nothing = ("pthread_self", "sched_yield", "nanosleep", "madvise", "munmap")
        threads = ("create", "detach", "kill", "mutex_init", "mutex_lock", "mutex_unlock")
        waits = ("cond_init", "cond_wait", "cond_broadcast")
        found: dict[str, Callable[[], int | None]] = {
            **{f"_{name}": lambda: 0 for name in nothing},
            **{f"_pthread_{name}": lambda: 0 for name in (*threads, *waits)},
            "_getpid": lambda: 1,
            "_mmap": self._mmap,
            "_mprotect": self._mprotect,
            "_clock_gettime": self._clock_gettime,
            "_sigaction": self._sigaction,
            "_sigaltstack": self._sigaltstack,
            "___sigreturn": self._sigreturn,
            "_memset": lambda: self._fill(self._argument(1), self._argument(2)),
            "_bzero": lambda: self._fill(0, self._argument(1)),
            "_memcpy": self._copy,
            "_memmove": self._copy,
            "dyld_stub_binder": lambda: None,
        }
        return {**found, "___bzero": found["_bzero"]}

    def _mmap(self) -> int:
        hint, size, protection, flags = (self._argument(n) for n in range(4))
        known = _MAP_PRIVATE | _MAP_ANON | _MAP_NORESERVE
        if hint or not size or flags & ~known or not flags & _MAP_ANON:
            return -1
        at = self.reserve(size)
        return at if protection else self._bar(at, size) or at

    def _mprotect(self) -> int:
        at, size, protection = (self._argument(n) for n in range(3))
        if at % PAGE_BYTES:
            return -1
        if protection:
            self._barred -= set(self._pages(at, size))
            return 0
        return self._bar(at, size)

    def _bar(self, at: int, size: int) -> int:
        pages = self._pages(at, size)
        for page in self._given & set(pages):
            self._cpu.mem_unmap(page * PAGE_BYTES, PAGE_BYTES)
        self._given -= set(pages)
        self._barred |= set(pages)
        return 0

    def _pages(self, at: int, size: int) -> range:
        return range(at // PAGE_BYTES, -(-(at + size) // PAGE_BYTES))

    def _clock_gettime(self) -> int:
        now = time.monotonic_ns()
        self.write(self._argument(1), struct.pack("<qq", now // 10**9, now % 10**9))
        return 0

    def _sigaction(self) -> int:
        number, new, old = (self._argument(n) for n in range(3))
        if old:
            self.write(old, self._handlers.get(number, bytes(16)))
        if new:
            self._handlers[number] = self.read(new, 16)
        return 0

    def _sigaltstack(self) -> int:
        new, old = self._argument(0), self._argument(1)
        if old:
            self.write(old, self._alternate)
        if new:
            self._alternate = self.read(new, 24)
        return 0

    def _sigreturn(self) -> int:
        if self._argument(1) & 0xFFFF_FFFF != _UP_FROM_HANDLER:
            raise Killed("sigreturn of another kind")
        self._on_alternate = False
        return 0

    def _fill(self, value: int, size: int) -> None:
        self.write(self._argument(0), bytes([value & 255]) * size)

    def _copy(self) -> None:
        target, source, size = (self._argument(n) for n in range(3))
        self.write(target, self.read(source, size))
