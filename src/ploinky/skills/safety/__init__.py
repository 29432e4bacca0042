"""The safety analysis of skills: everything that a stranger wants to run or to say,
judged before it happens.
"""
