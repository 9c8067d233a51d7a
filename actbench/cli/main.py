"""The command line: arguments, exit codes and errors in one line. `commands` does the work."""

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from actbench.cli.streams import PipeSafeStream
from actbench.errors import Submitted, UsageError, print_error
from actbench.execution.server import start_server
from actbench.signals import interruptible
from actbench.store.mlflow_settings import configure_mlflow

USAGE = 2  # exit code: wrong usage or configuration
DEFAULT_EXPERIMENT = "quickstart"  # of compare

_EPILOG = """\
overrides are Hydra's own grammar:
  group=choice        dataset, architecture, activation, optimizer, ... (see conf/)
  key.sub=value       optimizer.lr=0.01   training.epochs=5   dataset.root=DIR
  key=a,b,c           a grid; also range(0,10), choice(a,b), glob(*)
  activation=module:function    a function or torch.nn.Module class of your own

exit codes: 0 done; 1 some run failed, or is not stored yet; 2 wrong usage or configuration; 130 interrupted

examples:
  actbench compare
  actbench compare --dry-run
  actbench sweep architecture=mlp,cnn activation=relu,gelu 'seed=range(0,5)' training.epochs=5
  actbench train dataset=mnist activation=swiglu optimizer.lr=0.003 store.save_weights=last
  actbench report quickstart --format html
  actbench ui --open
  actbench data fetch mnist
"""
_PAIRS = "also compare all pairs of activations, not only each with the baseline"
_PLANNED = "print the runs of each task, the stacks and the time they would take"
_DRY_RUN = {
    "compare": f"{_PLANNED}, and the difference that could be shown; train and store nothing",
    "sweep": f"{_PLANNED}; train and store nothing",
    "train": "print how long the run would take; train and store nothing",
}


class _Parser(argparse.ArgumentParser):
    """Reports a usage error in one line."""

    def error(self, message: str) -> NoReturn:
        print_error(f"{message}; see {self.prog} --help")
        raise SystemExit(USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="actbench", description="Which activation function should I use here, and is the difference real?",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=text, description=text, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    for name, text in (
        ("compare", "every rate on every seed, test, report (default experiment: quickstart, on digits)"),
        ("sweep", "train a grid of runs"),
        ("train", "train one run, with live progress"),
    ):
        sub = command(name, text)
        alone = name == "train"
        metavar = "OVERRIDE" if alone else "[EXPERIMENT] OVERRIDE"
        description = "key=value" if alone else "key=value, and first an experiment's name"
        sub.add_argument("words", nargs="*", metavar=metavar, help=description)
        sub.add_argument("--cfg", choices=["job"], help="print the composed config of the first run and stop")
        sub.add_argument("--config-dir", metavar="DIR", help="a folder of your own config groups, searched after ours")
        sub.add_argument("--dry-run", action="store_true", help=_DRY_RUN[name])
        if name == "compare":
            sub.add_argument("--pairs", action="store_true", help=_PAIRS)
    sub = command("report", "write the report of an ended comparison again, from the store alone")
    sub.add_argument("experiment", metavar="EXPERIMENT")
    sub.add_argument("words", nargs="*", metavar="OVERRIDE", help="store.uri=URI")
    sub.add_argument(
        "--format", default="md,html,pdf,tex", metavar="LIST", help="of md, html, pdf, tex; all by default"
    )
    sub.add_argument("--pairs", action="store_true", help=_PAIRS)
    sub = command("activations", "print the table of activations, or draw some of them")
    sub.add_argument("names", nargs="*", metavar="NAME")
    sub.add_argument("--plot", metavar="FILE", help="draw f and f' into a .png, .svg or .pdf file")
    sub = command("cost", "measure what each activation costs on this device, forward and backward")
    sub.add_argument("words", nargs="*", metavar="OVERRIDE", help="activation=relu,gelu execution.device=cpu ...")
    sub = command("ui", "serve the MLflow dashboard, with a link to a view of each experiment")
    sub.add_argument("words", nargs="*", metavar="OVERRIDE", help="store.uri=URI")
    sub.add_argument("--port", type=int, metavar="N", help="by default the first free one from 5000")
    sub.add_argument("--open", action="store_true", help="open the newest view in the browser")
    sub = command("data", "fetch data sets, or check those that are here")
    sub.add_argument("action", choices=["fetch", "check"])
    sub.add_argument("words", nargs="*", metavar="[DATASET...] OVERRIDE", help="mnist ... dataset.root=DIR")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    completes = words[:1] in (["-sc"], ["--shell-completion"])  # as the shell's function calls this program
    if completes or (words[:1] == ["train"] and _is_for_hydra(words[1:])):
        return _run(lambda: _launch(words if completes else words[1:]))
    parser = _parser()
    if found := [word for word in words if "\0" in word]:
        parser.error(f"{found[0]}: holds a NUL character")
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


def program() -> NoReturn:
    """Runs the command line as a process of its own."""
    exit_code = main()
    gc.freeze()  # else the interpreter looks for garbage at its end, for one to three seconds
    sys.exit(exit_code)


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
    from actbench.experiment.compose import allow_modules_of_current_folder

    allow_modules_of_current_folder()
    if parsed.command != "ui":  # the server process of `ui` would inherit the settings
        configure_mlflow()  # before MLflow is imported
    names, overrides = _split(parsed.words)
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

            return compare(compared, overrides, parsed.config_dir, parsed.pairs)
        case "sweep":
            from actbench.commands.sweep import sweep

            return sweep(experiment, overrides, parsed.config_dir)
    from actbench.commands.train import train

    return train(overrides, parsed.config_dir)


_OTHERWISE = ("execution=", "execution.workers=1")  # overrides of commands that probably fork no workers here


def _require_python() -> None:
    if sys.version_info >= (3, 14):
        raise UsageError("Hydra 1.3 does not run on Python 3.14; use 3.11, 3.12 or 3.13")


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits words into names and overrides, which contain = or begin with ~."""
    names = [word for word in words if "=" not in word and not word.startswith("~")]
    return names, [word for word in words if word not in names]
