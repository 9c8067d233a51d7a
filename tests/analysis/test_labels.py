"""The task and the series of runs."""

from actbench.analysis.labels import labelled
from actbench.analysis.summary import summarize
from actbench.data.datasets import PreparedData
from actbench.experiment.compose import compose_grid
from actbench.experiment.runs import make_run, variants
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
