"""One file per kind of figure, each a function from frames to a matplotlib figure.

May import what `report` may. Start with `style.py`: colours, line styles and how files are written.
"""
