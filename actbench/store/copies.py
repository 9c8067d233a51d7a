"""The copies of a command's files, read from a SQLite store without MLflow, whose import takes seconds.

`store.reader` reads them from any store, and says what is wrong where this module finds nothing.
"""

import contextlib
import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from actbench.signals import replaced_file
from actbench.store.files import COSTS, CURVES, EXAMPLES, HISTOGRAMS, HYPOTHESES, LAYERS, RUNS
from actbench.store.moved import follow_move
from actbench.store.names import FILES, JOURNALS
from actbench.store.provenance import ENVIRONMENT
from actbench.store.sqlite import check_database, connect_existing

CHECKED = (RUNS, CURVES, LAYERS, HISTOGRAMS, EXAMPLES, COSTS, HYPOTHESES)  # that later commands read from artifacts
_ENDED = """
select runs.run_uuid, runs.artifact_uri from runs join tags on tags.run_uuid = runs.run_uuid and tags.key = 'kind'
where runs.experiment_id = ? and tags.value = ? and runs.lifecycle_stage = 'active'
and runs.status not in ('RUNNING', 'KILLED') order by runs.start_time desc
"""


@dataclass(frozen=True)
class Copy:
    """The tags of a command and the content of its files, by name."""

    tags: dict[str, str]
    files: dict[str, bytes]

    def restore(self, folder: Path) -> dict[str, str]:
        """Writes the files to a folder; returns the tags."""
        for name, content in self.files.items():
            with replaced_file(folder / name) as scratch:
                scratch.write_bytes(content)
        return self.tags


def digest(content: bytes) -> str:
    """First 16 hex digits of the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()[:16]


def newest_copy(uri: str, experiment: str, kind: str) -> Copy | None:
    """The files of the newest ended command of that kind; None where the store is no SQLite database with whole files.

    None too where a journal may hold something newer. Raises UsageError where the URI names no store.
    """
    database = check_database(uri, create=False)
    if database is None or any(JOURNALS.glob("*/*")):
        return None
    follow_move(database)
    with (
        contextlib.suppress(sqlite3.Error, OSError, ValueError),  # an error is MLflow's to tell
        contextlib.closing(connect_existing(database)) as connection,
    ):
        return _newest(connection, experiment, kind)
    return None


def _newest(connection: sqlite3.Connection, experiment: str, kind: str) -> Copy | None:
    asked = "select experiment_id from experiments where name = ? and lifecycle_stage = 'active'"
    found = connection.execute(asked, (experiment,)).fetchall()
    if len(found) != 1:
        return None
    for run, location in connection.execute(_ENDED, (found[0][0], kind)):
        folder = Path(location)
        if not folder.is_absolute():  # artifacts elsewhere
            return None
        if not (folder / RUNS).is_file():
            continue
        tags = dict(connection.execute("select key, value from tags where run_uuid = ?", (run,)))
        files = {name: (folder / name).read_bytes() for name in (*CHECKED, ENVIRONMENT) if (folder / name).is_file()}
        written = json.loads(tags.get(FILES, "{}"))
        whole = all(digest(content) == written.get(name, digest(content)) for name, content in files.items())
        return Copy(tags, files) if whole else None
    return None
