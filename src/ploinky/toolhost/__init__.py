"""Floor 3: programs as MCP tools: mcp-config.json, schemas, calls over the launcher's socket."""
