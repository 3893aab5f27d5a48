"""`discover mcp`: the search as a server of the Model Context Protocol, for coding agents."""

from __future__ import annotations

from pathlib import Path

import click

from discover.cli import options as own
from foundry.cli import options


@click.command("mcp")
@options.bench_option
@options.user_code_options
@options.language_option
@options.db_option
@options.searched_device_option
@own.unconfined_option
@own.workspace_option
@options.debug_option
def command(bench: str | None, db: str | None, device: str, workspace: Path) -> None:
    """Serve the search over standard input and output, to an agent that starts this command.

    Its tools: adopt, start, ask, tell, show, report.
    """
    from discover.adopting.workspace import Workspace
    from discover.mcp import server
    from discover.search.workbench import workbench

    with workbench(db, device, options.default_workers(), bench or "quick") as opened:
        server(opened, Workspace(workspace)).run("stdio")
