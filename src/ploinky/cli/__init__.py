"""Floor 9: the command line. Parses words, calls one operation, renders what it says.

``table`` names every command and where it lives; ``frame`` loads it when it is asked for. To add a command:
a row in ``table.py`` and a function in ``commands/``. Nothing here changes anything by itself.
"""
