"""Floor 5: assistants, model-driven personas with a root of their own.

``household`` holds them all and follows the configuration; an ``Assistant`` owns its root and its store, and
nothing of it is reachable but through it. Knows no HTTP, no command line and no router: tools of agents come
through a protocol (``agent_tools``).
"""
