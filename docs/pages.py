"""Makes the pages that follow from the program: commands, options, activations, experiments; copies results/."""

import shutil
from pathlib import Path

from actbench.activations.table import TABLE
from actbench.cli.parser import commands_of, make_parser
from actbench.experiment.options import option_groups
from actbench.experiment.questions import Experiment, experiment_names, load_experiment

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("reference", "benchmarks", "reliability")  # of results/: pages, and the pictures that they show
SUFFIXES = (".md", ".svg", ".webp")


def write(folder: Path) -> None:
    """Writes all pages to a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in COPIED:
        for path in (ROOT / "results" / name).rglob("*"):
            if path.suffix in SUFFIXES:
                target = folder / path.relative_to(ROOT / "results")
                target.parent.mkdir(parents=True, exist_ok=True)
                content = path.read_bytes()
                if path.suffix == ".md":  # no page lists it; and a folder is a page here
                    content = b"---\norphan: true\n---\n\n" + content.replace(
                        b"](../../../experiments)", b"](../../experiments.md)"
                    )
                target.write_bytes(content)
    for path in (ROOT / "examples").glob("*.ipynb"):
        (folder / "examples").mkdir(exist_ok=True)
        shutil.copy(path, folder / "examples")
    for name, text in {
        "commands": commands(), "options": options(), "activations": activations(), "experiments": experiments(),
    }.items():  # fmt: skip
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def commands() -> str:
    """The help text of each command."""
    parser = make_parser()
    lines = ["# Help texts", "", "```text", parser.format_help().rstrip(), "```"]
    for name, sub in commands_of(parser).items():
        lines += ["", f"## {name}", "", "```text", sub.format_help().rstrip(), "```"]
    return "\n".join([*lines, ""])


def options() -> str:
    """Every key of conf/ with its default, what it may be and what it means."""
    lines = [
        "# Options", "",
        "Set them on the command line as `GROUP=CHOICE` and `GROUP.KEY=VALUE`, or in Python as keywords. `seed` is a",
        "whole number, 0 by default: split, data order and initial draws follow from it. `name` names the folder in",
        "`results/` and the experiment in MLflow; without it they have the name of the experiment, `sweep` or `train`.",
    ]  # fmt: skip
    for group in option_groups():
        lines += ["", f"## {group.name}", ""]
        if group.name == "activation":
            lines += ["The choices are the rows of [the table](activations.md)."]
        elif len(group.choices) > 1:
            lines += table(("choice", "what it is"), [
                (f"`{name}`" + " (default)" * (name == group.default), text) for name, text in group.choices.items()
            ])  # fmt: skip
        for section in group.sections:
            if section.choices and len(group.choices) > 1:
                lines += ["", f"Of {', '.join(f'`{name}`' for name in section.choices)}:"]
            rows = [(f"`{o.key}`", o.default, o.allowed, o.meaning) for o in section.options]
            lines += ["", *table(("key", "default", "allowed", "meaning"), rows)]
    return "\n".join([*lines, ""])


def activations() -> str:
    """The table of activations."""
    rows = [
        (f"`{row.name}`", f"`{row.formula}`", f"`{row.range}`", f"{row.max_slope:.4g}",
         ", ".join(f"`activation.{key}`" for key in row.settings), ", ".join(row.learned), row.source)
        for row in TABLE.values()
    ]  # fmt: skip
    titles = ("name", "f(z)", "range", "largest slope", "settings", "learned", "source")
    text = "`z1`, `z2` are the pieces of one unit. `actbench activations NAME --plot FILE` draws f and f'."
    return "\n".join(["# Activations", "", text, "", *table(titles, rows), ""])


def experiments() -> str:
    """The questions that come with actbench."""
    found = map(load_experiment, experiment_names())
    rows = [(f"`{own.name}`" + ", `_full`" * bool(own.full), _asked(own), own.source or "") for own in found]
    text = (
        "`actbench compare NAME` answers one, `actbench sweep NAME` where it says so. A file in `experiments/` of the "
        "current folder is one of your own."
    )
    return "\n".join(["# Experiments", "", text, "", *table(("name", "question", "source"), rows), ""])


def _asked(own: Experiment) -> str:
    """The question, and the command where it is not compare."""
    return own.question + " (`actbench sweep`)" * (own.command == "sweep")


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table in Markdown."""
    cells = [tuple(cell.replace("|", "\\|").replace("$", "\\$") for cell in row) for row in rows]
    return [f"| {' | '.join(row)} |" for row in (titles, ("---",) * len(titles), *cells)]
