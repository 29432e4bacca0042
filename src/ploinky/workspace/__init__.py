"""Floor 2: where everything of a workspace lies, and what is enabled in it.

Paths, settings, the registry, links, the active profile.
"""
