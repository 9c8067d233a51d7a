"""`actbench train` as a stock Hydra application: --multirun with any launcher, --info, shell completion."""

import sys
from collections.abc import Sequence

import hydra
from omegaconf import DictConfig, OmegaConf

from actbench.compose import shipped


def launch(words: Sequence[str]) -> int:
    """Hand the words to Hydra, which composes each job and calls `_job`."""
    sys.argv = ["actbench", *words]
    application = hydra.main(config_path=str(shipped("conf").resolve()), config_name="config", version_base="1.3")(_job)
    application()
    return 0


def _job(config: DictConfig) -> float | None:
    """One run of a multirun; its validation accuracy, for Hydra's sweepers."""
    from actbench import commands

    mapping = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(mapping, dict)
    return commands.train_one({str(key): value for key, value in mapping.items()})
