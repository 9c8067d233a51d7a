"""From frames of runs to pairs, intervals, tests, verdicts and a recommendation. Pure: frames in, frames out.

Imports only `errors`, `activations`, `experiment` and `training.results`. Start with `labels.py`, then
`pairs.py`.
"""
