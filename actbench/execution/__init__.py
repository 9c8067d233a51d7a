"""Where stacks run: which device, in this process or in worker processes.

Imports only the rooms before it. Start with `local.py` (the pool), then `worker.py`.
"""
