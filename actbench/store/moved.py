"""Finds the artifacts of a SQLite store that was moved or copied, which MLflow knows by absolute paths alone."""

import contextlib
import sqlite3
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from actbench.store.sqlite import connect_existing

ARTIFACTS = "mlruns"  # where MLflow keeps them, beside the database: mlruns/<experiment>/<run>/artifacts


def follow_move(database: Path) -> None:
    """Where artifacts lie beside the database and the store names another folder, makes it name those; says so.

    An experiment is left alone unless mlruns/<experiment> beside the database holds one of its runs.
    """
    with (
        contextlib.suppress(sqlite3.Error),  # whatever is wrong with it, MLflow will say
        contextlib.closing(connect_existing(database)) as connection,
    ):
        moved = list(_moved(connection, database.resolve().parent / ARTIFACTS))
        with connection:
            for experiment, before, after in moved:
                connection.execute(
                    "update experiments set artifact_location = ? where experiment_id = ?", (after, experiment)
                )
                connection.execute(
                    "update runs set artifact_uri = ? || substr(artifact_uri, ?) where experiment_id = ? and "
                    "substr(artifact_uri, 1, ?) = ?",
                    (after, len(before) + 1, experiment, len(before), before),
                )
        if moved:
            place = Path(moved[0][2]).parent
            print(
                f"{database} was moved or copied; its artifacts are now those in {place}", file=sys.stderr, flush=True
            )


def _moved(connection: sqlite3.Connection, folder: Path) -> "list[tuple[int, str, str]]":
    """Experiments whose artifacts lie in `folder` and are looked for elsewhere: id, location in the store, location."""
    found = []
    for experiment, location in connection.execute("select experiment_id, artifact_location from experiments"):
        place = urlsplit(location or "")
        if place.scheme not in ("", "file"):
            continue  # not on a disk
        named, here = Path(unquote(place.path)), folder / str(experiment)
        if named == here or not here.is_dir():
            continue
        query = "select run_uuid from runs where experiment_id = ? and lifecycle_stage = 'active'"
        if any((here / run).is_dir() for (run,) in connection.execute(query, (experiment,))):
            found.append((int(experiment), str(location), str(here)))
    return found
