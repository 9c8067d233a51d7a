"""Training on text, tables and sequences: scores by hand, runs alone and in stacks, and what is refused."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from actbench.data.datasets import load_data
from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.kinds import prepare
from actbench.experiment.runs import Run, make_run
from actbench.training.checkpoints import read_checkpoint, run_state, save_checkpoint
from actbench.training.loop import set_up
from actbench.training.losses import example_hits, example_losses, mean_score
from actbench.training.results import Result
from actbench.training.stacks import Stack
from tests.support import numbers, results

CPU = torch.device("cpu")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """8,000 characters of a language with 20 words."""
    words = [f"w{number}rd" for number in range(20)]
    drawn = np.random.default_rng(0).integers(0, 20, 2000)
    path = tmp_path / "own.txt"
    path.write_text(" ".join(words[place] for place in drawn)[:8000])
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """200 rows in which y follows a and b, with a missing number and a column of texts."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"a": generator.normal(5, 3, 200), "b": generator.choice(["x", "y"], 200)})
    frame["y"] = 10 + 2 * frame["a"] + 5 * frame["b"].eq("x") + generator.normal(0, 0.1, 200)
    frame.loc[3, "a"] = np.nan
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    return path


def runs_of(*overrides: str) -> list[Run]:
    return [make_run(point, prepare(point.dataset), "sweep") for point in compose_grid(overrides).runs]


def trained(*overrides: str) -> list[Result]:
    runs = runs_of(*overrides)
    return list(results(runs, load_data(runs[0].data)).values())


TEXT = ("dataset=text", "dataset.context=16", "architecture=decoder_small", "architecture.width=16",
        "architecture.heads=2", "training.batch_size=8", "training.steps=30", "training.measure_every=15")  # fmt: skip


def number(value: str | int | float | bool | None) -> float:
    assert isinstance(value, float)
    return value


def test_a_text_is_learnt_and_scored_in_bits(text: Path) -> None:
    (result,) = trained(*TEXT, f"dataset.root={text}", "optimizer.lr=0.01", "training.target_loss=2.5")
    row = result.row
    assert row["status"] == "finished"
    assert row["metric"] == "bits_per_character"
    assert row["score"] == pytest.approx(-number(row["test_loss"]) / math.log(2))
    assert row["val_score"] == pytest.approx(-number(row["val_loss"]) / math.log(2))
    losses = dict(result.curves["val_loss"])
    assert losses[30] < losses[0] - 0.5
    assert row["steps_to_target"] == next((step for step, loss in sorted(losses.items()) if loss <= 2.5), None)
    windows = np.frombuffer(result.test_scores or b"", "<f4")
    assert len(windows) == result.run.data.test == (800 - 1) // 16
    assert windows.mean() == pytest.approx(number(row["score"]), abs=1e-5)


@pytest.mark.parametrize(
    "variant", [(), ("architecture.norm=rms", "architecture.position=rope", "architecture.tie=false")]
)
def test_a_run_on_text_is_bit_identical_in_any_stack(variant: tuple[str, ...], text: Path) -> None:
    words = (*TEXT, *variant, f"dataset.root={text}", "training.dropout=0.1", "architecture.match_parameters=false")
    runs = runs_of(*words, "activation=relu,gelu,prelu", "seed=0,1")
    together = results(runs, load_data(runs[0].data))
    for run in runs:
        (alone,) = results([run], load_data(run.data)).values()
        assert numbers(alone) == numbers(together[run.id])
        assert alone.test_scores == together[run.id].test_scores


def test_regression_is_scored_by_r2_in_any_stack(table: Path) -> None:
    words = ("dataset=table", f"dataset.root={table}", "dataset.label=y", "architecture=mlp_small", "optimizer.lr=0.01",
             "training.steps=150", "training.measure_every=75")  # fmt: skip
    runs = runs_of(*words, "activation=relu,tanh", "seed=0,1")
    found = results(runs, load_data(runs[0].data))
    for run in runs:
        result = found[run.id]
        assert (result.row["metric"], result.row["test_accuracy"]) == ("r2", None)
        assert float(result.row["score"] or 0) > 0.9
        (alone,) = results([run], load_data(run.data)).values()
        assert numbers(alone) == numbers(result)


def test_scores_by_hand() -> None:
    outputs, targets = torch.tensor([[[1.0], [2.0], [4.0]]]), torch.tensor([[1.0, 2.0, 3.0]])
    losses = example_losses("r2", outputs, targets)
    assert losses.tolist() == [[0.0, 0.0, 1.0]]
    variance = targets.double().var(1, correction=0)
    score = mean_score("r2", losses.double().mean(1), example_hits("r2", outputs, targets), variance, 1)
    assert score.item() == pytest.approx(1 - (1 / 3) / (2 / 3))
    worse = mean_score("r2", torch.tensor([9.0], dtype=torch.float64), targets, variance, 1)
    assert worse.item() == 0
    logits = torch.log(torch.tensor([[[[0.5, 0.5], [0.25, 0.75]]]]))  # one run, one window of two characters
    following = torch.tensor([[[0, 1]]])
    loss = example_losses("bits_per_character", logits, following).double().mean(1)
    bits = mean_score("bits_per_character", loss, following, None, 2)
    assert bits.item() == pytest.approx(-(1 - math.log2(0.75)) / 2, abs=1e-6)
    assert mean_score("bits_per_character", loss * 100, following, None, 2).item() == -1
    assert mean_score("bits_per_character", loss * math.nan, following, None, 2).isnan()


def test_a_saved_model_of_a_table_answers_in_the_units_of_the_table(table: Path, tmp_path: Path) -> None:
    (run,) = runs_of("dataset=table", f"dataset.root={table}", "dataset.label=y", "architecture=mlp_small")
    data = load_data(run.data)
    network, batches, _ = set_up(Stack((run,)), data, CPU)
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, run_state(network, batches, 0), run, 0, 0.0)
    model = read_checkpoint(path)
    rows, targets = model.examples("validation")
    with torch.no_grad():
        own, (x, standardised) = model(rows), batches.validation(0, len(rows))
        expected = network.forward(x)[0]
    constants = batches.constants(0)
    scaled = targets * constants["target.scale"] + constants["target.shift"]
    torch.testing.assert_close(scaled.float(), standardised[0])
    torch.testing.assert_close(
        own * constants["target.scale"] + constants["target.shift"], expected, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dataset=digits", "architecture=decoder"), "architecture=decoder: takes text, and digits is images"),
        (
            ("dataset=wine", "architecture=cnn"),
            "architecture=cnn: takes images, and wine is a table; take architecture=mlp",
        ),
        (
            ("dataset=wine", "architecture=mlp", "training.augment=true"),
            "training.augment=true: flips and crops images",
        ),
        (("dataset=diabetes", "training.target=0.9"), "training.target=0.9: is an accuracy, and diabetes has amounts"),
        (("dataset=diabetes", "training.label_smoothing=0.1"), "training.label_smoothing=0.1: is of classes"),
        (("dataset=table",), "dataset=table: say which column to predict: dataset.label=COLUMN"),
    ],
)
def test_an_architecture_names_the_data_that_it_takes(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        runs_of(*words)
    assert message in str(error.value)
