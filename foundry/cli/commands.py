"""The commands of `foundry`, by name; each lives in a file of its own and loads when named."""

from __future__ import annotations

from foundry.cli.app import Application

application = Application(
    name="foundry",
    extensions="metal_foundry.commands",
    lazy={
        "run": "foundry.cli.run:command",
        "list": "foundry.cli.listing:command",
        "verify": "foundry.cli.verify:command",
        "sanitize": "foundry.cli.sanitize:command",
        "bench": "foundry.cli.bench:command",
        "predict": "foundry.cli.predict:command",
        "shortlist": "foundry.cli.shortlist:command",
        "confirm": "foundry.cli.confirm:command",
        "chips": "foundry.cli.chips:command",
        "precision": "foundry.cli.precision:command",
        "report": "foundry.cli.report:command",
        "export": "foundry.cli.export:command",
        "export-sft": "foundry.cli.export_sft:command",
        "data": "foundry.cli.data:command",
        "train": "foundry.cli.train:command",
        "catalog": "foundry.cli.catalog:command",
        "validate": "foundry.cli.validate:command",
        "matrix": "foundry.cli.matrix:command",
        "capsule": "foundry.cli.capsule:command",
        "judge": "foundry.cli.judge:command",
        "msl": "foundry.cli.msl:command",
        "doctor": "foundry.cli.doctor:command",
    },
    help="Build, prove, time and ship Metal kernels for MLX, on any machine.",
)
