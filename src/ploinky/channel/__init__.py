"""Floor 1: the gateway's end of the launcher's socket.

Frames, the client, and where the launcher's binary lies. Knows no MCP, no manifest, no runtime.
"""
