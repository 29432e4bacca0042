"""Floor 4: an agent's way from its manifest to a running, watched sandbox, and back.

``enabling`` writes registry entries, ``planner`` makes one frozen plan of one, ``starting`` walks the
twelve steps, ``waves`` walks a graph of agents, ``stopping`` goes the other way, ``reconcile`` compares
what should run with what does. Everything takes a ``LifecycleContext``; nothing here prints.
"""
