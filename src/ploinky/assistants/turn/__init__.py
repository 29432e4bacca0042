"""One turn of an assistant, in stages: load, assemble the context, ask the model, act, keep, answer.

``engine`` drives them; each stage is a module of one function over ``TurnState``, and may be read alone.
"""
