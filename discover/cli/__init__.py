"""The `discover` command line."""

from __future__ import annotations


def main() -> None:
    """Entry point of `discover`: parse, run one command, exit with its code."""
    from foundry.cli import launch

    launch("discover.cli.commands:application")
