"""Commands for agents and people who write kernels themselves: adopt, ask, tell, mcp."""
