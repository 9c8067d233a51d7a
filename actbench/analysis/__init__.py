"""From frames of runs to pairs, intervals, tests, verdicts and a recommendation. No files are read or written.

May import the rooms up to `experiment`, and of `training` only `results`. Start with `labels.py`, then
`pairs.py`.
"""
