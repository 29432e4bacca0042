"""Floor 4: all agents as MCP servers: route table, auth, sessions, aggregation."""
