"""Floor 9: commands, interactive shell and renderers. Parses, calls one operation, renders."""
