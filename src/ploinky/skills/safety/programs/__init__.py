"""What each program does with its arguments: closed lists of shapes, and the attacks that are known.

``dispatch`` is the door. A program that is in no table needs approval.
"""
