"""Floor 1: the words of MCP, and what an agent is to the router."""
