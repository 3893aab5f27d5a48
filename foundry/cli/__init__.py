"""The `foundry` command line."""

from __future__ import annotations


def main() -> None:
    """Entry point of `foundry`: parse, run one command, exit with its code."""
    from foundry.cli.app import start

    start("foundry.cli.commands:application")
