"""Floor 0: models of what crosses a process, pydantic only. Knows no behaviour."""
