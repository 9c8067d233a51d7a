"""Run ids, the number of steps, and runs that are refused before they train."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.protocol import FIRST_STAGE, learning_rates
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import make_run, training_steps, variants
from actbench.training.results import run_params
from tests.support import Configs


def ids(configs: Configs, data: PreparedData, *overrides: str) -> str:
    (config,) = configs(*overrides)
    return make_run(config, data, "sweep").id


def test_run_id_is_12_hex_digits_and_fixed(configs: Configs, digits: PreparedData) -> None:
    run = ids(configs, digits, "training.steps=5")
    assert len(run) == 12
    assert set(run) <= set("0123456789abcdef")
    assert run == ids(configs, digits, "training.steps=5")


def test_run_id_ignores_settings_that_cannot_change_results(configs: Configs, digits: PreparedData) -> None:
    reference = ids(configs, digits, "training.epochs=2")
    for line in (
        "training.steps=36", "training.stack_size=3", "execution.workers=1", "execution.device=cpu",
        "store.uri=sqlite:///x.db", "protocol.seeds=3", "dataset.root=/somewhere", "dataset.download=false",
    ):  # fmt: skip
        assert ids(configs, digits, "training.epochs=2", line) == reference, line
    moved = replace(digits, folder="/elsewhere")
    assert ids(configs, moved, "training.epochs=2") == reference


def test_run_id_depends_on_every_setting_that_can_change_results(configs: Configs, digits: PreparedData) -> None:
    lines = [
        "activation=gelu", "activation=leaky_relu", "architecture=cnn", "architecture.width=255", "seed=1",
        "initialization=he", "optimizer=sgd", "optimizer.lr=0.002", "optimizer.weight_decay=0.1", "training.steps=37",
        "training.batch_size=63", "training.schedule=linear", "training.warmup=0.1", "training.label_smoothing=0.1",
        "training.clip_norm=1", "training.target=0.5", "training.evaluate_every=7", "training.measure_every=7",
        "training.probe_size=100", "training.augment=true", "dataset.normalize=pixel", "dataset.validation=0.1",
        "training.precision=bf16", "training.dropout=0.1",
        "architecture.norm=batch", "architecture.match_parameters=false", "activation=torch:tanh",
    ]  # fmt: skip
    seen = {ids(configs, digits, "training.epochs=2"), *(ids(configs, digits, "training.epochs=2", x) for x in lines)}
    assert len(seen) == len(lines) + 1
    other = replace(digits, fingerprint="another")
    assert ids(configs, other, "training.epochs=2") not in seen


def test_a_key_at_its_value_of_absence_is_not_in_the_id(configs: Configs, digits: PreparedData) -> None:
    """A key that is added later must not move the ids of existing runs."""
    (config,) = configs("training.epochs=2")
    keys = config.in_id()
    assert not {"dropout", "clip_norm", "evaluate_every", "steps"} & set(keys["training"])
    assert not {"function", "slope", "alpha", "pieces"} & set(keys["activation"])
    assert "image_size" not in keys["dataset"]
    assert keys["training"]["label_smoothing"] == 0.0  # it was there from the start
    assert set(config.deciding()["training"]) > set(keys["training"])
    for line in ("training.clip_norm=null", "training.dropout=0.0", "training.dropout=0"):
        assert ids(configs, digits, "training.epochs=2", line) == ids(configs, digits, "training.epochs=2")


def test_a_key_that_is_absent_in_one_run_is_named_as_a_difference(configs: Configs, digits: PreparedData) -> None:
    runs = [make_run(point, digits, "sweep") for point in configs("training.clip_norm=null,1.0")]
    assert variants(runs) == [{"training.clip_norm": "None"}, {"training.clip_norm": "1.0"}]
    runs = [make_run(point, digits, "sweep") for point in configs("training.dropout=0.2,0.0")]
    assert variants(runs) == [{"training.dropout": "0.2"}, {"training.dropout": "0.0"}]
    assert run_params(runs[1])["training.dropout"] == 0.0


def test_warmup_follows_the_schedule_where_it_is_null(configs: Configs, digits: PreparedData) -> None:
    def warmup(*lines: str) -> float:
        (config,) = configs(*lines)
        return config.training.warmup

    assert [warmup(f"training.schedule={name}") for name in ("constant", "linear", "cosine")] == [0.0, 0.05, 0.05]
    assert warmup("training.schedule=constant", "training.warmup=0.2") == 0.2
    assert warmup("training.warmup=0") == 0.0
    assert ids(configs, digits, "training.warmup=0.05") == ids(configs, digits, "training.warmup=null")


def test_batch_norm_of_a_batch_of_one_example_is_refused(configs: Configs, digits: PreparedData) -> None:
    (alone,) = configs("architecture.norm=batch", "training.batch_size=1")
    (ragged,) = configs("architecture.norm=batch", "training.batch_size=383")  # 1,150 = 3 * 383 + 1
    (never,) = configs("architecture.norm=batch", "training.batch_size=383", "training.steps=3")
    for config in (alone, ragged):
        with pytest.raises(UsageError, match="no variance"):
            make_run(config, digits, "sweep")
    assert make_run(never, digits, "sweep").steps == 3


def test_the_smaller_last_batch_of_an_epoch_counts_as_a_step(configs: Configs, digits: PreparedData) -> None:
    (config,) = configs("training.epochs=3", "training.batch_size=100")
    assert training_steps(config, digits) == 3 * 12  # 1,150 examples


def test_run_ids_are_those_of_the_committed_reference(digits: PreparedData) -> None:
    """A key that moves, a default that changes or another engine would orphan every run in users' stores."""
    folder = Path(__file__).parents[2] / "results" / "reference" / "quickstart"
    reference = pd.read_csv(folder / "runs.csv", dtype={"run_id": "str"})
    grid = compose_grid(load_experiment("quickstart").overrides)
    protocol = grid.command.protocol
    runs = [
        make_run(point.at(rate, point.seed + place), digits, "compare")
        for point in grid.runs
        for rate in learning_rates(point, protocol)
        for place in range(FIRST_STAGE)
    ]
    columns = ["run_id", "phase", "architecture", "activation", "lr", "seed"]
    planned = [
        (run.id, run.phase, point.architecture.name, point.activation.label, point.optimizer.lr, point.seed)
        for run, point in ((run, run.settings) for run in runs)
    ]
    assert set(planned) <= set(reference[columns].itertuples(index=False, name=None))
    assert len(set(planned)) == 3 * 12 * 3 * 3  # architectures, activations, rates, seeds of the first stage


def test_the_phase_is_not_in_the_id(configs: Configs, digits: PreparedData) -> None:
    """So a comparison finds the runs of a sweep."""
    (config,) = configs("training.epochs=2")
    assert len({make_run(config, digits, phase).id for phase in ("train", "sweep", "compare")}) == 1
