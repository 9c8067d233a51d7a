"""The command line: arguments, exit codes and errors in one line. `commands` does the work."""

import argparse
import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from actbench.cli.parser import USAGE, commands_of, make_parser
from actbench.cli.streams import PipeSafeStream
from actbench.errors import Submitted, UsageError, print_error
from actbench.execution.server import start_server
from actbench.experiment.request import DEFAULT_EXPERIMENT, split_words
from actbench.signals import interruptible
from actbench.store.mlflow_settings import configure_mlflow


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    completes = words[:1] in (["-sc"], ["--shell-completion"])  # as the shell's function calls this program
    if completes or (words[:1] == ["train"] and _is_for_hydra(words[1:])):
        return _run(lambda: _complete(words) if completes else _launch(words[1:]))
    parser = make_parser()
    if found := [word for word in words if "\0" in word]:
        parser.error(f"{found[0]}: holds a NUL character")
    if words[:1] and not words[0].startswith("-") and words[0] not in commands_of(parser) and _is_experiment(words[0]):
        parser.error(f"{words[0]}: is an experiment; `actbench compare {words[0]}` or `actbench sweep {words[0]}`")
    parsed, rest = parser.parse_known_args(words)
    if rest and all(not word.startswith("-") for word in rest) and hasattr(parsed, "words"):
        parsed.words += rest  # argparse stops collecting positionals at an option
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if parsed.version:
        from actbench import __version__

        print(f"actbench {__version__}")
        return 0
    if parsed.command is None:
        parser.print_help()
        return 0
    return _run(lambda: _dispatch(parsed))


def _is_experiment(word: str) -> bool:
    from actbench.experiment.questions import experiment_names

    return word in experiment_names()


def program() -> NoReturn:
    """Runs the command line as a process of its own."""
    exit_code = main()
    # Without the interpreter's own end, which looks for garbage for one to three seconds, and at which a library of
    # torch prints 30 lines about objects that it has not freed.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(exit_code)


def _run(action: Callable[[], int]) -> int:
    """Sets up the process, runs a command and returns its exit code."""
    # MKL rounds by how its arguments are aligned in memory unless this is set before its first call: a run's numbers
    # would then depend on its place in a stack. Measured cost: none (60 to 80 GFLOP/s a core with and without).
    os.environ.setdefault("MKL_CBWR", "AUTO")
    with contextlib.ExitStack() as stack:
        stack.enter_context(interruptible())
        for redirect, stream in ((contextlib.redirect_stdout, sys.stdout), (contextlib.redirect_stderr, sys.stderr)):
            safe = PipeSafeStream(stream)
            stack.enter_context(redirect(safe))
            stack.callback(safe.flush)
        return _exit_code(action)


