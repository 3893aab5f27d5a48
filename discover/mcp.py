"""The search as tools of the Model Context Protocol: adopt, start, ask, tell, show, report.

Every tool is one step of the desk, and leaves the run free for others in between. Needs the extra
`mcp`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from discover.adopting.call import read_call
from discover.adopting.cases import notes
from discover.adopting.workspace import Workspace
from discover.budget.limits import Limits
from discover.history.nodes import look
from discover.history.runs import pick, pick_one
from discover.history.summary import document, summarise
from discover.search.desk import parts
from discover.search.desks import Desks
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.watch import Silent
from discover.search.workbench import Workbench
from foundry.errors import EnvironmentUnusable, FoundryError, UsageError
from ops import registry

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

INSTRUCTIONS = (
    "Search for faster Metal kernels. Call start once for an op, then ask for a prompt and a "
    "ticket, write the kernel, and tell the ticket your answer; the verdict says what to change. "
    "Ask again as often as you like. show gives any node, report what was found so far. A kernel "
    "that is no op yet is made one by adopt, from its call of metal_kernel."
)


class Tools:
    """What an agent may call; one call at a time."""

    def __init__(self, bench: Workbench, workspace: Workspace) -> None:
        self._bench = bench
        self._workspace = workspace
        self._desks = Desks(bench, Silent())
        self._turn = threading.Lock()

    def adopt(self, call: dict[str, Any]) -> dict[str, Any]:
        """Make an op of a call of mx.fast.metal_kernel: then start, ask and tell it by its name.

        The call holds, as in MLX: name, source, header, template (T and further dtypes by name,
        integers, booleans), grid and threadgroup (in threads), init_value, atomic_outputs. Its
        inputs and outputs are by name, {"x": {"shape": ["rows", "cols"], "dtype": "float32"}}, a
        number for an input of no dimension, "below" an axis for indices. Shapes and grid are
        arithmetic over axes (+ - * // %, min, max, ceildiv). sizes gives every axis its size in
        your model, {"rows": 4096, "cols": 1024}; fixed names axes that the source has written into
        it, multiples those that are always a multiple: {"cols": 4}. reference is MLX that gives
        the same: an expression over the inputs, or lines that end in return.
        """
        with self._turn:
            read = read_call(call)
            op = self._workspace.adopt(read)
        kernel = self._workspace.kernel_of(op.name)
        return {
            "op": op.name,
            "dtypes": list(op.dtypes),
            "axes": {axis.name: list(axis.conditions) for axis in op.axes},
            "folder": str(kernel.parent) if kernel else None,
            "notes": list(notes(read)),
        }

    def start(self, op: str, dtype: str = "") -> dict[str, Any]:
        """Begin a search of an op, or take it up: judge the kernels it starts from.

        Without a dtype it is of the op's first: float32, or that of the call that was adopted.
        """
        with self._turn, self._desks.of_search(self._request(op, dtype)) as desk:
            run_id = desk.run_id
        return self.report(run_id)

    def ask(self, op: str, dtype: str = "") -> dict[str, Any]:
        """Get a prompt for a better kernel of an op, and the ticket to answer it under."""
        with self._turn, self._desks.of_search(self._request(op, dtype)) as desk:
            ticket = desk.ask()
        prompt = f"{ticket.prompt.system}\n{ticket.prompt.user}"
        return {"ticket": ticket.name, "prompt": prompt}

    def tell(self, ticket: str, answer: str) -> dict[str, Any]:
        """Judge the answer to a ticket: a kernel file, or a reply with kernel files in fences."""
        run_id, node_id = parts(ticket)
        with self._turn, self._desks.of_ticket(run_id) as desk:
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
        own = self._workspace.kernel_of(op)
        dtype = dtype or registry.get(op).dtypes[0]
        return SearchRequest(op, dtype, Limits(), "discover mcp", settings, own)


def server(bench: Workbench, workspace: Workspace) -> MCPServer:
    """A server with these tools.

    Args:
        bench: Database, workers and judge.
        workspace: Where adopted calls are kept; those that are there are known from the start.

    Raises:
        EnvironmentUnusable: The extra is not installed.
        UsageError: An op file of the workspace does not load any more.
    """
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError:
        raise EnvironmentUnusable(
            "discover mcp needs the package mcp.", "pip install 'metal-foundry[mcp]'"
        ) from None
    made = MCPServer("metal-foundry", instructions=INSTRUCTIONS)
    workspace.load()
    tools = Tools(bench, workspace)
    for tool in (tools.adopt, tools.start, tools.ask, tools.tell, tools.show, tools.report):
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
