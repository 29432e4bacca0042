"""Floor 7: the ASGI application and the process that serves it."""
