"""Floor 6: what a person can do, one file per verb: an async iterator of events over a ``Platform``.

The only way to change anything: command line, RPC and web call these and render what they yield. The last
event is a ``Result``. ``endpoint`` stays free of heavy imports, so that ``status`` answers at once.
"""
