"""Sentences, tables and figures of a comparison, in four formats. Nothing here trains or opens a store.

Imports only `analysis` and what that imports. Start with `report.py`.
"""
