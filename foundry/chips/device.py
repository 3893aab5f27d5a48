"""A chip that is not here as a device: `--device model:m4-max`.

Kernels are proven on this machine's CPU, and their times on the chip are predicted. Records carry a
device of their own kind, so that they stand beside no measurement.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields

from foundry.chips.chip import Chip, Figure
from foundry.chips.fitted import Fitted
from foundry.program import Device
from foundry.report.predicted import MODEL

PREFIX = f"{MODEL}:"
MODEL_VERSION = 1
"""Of `model` and `costs`: raise it whenever a time may come out another."""


def chip_named(device: str) -> str | None:
    """The chip that the name of a device speaks of; None for any other device."""
    return device.removeprefix(PREFIX) if device.startswith(PREFIX) else None


def device_of(chip: Chip, fitted: Fitted, proven_on: Device) -> Device:
    """The device under which predictions for a chip are kept.

    Its fingerprint holds the chip's figures, the version of the model, the fit, and where kernels
    were proven: a prediction of another model or fit is another device's.
    """
    known = {f.name: getattr(chip, f.name) for f in fields(Chip)}
    figures = {name: one.value for name, one in known.items() if isinstance(one, Figure)}
    fit = hashlib.sha256(repr((fitted.families, fitted.apart)).encode()).hexdigest()[:12]
    return Device(
        MODEL,
        f"{chip.name} (predicted)",
        {
            "chip": chip.key,
            "model": MODEL_VERSION,
            "fit": fit,
            "proven_on": proven_on.id,
            **figures,
        },
    )
