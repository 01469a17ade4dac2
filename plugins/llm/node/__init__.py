"""The node type `llm`: one question to a model, or to the first of several that can.

node_type.py    the type, and its code
params.py       what it is told
attempt.py      an attempt of it as one who asks
remembering.py  answers that are used again
"""
