"""The commands of `foundry`, by name; each lives in a file of its own and loads when named."""

from __future__ import annotations

from foundry.cli.app import Application

application = Application(
    name="foundry",
    extensions="metal_foundry.commands",
    lazy={
        "run": "foundry.cli.run:command",
        "list": "foundry.cli.listing:command",
        "verify": "foundry.cli.kernels.verify:command",
        "sanitize": "foundry.cli.kernels.sanitize:command",
        "bench": "foundry.cli.kernels.bench:command",
        "predict": "foundry.cli.kernels.predict:command",
        "shortlist": "foundry.cli.chips.shortlist:command",
        "confirm": "foundry.cli.chips.confirm:command",
        "chips": "foundry.cli.chips.chips:command",
        "precision": "foundry.cli.kernels.precision:command",
        "report": "foundry.cli.report:command",
        "export": "foundry.cli.datasets.export:command",
        "export-sft": "foundry.cli.datasets.export_sft:command",
        "data": "foundry.cli.datasets.data:command",
        "train": "foundry.cli.datasets.train:command",
        "catalog": "foundry.cli.catalog:command",
        "validate": "foundry.cli.models.validate:command",
        "matrix": "foundry.cli.models.matrix:command",
        "capsule": "foundry.cli.capsule:command",
        "judge": "foundry.cli.machine.judge:command",
        "msl": "foundry.cli.machine.msl:command",
        "doctor": "foundry.cli.machine.doctor:command",
    },
    help="Build, prove, time and ship Metal kernels for MLX, on any machine.",
)
