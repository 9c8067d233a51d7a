"""The command line: argparse, exit codes, Hydra's own application, the dashboard.

May import every room; what takes seconds is imported inside functions. Start with `main.py`.
"""
