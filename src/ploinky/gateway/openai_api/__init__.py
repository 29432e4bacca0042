"""``/v1``: the assistants for any OpenAI client, one model per assistant.

``requests`` reads what a client asks, ``conversations`` finds which session it goes on with, ``answers``
writes what it gets, ``face`` has the paths. Runs, tools, approvals and threads are those of the assistants.
"""
