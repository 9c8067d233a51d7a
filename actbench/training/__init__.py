"""Runs packed into stacks and trained; yields records and turns them into results. Neither stores nor draws.

Imports only the rooms before it. Start with `loop.py`; `results.py` holds the formats that all later rooms share.
"""
