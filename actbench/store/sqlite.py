"""The file behind a sqlite:/// tracking URI: checked, as MLflow would retry for minutes, and locked while created."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from actbench.errors import UsageError

_LOCAL_FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "bcachefs", "jfs")


def is_new(uri: str) -> bool:
    """Whether the URI names a SQLite database that does not exist yet. Raises UsageError where it cannot be a store."""
    database = check_database(uri, True)
    return database is not None and is_absent(database)


def is_absent(database: Path) -> bool:
    """Whether there is no database: no file, or an empty one, which an open connection to a removed database leaves."""
    return not database.exists() or database.stat().st_size == 0


class StoreChanged(OSError):
    """The database was removed, or replaced by another file, since it was opened."""


class Watch:
    """Notices that the file of a SQLite store is not the one that was opened.

    SQLite goes on writing to a file that has no name any more, and reports no error. Stores without a file are not
    watched. database: that file; None without one.
    """

    def __init__(self, uri: str) -> None:
        self.database = Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None
        self._opened = self._identity()

    def _identity(self) -> tuple[int, int] | None:
        if self.database is None:
            return None
        try:
            status = self.database.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    @property
    def has_changed(self) -> bool:
        """Whether the file was removed or replaced."""
        return self._identity() != self._opened

    def check(self) -> None:
        """Raises StoreChanged."""
        found = self._identity()
        if self.database is not None and found != self._opened:
            done = "removed" if found is None else "replaced by another file"
            raise StoreChanged(f"{self.database.name} was {done} while the command ran")


def connect_existing(database: Path) -> sqlite3.Connection:
    """A connection for reading and writing. Raises sqlite3.Error where there is no file, which is not created."""
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True)


def ended_uids(database: Path, experiment_id: str) -> set[str]:
    """The tags `uid` of runs that have ended, read through a new connection. Raises sqlite3.Error."""
    query = (
        "select tags.value from tags join runs on runs.run_uuid = tags.run_uuid where tags.key = 'uid' and "
        "runs.experiment_id = ? and runs.status != 'RUNNING' and runs.lifecycle_stage = 'active'"
    )
    with contextlib.closing(connect_existing(database)) as connection:
        return {uid for (uid,) in connection.execute(query, (int(experiment_id),))}


def check_database(uri: str, create: bool) -> Path | None:
    """The file behind a sqlite URI; None for other URIs. create: whether the file may be missing.

    Raises UsageError where it cannot be a store.
    """
    if not uri.startswith("sqlite:///"):
        return None
    path = Path(uri.removeprefix("sqlite:///"))
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (OSError, ValueError) as error:  # too long, a loop of links, NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"store.uri={uri[:80]!r}: {reason}; name another file") from error
    if not path.exists() and not create:
        raise UsageError(f"store.uri={uri}: there is no {path}; run in the folder of the results, or name the store")
    if path.is_symlink() and not path.exists():
        raise UsageError(f"store.uri={uri}: {path} is a broken link; remove it")
    if not path.parent.is_dir():
        raise UsageError(f"store.uri={uri}: there is no folder {path.parent}; make it first")
    refused = [character for character in "?%'\"" if character in str(path.resolve())]
    if refused:
        raise UsageError(
            f"store.uri={uri}: MLflow keeps no store under a path with {' or '.join(refused)}: {path.resolve()}; work "
            "in another folder"
        )
    if not path.exists():
        return path
    try:  # opened for writing, since only then SQLite can roll back an interrupted commit
        with contextlib.closing(connect_existing(path)) as connection:
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise UsageError(f"store.uri={uri}: another process holds {path} locked; wait for it, or end it") from error
        raise UsageError(f"store.uri={uri}: {path} is no readable database ({error}); move it away") from error
    if tables and "alembic_version" not in tables:
        raise UsageError(f"store.uri={uri}: {path} is a database of something else than MLflow; name another store.uri")
    return path


def create_database(database: Path, fill: Callable[[str], object]) -> None:
    """Creates a database that is complete or absent: `fill` creates it at the URI of a scratch file, which is renamed.

    The scratch file has a fixed name, so that one of a killed process is found and removed.
    """
    for abandoned in database.parent.glob(f".{database.name}.new*"):
        abandoned.unlink()
    scratch = database.with_name(f".{database.name}.new")
    fill(f"sqlite:///{scratch}")
    if is_local(database):
        _use_write_ahead_log(scratch)
    for log in ("-wal", "-shm", "-journal"):  # of a database that was removed: SQLite would apply them to the new one
        database.with_name(database.name + log).unlink(missing_ok=True)
    scratch.rename(database)


def _use_write_ahead_log(database: Path) -> None:
    """Switches a database to SQLite's write-ahead log: commits take less than half the time, and readers such as a
    dashboard do not wait for them."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma journal_mode=wal")


def is_local(path: Path) -> bool:
    """Whether a file is on a disk of this machine, as a write-ahead log needs. Unknown file systems count as remote."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():  # not Linux
        return True
    mounted = [line.split()[1:3] for line in mounts.read_text().splitlines()]  # mount point, file system
    kinds = {point: kind for point, kind in mounted if path.resolve().is_relative_to(point)}
    return bool(kinds) and kinds[max(kinds, key=len)] in _LOCAL_FILE_SYSTEMS


def checkpoint_log(uri: str) -> None:
    """Moves the content of the write-ahead log into the database, so that one file holds everything."""
    database = check_database(uri, True)
    if database is not None and database.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(connect_existing(database)) as connection:
            connection.execute("pragma wal_checkpoint(truncate)")


def database_lock(database: Path | None) -> contextlib.AbstractContextManager[object]:
    """A lock on `.<database>.lock`, to hold while a SQLite database is opened or created; none for other databases."""
    return contextlib.nullcontext() if database is None else FileLock(database.with_name(f".{database.name}.lock"))
