"""Where stacks run: which device, in this process, in worker processes or in the jobs of a cluster; and what follows
when one fails.

Imports only the rooms before it. Start with `local.py` (the pool), then `worker.py`; for clusters `jobs.py` (the pool),
`job_folder.py` (its files), `job_worker.py` and `engine.py`.
"""
