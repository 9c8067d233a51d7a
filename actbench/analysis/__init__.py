"""From frames of runs to pairs, intervals, tests, verdicts and a recommendation. No files are read or written.

Imports only `errors`, `activations`, `experiment` and `training.results`. Start with `labels.py`, then
`pairs.py`.
"""
