"""The one order of series for all tasks."""

import pandas as pd

from actbench.analysis.labels import labelled
from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison, comparisons
from actbench.experiment.request import Request
from actbench.store.files import costs_frame
from tests.analysis.frames import chosen_runs

REQUEST = Request("mine", "Which?", "actbench compare mine", "", "relu", 0.01)


def by_task(**frames: dict[str, list[float]]) -> list[Comparison]:
    runs = pd.concat([chosen_runs(dict(scores), architecture=name) for name, scores in frames.items()])
    runs["run_id"] = [f"run{number}" for number in range(len(runs))]
    return list(comparisons(runs.reset_index(drop=True), costs_frame([]), REQUEST))


def test_the_order_is_by_mean_rank_over_tasks_and_equal_ranks_keep_the_order_of_the_runs() -> None:
    compared = by_task(
        mlp={"relu": [0.9] * 2, "gelu": [0.8] * 2, "tanh": [0.7] * 2},
        cnn={"relu": [0.5] * 2, "gelu": [0.9] * 2, "tanh": [0.4] * 2},
    )
    assert order(compared) == ["relu", "gelu", "tanh"]  # both 1.5 on average
    assert order(compared[1:]) == ["gelu", "relu", "tanh"]
    assert order([]) == []


def test_a_series_that_a_task_lacks_is_ranked_by_the_others_and_one_without_scores_is_last() -> None:
    compared = by_task(
        mlp={"mine": [0.5] * 2, "relu": [0.9] * 2, "tanh": [0.7] * 2},
        cnn={"relu": [0.5] * 2, "elu": [0.9] * 2, "tanh": [0.4] * 2},
    )
    assert order(compared) == ["elu", "relu", "tanh", "mine"]  # 1, 1.5, 2.5, 3
    frame = chosen_runs({"mine": [0.5] * 6, "relu": [0.9] * 6})
    frame.loc[frame["activation"] == "mine", "status"] = "failed"
    assert order([Comparison("digits, mlp", labelled(frame), "relu", 0.01)]) == ["relu", "mine"]
