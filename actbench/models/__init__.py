"""Architectures as pure functions of stacked parameters, and how these are initialised.

Imports only the rooms before it. Start with `parameters.py`; `matching.py` builds an architecture by name at a
matched parameter count.
"""
