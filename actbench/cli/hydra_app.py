"""`actbench train` as a stock Hydra application: --multirun with any launcher, --info, shell completion."""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from actbench.errors import UsageError, print_error
from actbench.experiment.compose import allow_modules_of_current_folder, compose_grid, register_activations
from actbench.experiment.questions import shipped
from actbench.store.mlflow_settings import configure_mlflow

FAILED = 1  # exit code: some job failed


class _JobFailed(Exception):
    """A run of a multirun did not finish; the job has said why."""


def launch(words: Sequence[str]) -> int:
    """Hands the words to Hydra, which composes each job and calls `_job`. Returns the exit code.

    Raises UsageError before any job starts where options or overrides are wrong.
    """
    parser: Any = get_args_parser()
    parser.error = _refuse
    parsed = parser.parse_intermixed_args(list(words))
    _check(parsed)
    register_activations()
    sys.argv[0] = "actbench"  # the name under which Hydra installs the shell completion
    # Without this Hydra prints a traceback of its own and ends the process.
    with _environment({"HYDRA_FULL_ERROR": "1", **_completed_line()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="hydra")
        try:
            _run_hydra(parsed, parser, _job, str(shipped("conf").resolve()), "config")
        except UsageError:
            raise
        except _JobFailed:
            return FAILED
        except (HydraException, OmegaConfBaseException, ValueError, KeyError, RuntimeError) as error:
            raise UsageError(f"Hydra refuses this: {error}") from error
        except YAMLError as error:  # of a word on the line that a shell completes
            raise UsageError(f"Hydra refuses this: {' '.join(str(error).split())}") from error
    return 0


def _refuse(message: str) -> NoReturn:
    raise UsageError(f"{message}; see actbench train --hydra-help")


def _check(parsed: argparse.Namespace) -> None:
    """Raises UsageError for what Hydra would answer with a traceback, or would take from an unsafe file."""
    for key in ("experimental_rerun", "config_path", "config_name"):
        if getattr(parsed, key) is not None:
            raise UsageError(f"--{key.replace('_', '-')}: not an option of actbench; write the overrides instead")
    if parsed.resolve and not parsed.cfg:
        raise UsageError("--resolve goes with --cfg job; --cfg job alone prints resolved values already")
    if parsed.package is not None and not parsed.cfg:
        raise UsageError("--package goes with --cfg job")
    if parsed.shell_completion:
        if any(word.startswith("query=") for word in parsed.overrides) and "COMP_LINE" not in os.environ:
            raise UsageError(
                '-sc query=... is for the shell, which sets COMP_LINE; eval "$(actbench -sc install=bash)"'
            )
        return
    if any(word.startswith("activation=") and ":" in word for word in parsed.overrides):
        raise UsageError("in Hydra's application, write activation=custom activation.function=module:function")
    own = [word for word in parsed.overrides if not word.lstrip("+~").startswith("hydra")]
    compose_grid(own, parsed.config_dir)


def _completed_line() -> dict[str, str]:
    """The line that a shell completes, as Hydra reads it: the overrides and the last word, without the subcommand."""
    if "COMP_LINE" not in os.environ:
        return {}
    *words, last = os.environ["COMP_LINE"].split(" ")
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    return {"COMP_LINE": " ".join(["actbench", *overrides, "" if last.startswith("-") else last])}


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of the environment while the block lasts."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _job(config: DictConfig) -> float | None:
    """Trains one run of a multirun; its validation score is what Hydra's sweepers optimise."""
    configure_mlflow()  # before MLflow is imported
    from actbench.commands.train import train_composed

    allow_modules_of_current_folder()
    mapping = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(mapping, dict)
    try:
        return train_composed({str(key): value for key, value in mapping.items()})
    except UsageError as error:
        print_error(error)
        raise SystemExit(2) from error
    except RuntimeError as error:
        raise _JobFailed from error
