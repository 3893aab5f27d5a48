"""The search as tools of the Model Context Protocol: start, ask, tell, show, report.

Every tool is one step of the desk, and leaves the run free for others in between. Needs the extra
`mcp`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from discover.budget.limits import Limits
from discover.history.nodes import look
from discover.history.runs import pick, pick_one
from discover.history.summary import document, summarise
from discover.search.desk import desk_of, new_desk, parts
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.watch import Silent
from discover.search.workbench import Workbench
from foundry.errors import EnvironmentUnusable, FoundryError, UsageError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

INSTRUCTIONS = (
    "Search for faster Metal kernels. Call start once for an op, then ask for a prompt and a "
    "ticket, write the kernel, and tell the ticket your answer; the verdict says what to change. "
    "Ask again as often as you like. show gives any node, report what was found so far."
)


class Tools:
    """What an agent may call; one call at a time."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._turn = threading.Lock()

    def start(self, op: str, dtype: str = "float32") -> dict[str, Any]:
        """Begin a search of an op, or take it up: judge the kernels it starts from."""
        with self._turn, new_desk(self._bench, self._request(op, dtype), Silent()) as desk:
            run_id = desk.run_id
        return self.report(run_id)

    def ask(self, op: str, dtype: str = "float32") -> dict[str, Any]:
        """Get a prompt for a better kernel of an op, and the ticket to answer it under."""
        with self._turn, new_desk(self._bench, self._request(op, dtype), Silent()) as desk:
            ticket = desk.ask()
        prompt = f"{ticket.prompt.system}\n{ticket.prompt.user}"
        return {"ticket": ticket.name, "prompt": prompt}

    def tell(self, ticket: str, answer: str) -> dict[str, Any]:
        """Judge the answer to a ticket: a kernel file, or a reply with kernel files in fences."""
        run_id, node_id = parts(ticket)
        with self._turn, desk_of(self._bench, run_id, Silent()) as desk:
            told = desk.tell(node_id, answer)
        return {"kernels": [one.document() for one in told]}

    def show(self, node: str) -> dict[str, Any]:
        """One node by its ticket, such as 12.7: kernel, verdict, diff to its parent."""
        run_id, node_id = parts(node)
        with self._turn:
            summary = summarise(self._bench.store, pick_one(self._bench.store, run_id))
            found = (one for one in look(self._bench.store, summary) if one.node.id == node_id)
            seen = next(found, None)
        if seen is None:
            raise UsageError(f"run {run_id} has no node {node_id}")
        return seen.document()

    def report(self, run: int | None = None) -> dict[str, Any]:
        """What a search found so far; the latest when none is named."""
        with self._turn:
            runs = pick(self._bench.store, run)
            return {"searches": [document(summarise(self._bench.store, one)) for one in runs]}

    def _request(self, op: str, dtype: str) -> SearchRequest:
        settings = SearchSettings(proposers=("ask",), bench=self._bench.timed)
        return SearchRequest(op, dtype, Limits(), "discover mcp", settings)


def server(bench: Workbench) -> MCPServer:
    """A server with these tools.

    Raises:
        EnvironmentUnusable: The extra is not installed.
    """
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError:
        raise EnvironmentUnusable(
            "discover mcp needs the package mcp.", "pip install 'metal-foundry[mcp]'"
        ) from None
    made = MCPServer("metal-foundry", instructions=INSTRUCTIONS)
    tools = Tools(bench)
    for tool in (tools.start, tools.ask, tools.tell, tools.show, tools.report):
        made.add_tool(_explained(tool), tool.__name__, description=tool.__doc__)
    return made


def _explained(tool: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The tool, its errors as sentences for the agent."""
    from functools import wraps

    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def call(*args: Any, **named: Any) -> dict[str, Any]:
        try:
            return tool(*args, **named)
        except FoundryError as error:
            raise ToolError(str(error)) from None

    return call
