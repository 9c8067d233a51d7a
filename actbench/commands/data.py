"""`actbench data`: download data sets, or check those on this machine."""

from collections.abc import Sequence

from actbench.data.datasets import SOURCES, PreparedData
from actbench.errors import UsageError, printable
from actbench.experiment.compose import compose_run
from actbench.experiment.kinds import prepare


def data(action: str, names: Sequence[str], overrides: Sequence[str]) -> int:
    """`fetch` downloads what is missing and checks it; `check` stays off the network. All data sets by default.

    Raises UsageError where a data set is missing or damaged.
    """
    chosen = list(names) or [name for name, source in SOURCES.items() if not source.of_user]
    errors: list[UsageError] = []
    for settings in [compose_run([f"dataset={name}", *overrides]).dataset for name in chosen]:
        try:
            prepared = prepare(settings, download=action == "fetch")
        except UsageError as error:
            if len(chosen) == 1:
                raise
            errors.append(error)
            print(printable(str(error)))
            continue
        print(f"{prepared.name}: {_content(prepared)}, whole (fingerprint {prepared.fingerprint})")
    if errors:
        raise UsageError(f"{len(errors)} of {len(chosen)} data sets are missing or damaged")
    return 0


def _content(data: PreparedData) -> str:
    """What a data set holds, in words."""
    sizes = f"{data.train} training and {data.test} test"
    match data.kind:
        case "text":
            return f"{sizes} windows of {data.height} characters, {data.classes} different characters"
        case "table":
            targets = "an amount to predict" if data.metric == "r2" else f"{data.classes} classes"
            return f"{sizes} rows, {data.width} columns, {targets}"
        case "sequences":
            return f"{sizes} sequences of {data.height} steps, {data.width} features"
    return f"{sizes} images, {data.height}x{data.width}x{data.channels}, {data.classes} classes"
