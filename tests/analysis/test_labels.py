"""The task and the series of runs."""

from actbench.analysis.labels import at_edge, compared_runs, ended_runs, labelled, surviving, usual_length
from actbench.analysis.summary import summarize
from actbench.data.datasets import PreparedData
from actbench.experiment.compose import compose_grid
from actbench.experiment.runs import make_run, variants
from actbench.training.results import MARKS
from tests.analysis.frames import runs_of


def test_runs_that_differ_in_anything_but_the_seed_are_never_averaged(digits: PreparedData) -> None:
    points = compose_grid([
        "architecture=mlp_small,mlp", "architecture.norm=none,batch", "activation=leaky_relu,relu", "seed=0,1",
        "training.steps=2", "training.batch_size=32,64",
    ]).runs  # fmt: skip
    runs = [make_run(point, digits, "sweep") for point in points]
    differing = variants(runs)
    assert len({str(variant) for variant in differing}) == 8
    assert differing[0] == {"architecture.width": "64", "architecture.norm": "none", "training.batch_size": "32"}
    frame = runs_of(activation=[run.settings.activation.name for run in runs], variant=list(differing))
    assert summarize(frame)["n"].tolist() == [2] * 16
    assert labelled(frame)["task"].nunique() == 8


def test_settings_of_an_activation_distinguish_series_not_tasks(digits: PreparedData) -> None:
    points = compose_grid(["activation=leaky_relu", "activation.slope=0.01,0.2", "training.steps=2"]).runs
    differing = variants([make_run(point, digits, "sweep") for point in points])
    assert differing == [{"activation.slope": "0.01"}, {"activation.slope": "0.2"}]
    frame = labelled(runs_of(activation=["leaky_relu"] * 2, variant=list(differing)))
    assert frame["task"].tolist() == ["digits, mlp"] * 2
    assert frame["series"].tolist() == ["leaky_relu slope=0.01", "leaky_relu slope=0.2"]


def test_runs_are_selected_by_what_the_protocol_made_of_them() -> None:
    frame = runs_of(
        chosen=[True, False, False, False, None], raced_out=[False, False, True, False, None],
        equal_time=[False, False, False, True, None], status=["finished", "failed", "diverged", "missing", "finished"],
    )  # fmt: skip
    for runs in (frame, frame.astype(dict.fromkeys(MARKS, "boolean"))):  # as made by hand, as read from runs.csv
        assert compared_runs(runs).index.tolist() == [0, 1, 2, 3]  # the last is of a sweep, or of an unfinished plan
        assert surviving(runs).index.tolist() == [0, 1, 3, 4]
        assert usual_length(runs).index.tolist() == [0, 1, 2, 4]
        assert ended_runs(runs).index.tolist() == [0, 2, 4]


def test_an_edge_is_an_end_of_the_several_rates_that_a_series_tried_on_its_task() -> None:
    frame = labelled(runs_of(
        activation=["relu", "relu", "relu", "tanh", "tanh", "tanh"],
        architecture=["mlp", "mlp", "mlp", "mlp", "mlp", "cnn"], lr=[0.01, 0.1, 1.0, 0.1, 1.0, 0.1],
    ))  # fmt: skip
    assert at_edge(frame).tolist() == [True, False, True, True, True, False]
