"""The file behind a sqlite:/// tracking URI: checked before MLflow would retry for minutes, and locked while made."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from actbench.errors import UsageError

_LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay", "bcachefs", "jfs")


def is_new(uri: str) -> bool:
    """Whether nothing is there yet. Raises UsageError where nothing can be."""
    database = check_database(uri, True)
    return database is not None and not database.exists()


def check_database(uri: str, create: bool) -> Path | None:
    """The file behind a sqlite URI. Raises UsageError where it cannot be a store."""
    if not uri.startswith("sqlite:///"):
        return None
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.exists() and not create:
        raise UsageError(f"store.uri={uri}: there is no {path}; run in the folder of the results, or name the store")
    if path.is_symlink() and not path.exists():
        raise UsageError(f"store.uri={uri}: {path} is a link to nowhere; remove it")
    if not path.parent.is_dir():
        raise UsageError(f"store.uri={uri}: there is no folder {path.parent}; make it first")
    odd = [character for character in "?%'\"" if character in str(path.resolve())]
    if odd:
        raise UsageError(
            f"store.uri={uri}: MLflow keeps no store under a path with {' or '.join(odd)}: {path.resolve()}; work in "
            "another folder"
        )
    if not path.exists():
        return path
    try:  # for writing, as only then what an interrupted commit has left can be undone
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise UsageError(f"store.uri={uri}: another process holds {path} locked; wait for it, or end it") from error
        raise UsageError(f"store.uri={uri}: {path} is no readable database ({error}); move it away") from error
    if tables and "alembic_version" not in tables:
        raise UsageError(f"store.uri={uri}: {path} is a database of something else than MLflow; name another store.uri")
    return path


def make_database(database: Path, fill: Callable[[str], object]) -> None:
    """A new database whole or not at all: `fill` makes it at another URI, then it gets its name."""
    for abandoned in database.parent.glob(f".{database.name}.new*"):
        abandoned.unlink()
    scratch = database.with_name(f".{database.name}.new")
    fill(f"sqlite:///{scratch}")
    if _is_local(database):
        _log_ahead(scratch)
    scratch.rename(database)


def _log_ahead(database: Path) -> None:
    """SQLite's write-ahead log, for good: commits take less than half the time, and readers such as a dashboard do
    not wait for them."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma journal_mode=wal")


def _is_local(path: Path) -> bool:
    """Whether a file lies on a disk of this machine, where the log works. Unknown file systems are taken for remote."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():  # no Linux
        return True
    found = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    above = [(place, kind) for place, kind in found if path.resolve().is_relative_to(place)]
    return max(above, key=lambda each: len(each[0]))[1] in _LOCAL if above else False


def checkpoint_log(uri: str) -> None:
    """Brings what the log holds into the database, so that its one file is all."""
    database = check_database(uri, True)
    if database is not None and database.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("pragma wal_checkpoint(truncate)")


def database_lock(database: Path | None) -> contextlib.AbstractContextManager[object]:
    """A lock on `.<database>.lock`, to hold while a SQLite database is opened or created; none for other databases."""
    return contextlib.nullcontext() if database is None else FileLock(database.with_name(f".{database.name}.lock"))
