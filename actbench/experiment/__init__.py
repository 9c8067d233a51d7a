"""What is asked: validated settings, the grid of runs with their ids, and the protocol of a comparison:
nothing trains here.

Imports only the rooms before it. Start with `schema.py` (settings), then `compose.py` (from overrides to
settings) and `runs.py` (ids).
"""
