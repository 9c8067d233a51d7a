"""What each command of the command line does, from settings to exit code; the only room in which all others meet.

May import every room but `cli`. Start with `opening.py` and `session.py` (resume, train, store), then `compare.py`.
"""
