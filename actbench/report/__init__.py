"""Sentences, tables and figures of a comparison, in four formats. Nothing here trains or opens a store.

May import the rooms before it but `execution` and `store`, and of `training` only `results`. Start with
`report.py`.
"""
