"""`actbench activations`: the table as text, curves as a figure."""

from collections.abc import Sequence
from pathlib import Path

from actbench.activations.table import TABLE, Activation
from actbench.errors import UsageError, nearest_names

_WITH_SOURCE = 100  # columns of a terminal that have room for the sources


def show_activations(names: Sequence[str], plot: str | None) -> int:
    """Prints the table, or facts about the named activations, or draws them into a file. Returns the exit code."""
    rows = [_row(name) for name in names] or list(TABLE.values())
    if plot is not None:
        _plot(rows, Path(plot))
        print(plot)
        return 0
    from rich.console import Console

    from actbench.commands.terminal import fitted_table

    console = Console() if Console().is_terminal else Console(width=100)
    if names:
        for row in rows:
            _details(row)
        return 0
    titles = ["name", "f(z)", "range", "SMZ", "|f'|", "learned", "source"]
    lines = []
    for row in rows:
        flags = "".join(letter if flag else "-" for letter, flag in zip("SMZ", _flags(row), strict=True))
        learned = "network" if row.kind == "layer" and row.learned else ", ".join(row.learned)
        lines.append((row.name, row.formula, row.range, flags, f"{row.max_slope:.4g}", learned, row.source))
    shown = len(titles) if console.width >= _WITH_SOURCE else len(titles) - 1
    console.print(fitted_table(titles[:shown], [line[:shown] for line in lines], console.width), markup=False)
    console.print(
        "\nS smooth, M monotone, Z zero-centred; |f'| is the largest slope, z1 and z2 are pieces of one unit."
    )
    console.print(
        "\n`actbench activations NAME` prints source and settings, `--plot FILE` draws f and f'.", markup=False
    )
    return 0


def _flags(row: Activation) -> tuple[bool, bool, bool]:
    return row.smooth, row.monotone, row.zero_centred


def _row(name: str) -> Activation:
    if ":" in name:  # a user's own
        from actbench.activations.own import inspect_own
        from actbench.experiment.compose import allow_modules_of_current_folder

        allow_modules_of_current_folder()
        return inspect_own(name).record
    if name not in TABLE:
        raise UsageError(f"no activation {name!r}{nearest_names(name, list(TABLE))}")
    return TABLE[name]


def _details(row: Activation) -> None:
    facts = {
        "f(z)": row.formula,
        "source": row.source,
        "range": row.range,
        "kind": row.kind + (f", {row.pieces} pieces a unit" if row.pieces > 1 else ""),
        "smooth": "yes" if row.smooth else "no",
        "monotone": "yes" if row.monotone else "no",
        "zero-centred": "yes" if row.zero_centred else "no",
        "max |f'|": f"{row.max_slope:.7g}",
        "learned": ", ".join(row.learned) or "nothing",
        "settings": ", ".join(f"activation.{key}" for key in row.settings) or "none",
    }
    print(row.name)
    for title, text in facts.items():
        print(f"  {title:<13} {text}")


def _plot(rows: Sequence[Activation], path: Path) -> None:
    from actbench.activations.curves import activation_curve
    from actbench.execution.local import Pool
    from actbench.experiment.compose import activation_defaults
    from actbench.report.figures.activations import activation_figure
    from actbench.report.figures.style import save_figure

    curves = {}
    for row in rows:
        if row.kind in ("layer", "maxout"):
            raise UsageError(f"--plot {row.name}: it is a function of a whole layer or of several pieces, not of one z")
        name = f"{row.name}(1, z)" if row.kind == "gated" else row.name
        if row.name in TABLE:
            defaults = activation_defaults(row.name)
            curve = activation_curve(row.name, None, {key: defaults[key] for key in row.settings})
        else:
            with Pool("cpu", 1, in_process=False) as pool:
                try:
                    curve = pool.call(activation_curve, "custom", row.name, {})
                except RuntimeError as error:
                    raise UsageError(f"--plot {row.name}: {error}") from error
        curves[name] = (row.name, *curve)
    save_figure(activation_figure(curves), path)