def _exit_code(action: Callable[[], int]) -> int:
    try:
        return action()
    except Submitted as note:
        print(note)
        return 0
    except UsageError as error:
        print_error(error)
        return USAGE
    except KeyboardInterrupt:
        print("actbench: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        print_error(error)
        return USAGE


def _is_for_hydra(words: Sequence[str]) -> bool:
    """Options that only Hydra's own application has: --multirun with a launcher, --info, shell completion."""
    options = (
        "-m",
        "--multirun",
        "--info",
        "--hydra-help",
        "--shell-completion",
        "-sc",
        "--package",
        "-p",
        "--resolve",
        "--experimental-rerun",
    )
    return any(word.split("=")[0] in options for word in words)


def _complete(words: Sequence[str]) -> int:
    """Prints the shell's script, or the words that complete its line. Overrides are Hydra's to complete."""
    from actbench.cli.completion import ZSH, completions

    if words[1:] == ["install=zsh"]:
        print(ZSH)
        return _launch([words[0], "install=bash"])
    line = os.environ.get("COMP_LINE")
    if line is None or not any(word.startswith("query=") for word in words):
        return _launch(words)
    found, has_overrides = completions(line)
    if found:
        print("\n".join(found))
    return _launch(words) if has_overrides else 0


def _launch(words: Sequence[str]) -> int:
    _require_python()
    from actbench.cli.hydra_app import launch

    return launch(words)


def _dispatch(parsed: argparse.Namespace) -> int:
    """Carries out a parsed command. Its imports take seconds, so each command has its own."""
    if parsed.command == "activations":
        from actbench.cli.activations import show_activations

        return show_activations(parsed.names, parsed.plot)
    _require_python()
    if parsed.command in ("options", "list"):
        from actbench.cli.options import show_list, show_options

        return show_list(parsed.kind) if parsed.command == "list" else show_options(parsed.names)
    if parsed.command in ("export", "figure", "table"):
        return _of_results(parsed)
    from actbench.experiment.compose import allow_modules_of_current_folder

    allow_modules_of_current_folder()
    if parsed.command != "ui":  # the server process of `ui` would inherit the settings
        configure_mlflow()  # before MLflow is imported
    names, overrides = split_words(parsed.words)
    match parsed.command:
        case "ui":
            from actbench.cli.ui import run_ui
            from actbench.experiment.compose import compose_command

            return run_ui(compose_command(parsed.words).store.uri, parsed.port, parsed.open)
        case "report":
            from actbench.commands.report import report

            return report(parsed.experiment, parsed.format.split(","), parsed.words, parsed.pairs)
        case "cost":
            from actbench.commands.cost import cost

            return cost(parsed.words)
        case "data":
            from actbench.commands.data import data

            return data(parsed.action, names, overrides)
    if len(names) > 1 or (names and parsed.command == "train"):
        raise UsageError(f"{names[-1]!r} is not an override; write key=value")
    return _train(parsed, names[0] if names else None, overrides)


def _of_results(parsed: argparse.Namespace) -> int:
    """export, figure and table: what is made of a results folder."""
    if parsed.command == "table":
        from actbench.commands.figure import names_of
        from actbench.commands.table import table

        return table(parsed.experiment, names_of(parsed.activations), parsed.format, parsed.out)
    if parsed.command == "export":
        from actbench.commands.export import export

        return export(parsed.experiment, parsed.out)
    from actbench.commands.figure import figure, look_of

    if len(parsed.words) > 1:
        raise UsageError(f"{' '.join(parsed.words)}: name one figure")
    look = look_of(parsed.width, parsed.format, parsed.style, parsed.activations)
    return figure(parsed.experiment, next(iter(parsed.words), None), look, parsed.out)


def _train(parsed: argparse.Namespace, experiment: str | None, overrides: list[str]) -> int:
    """Runs compare, sweep or train, or prints the configuration that it would use."""
    compared = DEFAULT_EXPERIMENT if experiment is None else experiment
    if parsed.cfg:
        from actbench.commands.config import print_config

        return print_config(compared if parsed.command == "compare" else experiment, overrides, parsed.config_dir)
    if parsed.dry_run:
        from actbench.commands.dry_run import dry_run

        named = compared if parsed.command == "compare" else experiment
        return dry_run(parsed.command, named, overrides, parsed.config_dir)
    if parsed.command != "train" and not any(word.startswith(_OTHERWISE) for word in overrides):
        start_server()  # imports torch while this process plans
    match parsed.command:
        case "compare":
            from actbench.commands.compare import compare

            return compare(compared, overrides, parsed.config_dir, parsed.pairs).exit_code
        case "sweep":
            from actbench.commands.sweep import sweep

            return sweep(experiment, overrides, parsed.config_dir).exit_code
    from actbench.commands.train import train

    return train(overrides, parsed.config_dir).exit_code


_OTHERWISE = ("execution=", "execution.workers=1")  # overrides of commands that probably fork no workers here


def _require_python() -> None:
    if sys.version_info >= (3, 14):
        raise UsageError("Hydra 1.3 does not run on Python 3.14; use 3.11, 3.12 or 3.13")
