"""Floor 1: what a manifest says. Pure: no I/O.

Schema, env and port grammar, profile merge, agent references, dependency graph to waves.
"""
