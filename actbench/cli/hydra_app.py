"""`actbench train` as a stock Hydra application: --multirun with any launcher, --info, shell completion."""

import sys
from collections.abc import Sequence

import hydra
from omegaconf import DictConfig, OmegaConf

from actbench.errors import UsageError, print_error
from actbench.experiment.compose import allow_modules_of_current_folder, compose_grid, register_activations
from actbench.experiment.questions import shipped
from actbench.store.mlflow_settings import configure_mlflow


def launch(words: Sequence[str]) -> int:
    """Hands the words to Hydra, which composes each job and calls `_job`. Raises UsageError before any job starts."""
    flags = [word for word in words if word.startswith("-")]
    overrides = [word for word in words if word not in flags]
    if {"-m", "--multirun"} & set(flags):
        if any(word.startswith("activation=") and ":" in word for word in overrides):
            raise UsageError("with Hydra's multirun, write activation=custom activation.function=module:function")
        compose_grid([word for word in overrides if not word.startswith("hydra")])
    register_activations()
    sys.argv = ["actbench", *flags, *overrides]
    application = hydra.main(config_path=str(shipped("conf").resolve()), config_name="config", version_base="1.3")(_job)
    try:
        application()
    except UsageError:
        raise
    except ValueError as error:  # Hydra's own refusal of options that do not go together
        raise UsageError(str(error)) from error
    return 0


def _job(config: DictConfig) -> float | None:
    """Trains one run of a multirun; its validation accuracy is what Hydra's sweepers optimise."""
    configure_mlflow()  # before MLflow is imported
    from actbench.commands.train import train_composed

    allow_modules_of_current_folder()
    mapping = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(mapping, dict)
    try:
        return train_composed({str(key): value for key, value in mapping.items()})
    except UsageError as error:
        print_error(error)
        raise SystemExit(2) from error
