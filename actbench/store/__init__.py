"""Where results live: the files of `results/<experiment>/` and MLflow. The only room that imports mlflow.

Imports only the rooms before it. Start with `files.py` (what a report reads), then `runs.py` (writing to MLflow)
and `reader.py` (resuming).
"""
