"""`--cfg job`: the composed configuration."""

from collections.abc import Sequence

from actbench.experiment.compose import compose_grid, composed_yaml
from actbench.experiment.questions import load_experiment


def print_config(name: str | None, overrides: Sequence[str], config_dir: str | None) -> int:
    """Prints the composed configuration of the first run as YAML. Raises UsageError where any run's is wrong."""
    lines = [*(load_experiment(name).overrides if name is not None else ()), *overrides]
    compose_grid(lines, config_dir)
    print(composed_yaml(lines, config_dir), end="")
    return 0
