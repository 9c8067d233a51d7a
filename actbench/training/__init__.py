"""Runs packed into stacks and trained; yields records and turns them into results. Knows no store and no figure.

Imports only the rooms before it. Start with `loop.py`; `results.py` holds the formats that all later rooms share.
"""
