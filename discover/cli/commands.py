"""The commands of `discover`, by name; each lives in a file of its own and loads when named."""

from __future__ import annotations

from foundry.cli.app import Application

application = Application(
    name="discover",
    settings_table="discover",
    extensions="metal_foundry.discover_commands",
    lazy={
        "search": "discover.cli.searches.search:command",
        "autorun": "discover.cli.searches.autorun:command",
        "dataset": "discover.cli.dataset:command",
        "compare": "discover.cli.runs.compare:command",
        "adopt": "discover.cli.agents.adopt:command",
        "ask": "discover.cli.agents.ask:command",
        "tell": "discover.cli.agents.tell:command",
        "mcp": "discover.cli.agents.mcp:command",
        "report": "discover.cli.runs.report:command",
        "show": "discover.cli.runs.show:command",
        "list": "discover.cli.runs.listing:command",
        "export": "discover.cli.runs.export:command",
    },
    help="Search for faster Metal kernels: a tree search that asks LLMs, or works offline.",
)
