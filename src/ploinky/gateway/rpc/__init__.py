"""JSON-RPC: one table of methods, served by ``POST /rpc`` and ``GET /ws``, described by ``rpc.discover``."""
