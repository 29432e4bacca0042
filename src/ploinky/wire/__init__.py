"""Floor 0: what crosses a process: frozen dataclasses, checked when they are read. Knows no behaviour."""
