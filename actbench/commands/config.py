"""`--cfg job`: the composed configuration."""

from collections.abc import Sequence

from actbench.experiment.compose import compose_experiment, composed_yaml
from actbench.experiment.questions import load_experiment


def print_config(name: str | None, overrides: Sequence[str], config_dir: str | None) -> int:
    """Prints the composed configuration of the first run as YAML. Raises UsageError where any run's is wrong."""
    experiment = None if name is None else load_experiment(name)
    compose_experiment(experiment, overrides, config_dir)
    own = () if experiment is None else (*experiment.overrides, *(experiment.tasks[0] if experiment.tasks else ()))
    print(composed_yaml([*own, *overrides], config_dir), end="")
    return 0
