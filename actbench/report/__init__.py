"""Sentences, tables and figures of a comparison, in four formats. Never trains and never opens a store.

Imports only `analysis` and what that imports. Start with `report.py`.
"""
