"""The commands of `discover`, by name; each lives in a file of its own and loads when named."""

from __future__ import annotations

from foundry.cli.app import Application

application = Application(
    name="discover",
    settings_table="discover",
    extensions="metal_foundry.discover_commands",
    lazy={
        "search": "discover.cli.search:command",
        "autorun": "discover.cli.autorun:command",
        "dataset": "discover.cli.dataset:command",
        "compare": "discover.cli.compare:command",
        "adopt": "discover.cli.adopt:command",
        "ask": "discover.cli.ask:command",
        "tell": "discover.cli.tell:command",
        "mcp": "discover.cli.mcp:command",
        "report": "discover.cli.report:command",
        "show": "discover.cli.show:command",
        "list": "discover.cli.listing:command",
        "export": "discover.cli.export:command",
    },
    help="Search for faster Metal kernels: a tree search that asks LLMs, or works offline.",
)
