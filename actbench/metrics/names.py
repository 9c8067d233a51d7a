"""The names of one layer's metrics: `layer/03/dead_fraction` is of the fourth hidden layer."""

LAYER = "layer/"
HISTOGRAM = "histogram"  # the one that is no number a run, but counts in bins


def layer_key(layer: int, metric: str) -> str:
    return f"{LAYER}{layer:02d}/{metric}"


def split_layer_key(name: str) -> tuple[int, str] | None:
    """(layer, metric) of such a name; None for a metric of all layers together."""
    if not name.startswith(LAYER):
        return None
    layer, _, metric = name.removeprefix(LAYER).partition("/")
    return int(layer), metric
