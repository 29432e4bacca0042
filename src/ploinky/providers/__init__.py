"""Models behind one protocol: messages and tools go in, events of one turn come out.

``protocol`` has what callers and providers share, ``errors`` how a turn fails, ``config`` one entry of
``models``, ``registry`` the door by which every provider enters, ``models`` the configured set of them.
Knows no assistant, no thread and no tool's program. To add a provider, read ``docs/providers.md``.
"""
