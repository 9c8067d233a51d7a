"""Which results folder and MLflow experiment a plan has: two plans never share one, so none replaces another's files.

The first plan of an experiment has the experiment's name; a later one has a part of its digest appended,
quickstart-1a2b3c, or a name of the user's own.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from actbench.errors import UsageError
from actbench.experiment.request import Request
from actbench.signals import write_json
from actbench.store.files import REQUEST, RUNS
from actbench.store.folder import folder_lock, results_folder
from actbench.store.names import IS_COMMAND
from actbench.store.provenance import read_environment
from actbench.store.sqlite import check_database, connect_existing, is_new

_DIGITS = (6, 12)  # of a digest, appended to a name; the second where another plan has the first
_LONGEST_COMMAND = 90  # characters of a command in a note
_NEWEST = """
select runs.run_uuid from runs join tags on tags.run_uuid = runs.run_uuid and tags.key = 'kind'
join experiments on experiments.experiment_id = runs.experiment_id
where experiments.name = ? and experiments.lifecycle_stage = 'active' and runs.lifecycle_stage = 'active'
and tags.value in ('train', 'sweep', 'compare') order by runs.start_time desc limit 1
"""


@dataclass(frozen=True)
class Holder:
    """The plan that a name belongs to. digest: empty in an older version. command: that ran it. place: where it is."""

    digest: str
    command: str
    place: str


@dataclass(frozen=True)
class Place:
    """The name of a plan's folder and MLflow experiment, and a sentence where it is not the experiment's."""

    name: str
    note: str = ""


def place_of(experiment: str, digest: str, uri: str, own: str | None = None) -> Place:
    """The place of a plan. own: the name that the user gives it. Raises UsageError where that is another plan's."""
    wanted = own or experiment
    holder = holder_of(wanted, uri)
    if holder is None or holder.digest == digest:
        return Place(wanted)
    if own is not None:
        raise UsageError(f"name={own}: {holder.place} belongs to another plan, `{holder.command}`; choose another name")
    names = [f"{experiment}-{digest[:digits]}" for digits in _DIGITS]
    for name in names:
        taken = holder_of(name, uri)
        if taken is None or taken.digest == digest:
            return Place(
                name,
                f"results/{name} gets the results (name=NAME names them), as {experiment} is another "
                f"plan, `{_shortened(holder.command)}`",
            )
    raise UsageError(f"{', '.join(names)}: belong to other plans; give this one a name: name=NAME")


@contextlib.contextmanager
def claimed(
    request: Request, uri: str, own: str | None, command: str, tell: Callable[[str], None] = print
) -> Iterator[Request]:
    """The request under the name of its plan, whose results folder is made, locked and says whose it is.

    own: as for `place_of`. command: compare, sweep or train, for those who wait for the folder. tell: gets a place's
    note. Raises UsageError where the folder cannot be written; a folder that is new leaves no trace where the block
    raises UsageError.
    """
    is_ours = False
    while not is_ours:
        place = place_of(request.experiment, request.plan, uri, own)
        name = place.name
        if place.note:
            tell(place.note)
        folder = Path("results") / name
        with refused_leaves_nothing(folder), folder_lock(results_folder(name), command):
            holder = _in_folder(name)
            is_ours = holder is None or holder.digest == request.plan  # else another command took it just before
            if is_ours:
                named = replace(request, experiment=name)
                write_json(folder / REQUEST, named.to_tags())
                yield named


def _shortened(command: str) -> str:
    return command if len(command) <= _LONGEST_COMMAND else f"{command[: _LONGEST_COMMAND - 3]}..."


@contextlib.contextmanager
def refused_leaves_nothing(folder: Path) -> Iterator[None]:
    """Where the block raises UsageError, removes a results folder and its lock that were not there before it.

    A folder in which something else lies than what the command was asked stays.
    """
    lock, request = folder.with_name(f".{folder.name}.lock"), folder / REQUEST
    made = [path for path in (lock, request, folder, folder.parent) if not path.exists()]
    try:
        yield
    except UsageError:
        for path in made:
            with contextlib.suppress(OSError):  # a folder in which something lies
                if path != request or not (folder / RUNS).exists():
                    path.unlink() if path in (lock, request) else path.rmdir()
        raise


def holder_of(name: str, uri: str) -> Holder | None:
    """The plan that results/<name> or the store's experiment of that name belongs to; None where neither is there."""
    if (holder := _in_folder(name)) is not None:
        return holder
    if (stored := _newest(name, uri)) is None:
        return None
    return Holder(stored.get("plan", ""), stored.get("command", "actbench"), f"experiment {name} in {uri}")


def _in_folder(name: str) -> Holder | None:
    """The plan that results/<name> belongs to; None where no command has claimed or written it."""
    folder = Path("results") / name
    if not (folder / REQUEST).is_file() and not (folder / RUNS).is_file():
        return None
    tags = _request(folder)
    command = tags.get("command") or str(read_environment(folder).get("command", "actbench"))
    return Holder(tags.get("plan", ""), command, str(folder))


def _request(folder: Path) -> Mapping[str, str]:
    """The tags in a folder's request.json; empty where there are none, or the file is damaged."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return {str(key): str(value) for key, value in content.items()}
    return {}


def _newest(name: str, uri: str) -> Mapping[str, str] | None:
    """The tags of the newest command of an experiment in the store; None where there is none.

    A SQLite database is read without MLflow, whose import takes seconds.
    """
    if is_new(uri):
        return None
    database = check_database(uri, create=False)
    if database is None:
        from actbench.store.client import connect, newest_run

        newest = newest_run(connect(uri, create=False), uri, name, IS_COMMAND)
        return None if newest is None else dict(newest.data.tags)
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(connect_existing(database)) as connection:
        for (run,) in connection.execute(_NEWEST, (name,)):
            return dict(connection.execute("select key, value from tags where run_uuid = ?", (run,)))
    return None
