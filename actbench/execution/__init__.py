"""Where stacks run: which device, in this process or in worker processes, and what follows when one fails.

Imports only the rooms before it. Start with `local.py` (the pool), then `worker.py`.
"""
