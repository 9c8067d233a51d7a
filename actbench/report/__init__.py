"""Sentences, tables and figures of a comparison, in four formats. Nothing here trains or opens a store.

May import the rooms before it but `training`, `execution` and `store`. Start with `report.py`.
"""
