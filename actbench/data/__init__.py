"""Data sets as uint8 tensors cached on disk, and mini-batches for stacks of runs.

Imports only the rooms before it. Start with `datasets.py` (`prepare_data`, `load_data`), then `batches.py`.
"""
