"""What a command was asked to do, where its tasks are of several metrics."""

from dataclasses import replace

import pytest

from actbench.commands.planning import check_experiment, make_request, make_runs, prepared_data
from actbench.errors import UsageError
from actbench.experiment.compose import compose_grid
from actbench.experiment.questions import load_experiment


def test_a_request_has_the_margins_the_worst_scores_and_the_targets_of_its_data() -> None:
    grid = compose_grid(["dataset=digits,diabetes", "architecture=mlp_small", "training.steps=4",
                         "protocol.margin_bits=0.05"])  # fmt: skip
    of_digits, of_diabetes = make_runs(grid.runs, prepared_data(grid.runs), "compare")
    of_text = replace(of_digits, data=replace(of_digits.data, name="mine", metric="bits_per_character", classes=64))
    alone = make_request("compare", None, [], grid, [of_digits])
    assert (alone.margins, alone.worst, alone.target_losses) == ({}, {}, ())
    request = make_request("compare", None, [], grid, [of_digits, of_diabetes, of_text])
    assert request.margins == {"r2": 0.02, "bits_per_character": 0.05}
    assert request.worst == {"mine": -6.0}
    assert [request.margin_of(name) for name in ("accuracy", "r2", "bits_per_character")] == [0.01, 0.02, 0.05]
    assert request.targets == (of_digits.settings.training.target,)
    assert request.target_losses == (of_diabetes.settings.training.target_loss,)
    assert set(request.test_sizes) == {"digits", "diabetes", "mine"}


def test_a_comparison_needs_a_test_part() -> None:
    grid = compose_grid(["architecture=mlp_small", "training.steps=4"])
    (run,) = make_runs(grid.runs, prepared_data(grid.runs), "compare")
    experiment = load_experiment("quickstart")
    check_experiment(experiment, [run], racing=True)
    untested = replace(run, data=replace(run.data, test=0))
    with pytest.raises(UsageError, match="dataset=digits: has no test part, on which compare scores"):
        check_experiment(experiment, [untested], racing=True)
