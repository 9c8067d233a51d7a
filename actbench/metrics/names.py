"""What the metrics of units are called and when a unit is dead; does not import torch.

The names under which the store keeps one layer's metrics: `layer/03/dead_fraction` is of the fourth hidden layer."""

LAYER = "layer/"
DEAD_SLOPE = 1e-3  # of a unit; below the smallest slope in the table, leaky_relu's 0.01
HISTOGRAM = "histogram"  # the metric with counts in bins instead of one number for each run


def layer_key(layer: int, metric: str) -> str:
    """The name of a metric of one hidden layer, counted from 0."""
    return f"{LAYER}{layer:02d}/{metric}"


def split_layer_key(name: str) -> tuple[int, str] | None:
    """(layer, metric) of a name that `layer_key` made; None for a metric of the whole network."""
    if not name.startswith(LAYER):
        return None
    layer, _, metric = name.removeprefix(LAYER).partition("/")
    return int(layer), metric
