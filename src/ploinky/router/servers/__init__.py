"""Agents that are MCP servers: over the pipes of a process in a sandbox, or over HTTP inside or outside."""
