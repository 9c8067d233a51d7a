"""The arguments and help texts of the command line."""

import argparse
from collections.abc import Callable, Mapping
from typing import NoReturn

from actbench.errors import print_error

USAGE = 2  # exit code: wrong usage or configuration

_OVERRIDES = """\
overrides are Hydra's own grammar; `actbench options` prints all groups and keys:
  group=choice        dataset, architecture, activation, optimizer, ...
  key.sub=value       optimizer.lr=0.01   training.epochs=5   dataset.root=DIR
  key=a,b,c           a grid; also range(0,10), choice(a,b), glob(*)
  activation=module:function    a function or torch.nn.Module class of your own
"""
_CODES = (
    "exit codes: 0 done; 1 some run failed, or is not stored yet; 2 wrong usage or configuration; 130 interrupted\n"
)
_COMPLETION = """\
completion in the shell, by a line in ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish:
  eval "$(actbench -sc install=bash)"
  eval "$(actbench -sc install=zsh)"
  actbench -sc install=fish | source
"""
_EXAMPLES = {
    "compare": """\
  actbench compare                                    12 activations, three architectures, on digits: minutes
  actbench compare --dry-run                          how long it would take, and what it could show
  actbench compare mnist activation=relu,gelu,swiglu  an experiment with other activations
  actbench compare dataset=table dataset.root=houses.csv dataset.label=price architecture=mlp_small
""",
    "sweep": """\
  actbench sweep architecture=mlp,cnn activation=relu,gelu 'seed=range(0,5)' training.epochs=5
  actbench sweep activation=relu initialization=matched,he,torch optimizer.lr=0.001,0.01
""",
    "train": """\
  actbench train dataset=mnist activation=swiglu optimizer.lr=0.003 store.save_weights=last
  actbench train training.steps=0                     measures the initialised network
  actbench train -m optimizer.lr=0.01,0.1             jobs of Hydra's own, for its launchers
""",
    "report": """\
  actbench report quickstart --format html
  actbench report quickstart --pairs                  all pairs of activations too
""",
    "figure": """\
  actbench figure quickstart                          the names of its figures
  actbench figure quickstart differences --activations gelu,swiglu --width 3.3in
  actbench figure sweep curves --width neurips --format svg
""",
    "export": """\
  actbench export quickstart                          quickstart.zip
""",
    "activations": """\
  actbench activations                                the table
  actbench activations gelu swiglu                    formula, source, range, settings
  actbench activations relu gelu --plot shapes.pdf    f and f'
""",
    "table": """\
  actbench table quickstart --activations gelu,silu --out table.tex
  actbench table sweep --format md
""",
    "options": """\
  actbench options                                    all groups, with their choices
  actbench options training optimizer.lr              the keys of a group, and one key
""",
    "list": """\
  actbench list experiments
  actbench list datasets
""",
    "cost": """\
  actbench cost activation=relu,gelu,silu,swish
  actbench cost activation=gelu dataset=mnist architecture=transformer
""",
    "ui": """\
  actbench ui --open
  actbench ui store.uri=http://localhost:5000
""",
    "data": """\
  actbench data fetch mnist
  actbench data check cifar10 dataset.root=DIR
""",
}
_WITHOUT_OVERRIDES = ("activations", "export", "figure", "table", "options", "list")
_PAIRS = "also compare all pairs of activations, not only each with the baseline"
_PLANNED = "print the runs of each task, the stacks and the time they would take"
_DRY_RUN = {
    "compare": f"{_PLANNED}, and the difference that could be shown; train and store nothing",
    "sweep": f"{_PLANNED}; train and store nothing",
    "train": "print how long the run would take; train and store nothing",
}


_Command = Callable[[str, str], argparse.ArgumentParser]  # name, help -> the parser of a command


class _Parser(argparse.ArgumentParser):
    """Reports a usage error in one line."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and ends the process."""
        print_error(f"{message}; see {self.prog} --help")
        raise SystemExit(USAGE)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each has the examples of its own in its help."""
    parser = _Parser(
        prog="actbench", description="Which activation function should I use here, and is the difference real?",
        epilog="\n".join([_OVERRIDES, _CODES, _COMPLETION, _examples("compare", "sweep", "train", "report", "ui")]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        known = [_examples(name)] if name in _WITHOUT_OVERRIDES else [_examples(name), _OVERRIDES]
        return commands.add_parser(
            name, help=text, description=text, epilog="\n".join([*known, _CODES]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip

    _add_training(command)
    _add_results(command)
    sub = command("activations", "print the table of activations, or draw some of them")
    sub.add_argument("names", nargs="*", metavar="NAME")
    sub.add_argument("--plot", metavar="FILE", help="draw f and f' into a .png, .svg or .pdf file")
    sub = command("options", "print what can be set: groups, or the keys of one with default and meaning")
    sub.add_argument("names", nargs="*", metavar="GROUP[.KEY]")
    sub = command("list", "print what there is: experiments, datasets, architectures, activations or results")
    sub.add_argument(
        "kind", nargs="?", metavar="KIND", help="experiments, datasets, architectures, activations, results"
    )
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


def commands_of(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of the commands, by name."""
    found = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def _add_training(command: _Command) -> None:
    """compare, sweep and train."""
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


def _add_results(command: _Command) -> None:
    """What is made of the results of commands that have ended."""
    sub = command("report", "write the report of an ended comparison or sweep again, from the store alone")
    sub.add_argument("experiment", metavar="EXPERIMENT")
    sub.add_argument("words", nargs="*", metavar="OVERRIDE", help="store.uri=URI")
    sub.add_argument(
        "--format", default="md,html,pdf,tex", metavar="LIST", help="of md, html, pdf, tex; all by default"
    )
    sub.add_argument("--pairs", action="store_true", help=_PAIRS)
    sub = command("figure", "draw one figure of a report or a sweep, as a paper wants it")
    sub.add_argument("experiment", metavar="EXPERIMENT", help="name of a results folder; sweep and train too")
    sub.add_argument("words", nargs="*", metavar="NAME", help="of the figure; without it the names are printed")
    sub.add_argument("--activations", metavar="LIST", help="show these, and the baseline; all by default")
    sub.add_argument("--width", default="6.8in", metavar="W", help="3.3in, 84mm, 240pt, or icml, neurips, acl, ieee")
    sub.add_argument("--format", default="pdf", metavar="F", help="pdf (the default), svg or png")
    sub.add_argument("--style", metavar="FILE", help="a style file of matplotlib, or the name of one of its styles")
    sub.add_argument("--out", metavar="FILE", help="EXPERIMENT-NAME.FORMAT by default")
    sub = command("table", "print the scores and verdicts of a comparison, or the means of a sweep, to paste")
    sub.add_argument("experiment", metavar="EXPERIMENT", help="name of a results folder; sweep and train too")
    sub.add_argument("--activations", metavar="LIST", help="show these, and the baseline; all by default")
    sub.add_argument("--format", default="tex", metavar="F", help="tex (the default: a tabular), md or csv")
    sub.add_argument("--out", metavar="FILE", help="write it there instead")
    sub = command("export", "pack report, figures, tables, environment and the exact command into a ZIP file")
    sub.add_argument("experiment", metavar="EXPERIMENT", help="name of a results folder; sweep and train too")
    sub.add_argument("--out", metavar="FILE", help="EXPERIMENT.zip by default")


def _examples(*commands: str) -> str:
    return "examples:\n" + "".join(_EXAMPLES[name] for name in commands)
