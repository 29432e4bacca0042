"""Floor 1: the gateway's end of the launcher's socket.

Frames, the client, and where the launcher's binary lies. Knows no MCP, no manifest, no runtime. Import
names from the modules: ``client`` (Channel), ``model`` (requests and results), ``binary`` (launcher_folder).
"""
