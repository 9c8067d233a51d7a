"""What the scores of a report's tasks are called, which may be of several metrics."""

from collections.abc import Sequence

from actbench.analysis.pairs import Comparison
from actbench.experiment.request import Request
from actbench.experiment.scores import ACCURACY, Metric


def metrics_of(comparisons: Sequence[Comparison]) -> list[Metric]:
    """The metrics of the tasks, each once; accuracy where there is no task."""
    return list({comparison.metric.name: comparison.metric for comparison in comparisons}.values()) or [ACCURACY]


def only_metric(comparisons: Sequence[Comparison]) -> Metric | None:
    """The metric of all tasks; None where they have several."""
    found = metrics_of(comparisons)
    return found[0] if len(found) == 1 else None


def score_name(comparisons: Sequence[Comparison]) -> str:
    """`test accuracy`, or `test score` of several metrics."""
    metric = only_metric(comparisons)
    return "test score" if metric is None else metric.title


def validation_name(comparisons: Sequence[Comparison]) -> str:
    """`validation accuracy`, or `validation score` of several metrics."""
    metric = only_metric(comparisons)
    return f"validation {'score' if metric is None else metric.noun}"


def margins(comparisons: Sequence[Comparison], request: Request) -> str:
    """The margin of each metric: `1 point`, or `1 point, 0.02 of R²`."""
    return ", ".join(metric.margin(request.margin_of(metric.name)) for metric in metrics_of(comparisons))


def target(request: Request) -> str:
    """The target of all tasks, as `95 %` or `validation loss 2.0`; `the target` where they have several or none."""
    found = [f"{100 * share:g} %" for share in request.targets]
    found += [f"validation loss {loss}" for loss in request.target_losses]
    return found[0] if len(found) == 1 else "the target"


def lost_score(comparisons: Sequence[Comparison]) -> str:
    """What a run that diverged counts as: `accuracy 0`, and of other metrics the worst score."""
    texts = {"accuracy": "accuracy 0", "r2": "R² 0", "bits_per_character": "the bits of a uniform guess"}
    return " or ".join(texts[metric.name] for metric in metrics_of(comparisons))
