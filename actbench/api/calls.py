"""The commands as functions, which do what the command line does and return its results."""

import contextlib
import os
import shlex
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actbench.api.arguments import overrides_of
from actbench.api.results import Results, warn_of_failures
from actbench.errors import UsageError
from actbench.execution.server import start_server
from actbench.experiment.compose import allow_modules_of_current_folder, compose_command
from actbench.experiment.request import DEFAULT_EXPERIMENT, Caller, split_words
from actbench.signals import interruptible
from actbench.store.files import RUNS
from actbench.store.mlflow_settings import configure_mlflow

if TYPE_CHECKING:
    from actbench.commands.session import Ended

_Command = Callable[[str | None, list[str], Caller], "Ended"]


def compare(*words: str, pairs: bool = False, config_dir: str | None = None, **settings: object) -> Results:
    """Trains every activation at every rate on every seed, tests and reports: `actbench compare`.

    words: an experiment's name (quickstart by default) and overrides as on the command line. settings: overrides as
    keywords, `dataset="mnist", activation=["relu", my_function], training={"steps": 100}`; a list is a grid.
    `actbench options` on the command line prints all groups and keys. pairs: also compare all pairs. config_dir: a
    folder of further config groups.

    Runs that the store holds are not trained again. Raises UsageError for wrong arguments; after KeyboardInterrupt the
    same call goes on where it stopped.
    """
    from actbench.commands.compare import compare as command

    if not isinstance(pairs, bool):
        raise UsageError(f"compare: pairs={pairs!r}: must be True or False")

    def run(experiment: str | None, overrides: list[str], caller: Caller) -> "Ended":
        return command(experiment or DEFAULT_EXPERIMENT, overrides, config_dir, pairs, caller)

    return _called("compare", words, settings, run)


def sweep(*words: str, config_dir: str | None = None, **settings: object) -> Results:
    """Trains a grid of runs: `actbench sweep`. Arguments as for `compare`; an experiment need not be named."""
    from actbench.commands.sweep import sweep as command

    return _called("sweep", words, settings, lambda name, overrides, own: command(name, overrides, config_dir, own))


def train(*words: str, config_dir: str | None = None, **settings: object) -> Results:
    """Trains one run: `actbench train`. words: overrides. settings, errors: as for `compare`."""
    from actbench.commands.train import train as command

    def run(experiment: str | None, overrides: list[str], caller: Caller) -> "Ended":
        if experiment is not None:
            raise UsageError(f"{experiment!r} is not an override; write key=value")
        return command(overrides, config_dir, caller)

    return _called("train", words, settings, run)


def open(folder: str | Path | None = None, *, store: str | None = None, experiment: str | None = None) -> Results:
    """The results of an earlier command: of its folder, or of the newest one of an experiment in a store.

    folder: results/NAME, or its name. store: an MLflow tracking URI, `sqlite:///mlflow.db` by default; the store's copy
    of the files is written to a new folder, results/.opened/<experiment>. Raises UsageError where there is nothing.
    """
    if (folder is None) == (experiment is None):
        raise UsageError("open: name a results folder, or an experiment of a store: open(store=..., experiment=...)")
    if not isinstance(folder, str | Path | None) or not isinstance(experiment, str | None):
        raise UsageError(f"open: {folder if folder is not None else experiment!r} is neither a path nor a name")
    if experiment is not None and (Path(experiment).name != experiment or experiment in (".", "..")):
        raise UsageError(f"open: {experiment!r} is no name of an experiment")
    if store is not None and not isinstance(store, str):
        raise UsageError(f"open: store={store!r} is no tracking URI")
    if folder is not None:
        if store is not None:
            raise UsageError("open: a folder or a store, not both")
        named = Path("results") / folder
        return Results(named if (named / RUNS).is_file() and not (Path(folder) / RUNS).is_file() else Path(folder))
    configure_mlflow()
    from actbench.commands.report import restorer, written_reports

    restore = restorer(store or compose_command([]).store.uri, str(experiment))
    target = Path("results") / ".opened" / str(experiment)
    target.mkdir(parents=True, exist_ok=True)
    written_reports(target, restore(target), ["md"])  # answer.json and scores.csv too
    return Results(target)


def _called(command: str, words: Sequence[str], settings: dict[str, Any], run: _Command) -> Results:
    for word in words:
        if not isinstance(word, str):
            raise UsageError(f"{command}: {word!r} is not a text; write an experiment's name, key=value, or keywords")
    names, written = split_words(words)
    if len(names) > 1:
        raise UsageError(f"{names[-1]!r} is not an override; write key=value")
    os.environ.setdefault("MKL_CBWR", "AUTO")  # as the command line has it: of worker processes, which train
    allow_modules_of_current_folder()
    configure_mlflow()  # before MLflow is imported
    overrides = [*written, *overrides_of(settings)]
    experiment = names[0] if names else None
    line = shlex.join(["actbench", command, *names, *overrides])
    start_server()  # imports torch while this process plans
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            stack.enter_context(interruptible())
        try:
            folder = run(experiment, overrides, Caller(line, apart=True)).folder
        except UsageError as error:
            raise error.with_traceback(None) from None  # its one line says all
    results = Results(folder)
    warn_of_failures(results)
    return results
