"""What rows say of how they came to be, and by which they are known again."""

from __future__ import annotations

from foundry.judge.verdict import TIMING_METHOD

CANARY = "metal-foundry dataset, not for benchmarks: 7d0c9b1e-3f57-4c5e-9a0b-2e6f4f1a8c35"
"""In every row of every file: whoever finds it in a corpus has found this data."""
PROVEN = "proven"
"""Right on every workload; no time was used."""
MEASURED = f"measured, method {TIMING_METHOD}"
"""Timed in pairs with the baseline, on the row's device."""
COUNTED = "counted on a modelled GPU"
PREDICTED = "predicted"
"""By the chip model, for the chip that is named as the device: never a measurement."""
