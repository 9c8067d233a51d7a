"""How results are stored. A report reads the files of `results/<experiment>/`; MLflow holds every run and a copy of the
files, for the dashboard, for resuming, and for `actbench report` in another folder.

The only room that imports mlflow; imports only the rooms before it. Start with `files.py` (the results folder), then
`writer.py` (writing to MLflow) and `reader.py` (reading from it).
"""
