"""A chip that is not here, in the words of a prompt. Pure."""

from __future__ import annotations

from foundry.judge.verdict import Evaluation
from foundry.program import Device
from foundry.report.predicted import MODEL, predicted_times

_SIMD_WIDTH = 32
_WORTH = {
    "cores": "{:g} GPU cores",
    "clock_mhz": "a clock of {:,g} MHz",
    "fp32_tflops": "{:g} TFLOPS in float",
    "fp16_tflops": "{:g} TFLOPS in half",
    "dram_gb_s": "{:g} GB/s of memory by specification",
    "dram_measured_gb_s": "{:g} GB/s of memory as measured",
    "slc_mib": "a system cache of {:g} MiB",
    "l2_kib": "a second-level cache of {:,g} KiB",
    "l1_bytes_per_core": "{:,g} bytes of cache a core",
    "register_bytes_per_core": "{:,g} bytes of registers a core",
    "threadgroup_bytes": "{:,g} bytes of threadgroup memory a threadgroup at most",
    "threadgroup_bytes_per_core": "{:,g} bytes of it a core",
    "dispatch_us": "{:g} us for a launch that waits for another",
}
"""What a kernel's author can use, by figure; what nobody published is not said."""


def is_predicted(device: Device) -> bool:
    """Whether times on a device are predicted."""
    return device.kind == MODEL


def chip_facts(device: Device) -> list[str]:
    """What is known of the chip; nothing of a device that is here."""
    if not is_predicted(device):
        return []
    known = device.fingerprint
    figures = [text.format(known[name]) for name, text in _WORTH.items() if name in known]
    return [f"SIMD-groups of {_SIMD_WIDTH} threads", *figures]


def predictions(evaluation: Evaluation) -> list[str]:
    """What the chip model says of a kernel, workload by workload."""
    found = predicted_times(evaluation)
    return [f"{time.workload}: {'; '.join((time.words, *time.sentences))}" for time in found]


def predicted_words(evaluation: Evaluation) -> str:
    """The predicted times of a kernel in a few words; empty where there are none."""
    return "; ".join(time.words for time in predicted_times(evaluation))
