"""Measurements, never tests: each figure stands beside its floor, taken in the same run.

``python -m bench`` runs all and prints tables; ``--write`` also keeps them in docs/benchmarks.md. A new
benchmark is a function that takes a ``Settings`` and returns a ``Table``, and a row in ``__main__``.
"""
