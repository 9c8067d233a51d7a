"""Python's way to the commands: `compare`, `sweep`, `train` and `open`, with one object for their results.

Start with `calls.py`. `arguments.py` makes overrides of keywords, `cells.py` modules of a notebook's functions.
"""
