"""The built-in tools: each module makes some, from exactly the parts that they may use.

A tool reaches nothing but what its maker was given. To add one: a module with a ``make_...`` function that
returns ``BuiltinTool``s, and a line in ``assistant``.
"""
