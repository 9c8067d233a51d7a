"""The command line: argparse, exit codes, Hydra's own application, the dashboard.

Imports every room, lazily. Start with `main.py`.
"""
