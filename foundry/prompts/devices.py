"""A device in the words of a prompt: what it can do, and what its compiler makes of a kernel."""

from __future__ import annotations

import functools

from foundry.chips import registry
from foundry.chips.chip import Chip, Figure
from foundry.program import Device
from foundry.prompts.chip import is_predicted

VECTOR_BITS = "vector_bits"
"""In the fingerprint of a processor."""
_FLOAT_BITS = 32
_RIDGE_OF_CPU, _RIDGE_OF_GPU = 8.0, 25.0
"""FLOP per byte at which arithmetic begins to bound a kernel instead of memory, where the chip's
own figures are not known."""
_ON_A_PROCESSOR = (
    "The Metal text is compiled to native code and run on the CPU's cores: threadgroups run in "
    "parallel, the threads of one threadgroup take turns on one core. Barriers and SIMD-group "
    "functions switch between threads and cost time; SIMD-group matrices are plain loops."
)
_VECTORISED = (
    "What is vectorised are counted loops of one thread over neighbouring elements, without calls, "
    "barriers or SIMD-group functions in them. A float sum in a loop is vectorised only where its "
    'order is free: with several accumulators by hand, or math_mode = "relaxed".'
)


def described(device: Device) -> list[str]:
    """What a proposer must know of a device, in sentences."""
    if device.kind == "cpu":
        return [_ON_A_PROCESSOR, _vectors(device) + _VECTORISED]
    chip, own = _chip(device.name), _own_cores(device)
    if chip is None or is_predicted(device):
        return []
    if own is not None and chip.cores and own != chip.cores.value:
        # Sold with fewer cores as well: what else is published may not be its own.
        return [f"It has {own} GPU cores."]
    return _figures(chip)


def cores(device: Device) -> int | None:
    """Cores of a GPU: what the device says, else those of its chip where that is known."""
    if (own := _own_cores(device)) is not None:
        return own
    chip = _of(device)
    return int(chip.cores.value) if chip and chip.cores else None


def own_ridge(device: Device) -> float | None:
    """FLOP per byte at which a chip turns, from what is published of it."""
    chip = _of(device)
    if chip and chip.fp32_tflops and chip.dram_gb_s:
        return 1000 * chip.fp32_tflops.value / chip.dram_gb_s.value
    return None


def ridge(device: Device) -> float:
    """FLOP per byte below which memory bounds a kernel at best, and above which arithmetic does."""
    return own_ridge(device) or (_RIDGE_OF_CPU if device.kind == "cpu" else _RIDGE_OF_GPU)


def _own_cores(device: Device) -> int | None:
    found = device.fingerprint.get("gpu_cores")
    return found if isinstance(found, int) else None


def _vectors(device: Device) -> str:
    bits = device.fingerprint.get(VECTOR_BITS)
    if not isinstance(bits, int):
        return ""
    return f"Vector registers hold {bits} bits, {bits // _FLOAT_BITS} floats. "


def _figures(chip: Chip) -> list[str]:
    known = (
        (chip.cores, "{:g} GPU cores"),
        (chip.dram_gb_s, "{:g} GB/s of memory bandwidth"),
        (chip.fp32_tflops, "{:g} TFLOP/s in float32"),
        (chip.slc_mib, "{:g} MiB of system level cache"),
        (chip.threadgroup_bytes, "{:,.0f} bytes of threadgroup memory at most"),
        (chip.dispatch_us, "{:g} us for an empty launch behind another"),
    )
    said = [text.format(figure.value) for figure, text in known if isinstance(figure, Figure)]
    return [f"It has {', '.join(said)}."] if said else []


def _of(device: Device) -> Chip | None:
    """The chip of a device, here or predicted; None of a processor."""
    if device.kind == "cpu":
        return None
    return _chip(str(device.fingerprint.get("chip", device.name)))


@functools.cache
def _chip(name: str) -> Chip | None:
    """The chip of that name, if its figures are at hand."""
    return registry.all_chips().get(registry.key_of(name))
