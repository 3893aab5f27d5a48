"""What a Mac is known by, over answers as its system gives them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import pytest

from foundry import mac
from foundry.engines import cpu
from foundry.engines.gpu_faults import Blame, blame_of, fault_in
from foundry.msl.build import processor

IOREG = """+-o AGXAcceleratorG16X  <class AGXAcceleratorG16X, id 0x1000>
    {
      "IOClass" = "AGXAcceleratorG16X"
      "gpu-core-count" = 40
      "model" = "Apple M4 Max"
    }
"""
PMSET = "System-wide power settings:\nCurrently in use:\n sleep 1\n lowpowermode         1\n"


def answers(command: Sequence[str]) -> str:
    return IOREG if "ioreg" in command[0] else PMSET


def test_chip_cores_and_power_mode_are_told() -> None:
    found = mac.facts(answers, "Apple M4 Max")
    assert found == {"chip": "Apple M4 Max", "gpu_cores": 40, "power_mode": "low"}


def test_what_the_system_does_not_tell_is_left_out() -> None:
    assert mac.facts(lambda command: "", "Apple M1") == {"chip": "Apple M1"}
    assert mac.facts(answers) == {}


def test_what_the_system_tells_may_hold_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = r" sleep 1 (sleep prevented by Caf\303)\n powermode 2\n \"gpu-core-count\" = 8\n"
    for name in ("_REGISTRY", "_POWER"):
        monkeypatch.setattr(mac, name, ("printf", printed))
    assert mac.facts(chip="Apple M4") == {"chip": "Apple M4", "gpu_cores": 8, "power_mode": "high"}


class _Library:
    """`sysctlbyname` of a Mac's C library."""

    def __init__(self, known: dict[bytes, bytes]) -> None:
        self._known = known

    def sysctlbyname(
        self, name: bytes, answer: ctypes.Array[ctypes.c_char], size: object, new: None, bytes_: int
    ) -> int:
        if name not in self._known:
            return -1
        answer.value = self._known[name]
        return 0


def test_the_processor_is_asked_by_name() -> None:
    library = _Library({b"machdep.cpu.brand_string": b"Apple M2 Ultra"})
    assert mac.sysctl("machdep.cpu.brand_string", library) == "Apple M2 Ultra"
    assert mac.sysctl("hw.nothing", library) is None


def test_builds_and_records_are_keyed_by_the_real_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = set()
    monkeypatch.setattr(processor.Path, "read_text", _missing)
    for chip in ("Apple M1", "Apple M4"):
        monkeypatch.setattr(mac, "processor", lambda chip=chip: chip)
        processor.processor.cache_clear()
        cpu._processor_name.cache_clear()
        seen.add(processor.processor())
        assert cpu._processor_name() == chip
    processor.processor.cache_clear()
    cpu._processor_name.cache_clear()
    assert len(seen) == 2


def _missing(*_: object) -> str:
    raise FileNotFoundError("/proc/cpuinfo")


@pytest.mark.parametrize(
    ("fault", "blame"),
    [
        ("InnocentVictim", Blame.BYSTANDER),
        ("SubmissionsIgnored", Blame.BYSTANDER),
        ("ImpactingInteractivity", Blame.KERNEL),
        ("Timeout", Blame.KERNEL),
        ("Hang", Blame.KERNEL),
    ],
)
def test_errors_of_the_gpu_are_named_and_blamed(fault: str, blame: Blame) -> None:
    code = f"0000000e:kIOGPUCommandBufferCallbackError{fault}"
    text = f"[METAL] Command buffer execution failed: stopped ({code})"
    assert fault_in(text) == fault
    assert blame_of(fault) is blame


def test_other_words_are_no_error_of_the_gpu() -> None:
    assert fault_in("[metal::Device] Unable to build metal library from source") is None
