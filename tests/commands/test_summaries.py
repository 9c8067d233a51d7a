"""The summaries of a comparison hold the report's numbers, once, and are not taken for trained runs."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlflow import MlflowClient

import actbench.report.report
from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison
from actbench.commands import step_costs
from actbench.commands.summaries import headline, mean_curves, summaries
from actbench.execution.local import Pool
from actbench.store.summaries import BY_RATE, DIFFERENCE, LOG_RATE, PLACE, Summary
from actbench.training.results import Result
from tests.analysis.frames import chosen_runs
from tests.report.suites import suite
from tests.support import TINY
from tests.support import actbench as command

SCORES = {"tanh": [0.80, 0.82, 0.81, 0.80, 0.83, 0.79], "relu": [0.90, 0.92, 0.91, 0.90, 0.93, 0.89]}
STEP = [(0, 0.1), (10, 0.5)]


def comparison(baseline: str = "relu") -> Comparison:
    frame = chosen_runs(SCORES).assign(val_loss=0.1, auc=0.5)
    return Comparison("digits, mlp", labelled(frame), baseline, 0.01)


def found(compared: Comparison) -> list[Summary]:
    ids = compared.runs["run_id"]
    results = {id: cast(Result, SimpleNamespace(curves={"val_accuracy": STEP})) for id in ids}
    return list(summaries(compared, results))


def test_a_summary_holds_the_numbers_of_the_report_and_the_best_comes_first() -> None:
    compared = comparison()
    relu, tanh = found(compared)
    assert (relu.name, relu.verdict, dict(relu.curves[DIFFERENCE])) == ("relu", "baseline", {2: 0.0})
    difference = compared.differences["tanh"]
    assert (tanh.name, tanh.verdict) == ("tanh", "worse")
    low, high, mean = (value for _, value in tanh.curves[DIFFERENCE])
    assert (low, high) == (tanh.values[f"{DIFFERENCE}: low"], tanh.values[f"{DIFFERENCE}: high"])
    assert mean == pytest.approx(-10.0)
    assert low == pytest.approx(100 * difference.low)
    assert low <= mean <= high
    assert [value for _, value in tanh.curves[PLACE]] == [2, 2, 2]
    assert tanh.values["test_accuracy"] == pytest.approx(sum(SCORES["tanh"]) / 6)
    assert tanh.values["steps_to_target"] == 35  # the mean of 10 to 60
    assert (tanh.params["task"], tanh.params["lr"], tanh.params["seeds"]) == ("digits, mlp", "0.1", "6")
    assert tanh.curves[LOG_RATE] == [(0, math.log10(0.1))]
    assert dict(tanh.curves[BY_RATE]) == pytest.approx({0: sum(SCORES["tanh"]) / 6})
    assert dict(tanh.curves["val_accuracy"]) == pytest.approx(dict(STEP))


def test_without_the_baseline_there_are_scores_and_no_differences() -> None:
    for summary in found(comparison("gelu")):
        assert summary.verdict == "no verdict"
        assert DIFFERENCE not in summary.curves
        assert "test_accuracy" in summary.values


def test_scores_of_other_metrics_have_names_of_their_own() -> None:
    (text,) = suite([("shakespeare", "decoder")])
    ids = text.runs["run_id"]
    curves = {id: cast(Result, SimpleNamespace(curves={"val_score": [(0, -6.0), (9, -2.7)]})) for id in ids}
    gelu, *_ = summaries(text, curves)
    difference = text.differences["gelu"]
    assert (gelu.name, gelu.verdict, gelu.metric, gelu.margin) == ("gelu", "better", "bits_per_character", 0.02)
    assert dict(gelu.curves["bits fewer than baseline"])[2] == pytest.approx(difference.mean)
    assert gelu.values["score"] == pytest.approx(text.scores["gelu"].mean())
    assert gelu.values["bits fewer than baseline: low"] == pytest.approx(difference.low)
    assert [step for step, _ in gelu.curves["val_score by rate"]] == [0, 1, 2]
    assert dict(gelu.curves["val_score"]) == {0: -6.0, 9: -2.7}
    params, values = headline([comparison(), text])
    assert params["margin"] == "1 point, 0.02 bits"
    assert values["shakespeare decoder: score of the best"] == pytest.approx(gelu.values["score"], abs=1e-4)


def test_a_mean_curve_has_the_steps_and_metrics_that_all_runs_have() -> None:
    curves = [
        {"val_accuracy": [(0, 0.0), (10, 0.5), (20, 0.7)], "val_loss": [(0, 1.0)], "own": [(0, 1.0)]},
        {"val_accuracy": [(0, 0.2), (20, 0.9)], "own": [(0, 1.0)]},
    ]
    assert mean_curves(curves) == {"val_accuracy": [(0, 0.1), (20, 0.8)]}


def test_the_page_of_a_comparison_has_its_runs_seeds_margin_baseline_and_best() -> None:
    params, values = headline([comparison()])
    assert (params["baseline"], params["margin"], params["digits mlp: best"]) == ("relu", "1 point", "relu")
    assert params["digits mlp: avoid"] == "tanh"
    assert (values["runs"], values["seeds"]) == (12, 6)
    assert values["digits mlp: test_accuracy of the best"] == 0.9083
    assert headline([]) == ({}, {})


@pytest.mark.usefixtures("command_line")
def test_a_repeated_comparison_replaces_its_summaries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def costs(pool: Pool, function: object, arguments: Any) -> list[list[tuple[str, int, float, float, float]]]:
        return [[(run.id, 0, 1.0, 100.0, 0.1) for run in runs] for runs, *_ in arguments]

    monkeypatch.setattr(Pool, "calls", costs)
    monkeypatch.setattr(step_costs, "cache_home", lambda: tmp_path / "cache")
    monkeypatch.setattr(actbench.report.report, "FORMATS", ("md",))
    words = ["activation=relu,tanh", "protocol.learning_rates=[0.01]", "protocol.seeds=2", "execution.workers=1"]
    for number in (1, 2):
        assert command("compare", "quickstart", *words, *TINY) == 0
        client = MlflowClient("sqlite:///mlflow.db")
        stored = client.search_runs(["1"], "tags.kind = 'summary'")
        assert sorted(run.info.run_name for run in stored) == ["relu", "tanh"]
        newest, *others = client.search_runs(["1"], "tags.kind = 'compare'", order_by=["attributes.start_time DESC"])
        assert len(others) == number - 1
        assert {run.data.tags["mlflow.parentRunId"] for run in stored} == {newest.info.run_id}
        assert (newest.data.params["baseline"], newest.data.metrics["seeds"]) == ("relu", 2)
        assert len(client.search_runs(["1"], "tags.kind = 'run'")) == newest.data.metrics["runs"] > 0
        relu = next(run for run in stored if run.info.run_name == "relu")
        assert (relu.data.metrics[DIFFERENCE], relu.data.tags["mlflow.runColor"]) == (0, "#000000")
        assert (relu.data.metrics["activation_ns"], relu.info.status) == (1.0, "FINISHED")
    assert "nothing to train: every run was found finished" in capsys.readouterr().out
