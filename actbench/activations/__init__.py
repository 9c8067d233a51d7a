"""Activation functions: the table of records, their mathematics, and binding to settings and learned parameters.

Imports only `errors` and `determinism`. Start with `table.py`; `load.py` turns a name into something that can be
applied.
"""
