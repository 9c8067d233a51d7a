"""`actbench data`: download data sets, or check those on this machine."""

from collections.abc import Sequence

from actbench.data.datasets import SOURCES, prepare_data
from actbench.errors import UsageError, printable
from actbench.experiment.compose import compose_run


def data(action: str, names: Sequence[str], overrides: Sequence[str]) -> int:
    """`fetch` downloads what is missing and checks it; `check` stays off the network. All data sets by default.

    Raises UsageError where a data set is missing or damaged.
    """
    chosen = list(names) or [name for name in SOURCES if name != "image_folder"]
    errors: list[UsageError] = []
    for settings in [compose_run([f"dataset={name}", *overrides]).dataset for name in chosen]:
        try:
            prepared = prepare_data(
                settings.name, settings.root, action == "fetch", settings.image_size, settings.max_pixels
            )
        except UsageError as error:
            if len(chosen) == 1:
                raise
            errors.append(error)
            print(printable(str(error)))
            continue
        print(
            f"{prepared.name}: {prepared.train} training and {prepared.test} test images, "
            f"{prepared.height}x{prepared.width}x{prepared.channels}, {prepared.classes} classes, whole "
            f"(fingerprint {prepared.fingerprint})"
        )
    if errors:
        raise UsageError(f"{len(errors)} of {len(chosen)} data sets are missing or damaged")
    return 0
