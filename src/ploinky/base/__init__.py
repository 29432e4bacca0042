"""Floor 0: what every program needs and no product word appears in.

Errors, names, files, processes, waits, redaction and logging. Imports nothing of Ploinky.
"""
