"""Ploinky: a workspace of agents behind one MCP router.

The packages stand on floors (see docs/architecture.md); a package imports only lower floors.
Importing this package does nothing and costs nothing.
"""

__version__ = "0.1.0"
