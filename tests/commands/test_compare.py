"""A comparison trains by the protocol, reports, and stores what it says; interruptions and workers change nothing."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

import actbench.report.report
from actbench.commands import step_costs
from actbench.execution.local import Pool
from actbench.store.writer import ParentRun
from actbench.training.results import WALL_CLOCK
from tests.support import TINY
from tests.support import actbench as command

pytestmark = pytest.mark.usefixtures("command_line")

GRID = ["activation=relu,tanh", "protocol.learning_rates=[0.001,0.01]", "training.steps=12", *TINY[::2]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Costs that take no time, and one format of the report."""

    def costs(pool: Pool, function: object, arguments: Sequence[Any]) -> list[list[tuple[object, ...]]]:
        slower = {"relu": 1.0, "tanh": 2.0}
        return [
            [(run.id, number, 1.0, 100.0 * slower.get(run.settings.activation.label, 1.0), 0.1) for run in runs]
            for runs, _, rounds in arguments
            for number in rounds
        ]

    monkeypatch.setattr(Pool, "calls", costs)
    monkeypatch.setattr(step_costs, "cache_home", lambda: tmp_path / "cache")
    monkeypatch.setattr(actbench.report.report, "FORMATS", ("md",))


def compared(*words: str) -> pd.DataFrame:
    """Runs the comparison and returns runs.csv without times; name=... among the words names its folder."""
    assert command("compare", "quickstart", "execution.workers=1", *GRID, *words) == 0
    return runs(next((word.removeprefix("name=") for word in words if word.startswith("name=")), "quickstart"))


def runs(name: str = "quickstart") -> pd.DataFrame:
    return pd.read_csv(f"results/{name}/runs.csv").drop(columns=list(WALL_CLOCK))


def files() -> dict[str, object]:
    """What must be equal between two comparisons: all but times and costs."""
    folder = Path("results/quickstart")
    answer = json.loads((folder / "answer.json").read_text())
    del answer["seconds"]
    parquet = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    return {"runs": runs().to_csv(), "answer": answer, "scores": (folder / "scores.csv").read_text(), **parquet}


def test_compare_trains_by_the_protocol_and_reports(capsys: pytest.CaptureFixture[str]) -> None:
    Path("experiments").mkdir()
    Path("experiments/mine.yaml").write_text(
        "question: Which?\nsource: null\noverrides:\n  - activation=relu,tanh\n"
        "  - protocol.learning_rates=[0.001,0.01]\n  - protocol.seeds=6\n"
    )
    words = ["compare", "mine", "execution.workers=1", "--pairs", *TINY]
    assert command(*words) == 0
    printed, answer = capsys.readouterr().out, json.loads(Path("results/mine/answer.json").read_text())
    for sentence in (answer["answer"], *(task["sentence"] for task in answer["tasks"])):
        assert plain(sentence) in plain(printed)
    frame = pd.read_csv("results/mine/runs.csv")
    assert set(frame["phase"]) == {"compare"}
    rates = set(frame["lr"])
    assert {0.001, 0.01} < rates <= {0.0001, 0.001, 0.01, 0.1}  # with two, one is chosen: the grid grows
    assert frame["test_accuracy"].notna().all()
    seeds = frame.groupby(["activation", "lr"])["seed"].agg(lambda seeds: sorted(seeds))
    out = frame.groupby(["activation", "lr"])["raced_out"].all()
    assert all(found == list(range(6)) for found in seeds[~out])
    assert all(len(found) in (3, 5) for found in seeds[out])
    check_choices(frame)
    check_answer(frame)
    text = Path("results/mine/report.md").read_text()
    assert "all pairs" in text
    assert len(pd.read_csv("results/mine/pairs.csv")) == 1
    written = {path: path.read_bytes() for path in Path("results/mine").rglob("*") if path.is_file()}
    figures = {"differences.svg", "differences.pdf", "differences.png", "differences_narrow.svg"}
    reports = {"report.md", "report.html", "report.pdf", "report.tex", "answer.json", "scores.csv"}
    assert figures | reports <= {path.name for path in written}
    check_mlflow_runs(frame)
    for path in written:
        path.unlink()
    assert command("report", "mine", "--pairs") == 0
    assert {path: path.read_bytes() for path in Path("results/mine").rglob("*") if path.is_file()} == written
    assert command(*words) == 0
    assert "nothing to train" in capsys.readouterr().out


def plain(text: str) -> str:
    """Without line breaks and Markdown's marks."""
    return " ".join(text.translate(str.maketrans("", "", "*`\\")).split())


def check_choices(frame: pd.DataFrame) -> None:
    """Each seed of an activation has one chosen run, at the rate that is best on the other seeds."""
    for _, group in frame[~frame["raced_out"]].groupby("activation"):
        accuracy, loss = (
            group.pivot(index="lr", columns="seed", values=f"val_{name}") for name in ("accuracy", "loss")
        )
        for seed in accuracy:
            means = pd.DataFrame({"accuracy": accuracy.drop(columns=seed).mean(axis=1).round(12),
                                  "loss": -loss.drop(columns=seed).mean(axis=1)})  # fmt: skip
            best = means.sort_values(["accuracy", "loss"]).index[-1]
            assert group.loc[group["chosen"] & (group["seed"] == seed), "lr"].tolist() == [best]
    assert not (frame["chosen"] & frame["raced_out"]).any()


def check_answer(frame: pd.DataFrame) -> None:
    """answer.json and scores.csv hold the scores of the chosen runs."""
    answer = json.loads(Path("results/mine/answer.json").read_text())
    (task,) = answer["tasks"]
    chosen = frame[frame["chosen"]]
    means = chosen.groupby("activation")["test_accuracy"].mean()
    assert (task["n"], task["n_test"], task["baseline"]) == (6, 359, "relu")
    for name, values in task["activations"].items():
        assert values["score"] == pytest.approx(means[name])
        assert values["low"] <= values["score"] <= values["high"]
        assert values["lr"] == chosen[chosen["activation"] == name].sort_values("seed")["lr"].tolist()
    tanh = task["activations"]["tanh"]
    assert tanh["difference"] == pytest.approx(means["tanh"] - means["relu"])
    assert task["activations"]["relu"]["verdict"] == "baseline"
    scores = pd.read_csv("results/mine/scores.csv")
    merged = scores.merge(chosen.drop(columns="score"), on=["activation", "seed", "lr"])
    assert len(merged) == len(chosen) == 12
    assert merged["score"].tolist() == pytest.approx(merged["test_accuracy"].tolist())
    assert {*task["take"], *task["avoid"], *task["undecided"]} == {"relu", "tanh"}


def check_mlflow_runs(frame: pd.DataFrame) -> None:
    """The parent's description has the answer and a figure that is there; chosen runs are tagged, costs are stored."""
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.kind = 'compare'")
    note = parent.data.tags["mlflow.note.content"]
    assert json.loads(Path("results/mine/answer.json").read_text())["answer"] in note
    assert f"get-artifact?run_uuid={parent.info.run_id}&path=figures/differences.svg" in note
    assert "figures/differences.svg" in {file.path for file in client.list_artifacts(parent.info.run_id, "figures")}
    children = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    summaries = [run for run in children if run.data.tags["kind"] == "summary"]
    assert sorted(run.data.params["activation"] for run in summaries) == ["relu", "tanh"]
    children = [run for run in children if run.data.tags["kind"] == "run"]
    assert len(children) == len(frame)
    tagged = {run.data.tags["run_id_hash"] for run in children if run.data.tags.get("chosen") == "true"}
    assert tagged == set(frame.loc[frame["chosen"], "run_id"])
    costs = pd.read_csv("results/mine/costs.csv").groupby("run_id")["activation_ns"].median()
    assert len(costs) == 2
    stored = [run for run in children if "activation_ns" in run.data.metrics]
    assert all(run.data.tags["chosen"] == "true" for run in stored)  # where views of chosen runs show them
    assert sorted(run.data.metrics["activation_ns"] for run in stored) == sorted(costs)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_interruptions_at_any_stage_and_the_number_of_workers_change_no_file(
    tmp_path: Path, blank_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers, every in ((1, None), (2, None), (1, 4)):
        folder = tmp_path / f"{workers}-{every}"
        folder.mkdir()
        shutil.copy(blank_database, folder)
        monkeypatch.chdir(folder)
        words = ["compare", "quickstart", f"execution.workers={workers}", "protocol.seeds=6", *GRID]
        if every is not None:
            assert interrupted(words, every, monkeypatch) > 3  # within the first stage, at its end, and later
        assert command(*words) == 0
        found.append(files())
    assert runs()["raced_out"].any()
    assert runs()["lr"].nunique() > 2  # the grid grew
    assert all(files == found[0] for files in found[1:])


def interrupted(words: Sequence[str], every: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs a command that Ctrl-C ends after each few of its first 20 results; returns how often it was."""
    add = ParentRun.add
    with monkeypatch.context() as patch:
        for times in range(20 // every + 2):
            left = iter(range(every))

            def add_some(self: ParentRun, *arguments: Any, left: Any = left) -> None:
                if next(left, None) is None:
                    raise KeyboardInterrupt
                add(self, *arguments)

            patch.setattr(ParentRun, "add", add_some)
            if command(*words) != 130:
                return times
    return times + 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_more_seeds_train_only_what_is_new_and_so_does_another_activation(capsys: pytest.CaptureFixture[str]) -> None:
    fewer = compared("protocol.seeds=6")
    capsys.readouterr()
    more = compared("protocol.seeds=8", "name=more")
    trained = sum(
        int(line.split(", ")[-1].split()[0]) for line in capsys.readouterr().out.splitlines() if "to train" in line
    )
    assert trained == len(set(more["run_id"]) - set(fewer["run_id"]))
    assert set(fewer["run_id"]) < set(more["run_id"])
    assert set(more.groupby("activation")["seed"].max()) == {7}
    added = compared("protocol.seeds=8", "activation=relu,tanh,sigmoid", "name=added")
    assert runs().equals(fewer)
    grown = set(added["lr"]) - set(more["lr"])
    kept = added[added["activation"].isin(["relu", "tanh"]) & ~added["lr"].isin(grown)]
    assert set(more["run_id"]) <= set(kept["run_id"])


@pytest.mark.usefixtures("quick")
def test_fewer_than_six_seeds_are_said_before_training_and_give_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    compared("protocol.seeds=5")
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first == "protocol.seeds=5: too few for a verdict; take at least 6, better 9 or more"
    assert second.startswith("first stage, seeds 0 to 2: ")
    (task,) = json.loads(Path("results/quickstart/answer.json").read_text())["tasks"]
    assert task["activations"]["tanh"]["verdict"] == "no verdict"
    assert "too few for a verdict" in task["sentence"]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_equal_time_retrains_for_as_long_as_the_baseline_takes() -> None:
    frame = compared("protocol.seeds=6", "protocol.equal_time=true")
    again = frame[frame["equal_time"]]
    assert set(again["activation"]) == {"tanh"}  # whose step costs twice as much
    assert set(again["steps"]) == {6}
    assert sorted(again["seed"]) == list(range(6))
    chosen = frame[frame["chosen"] & (frame["activation"] == "tanh")].set_index("seed")["lr"]
    assert again.set_index("seed")["lr"].to_dict() == chosen.to_dict()
    text = Path("results/quickstart/report.md").read_text()
    assert "trains for as long as the baseline" in text


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_failing_activation_is_tried_twice_and_takes_nothing_from_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = "tests.own_activations:fails_while_training"
    words = ["compare", "quickstart", "execution.workers=1", *GRID, f"activation=relu,tanh,{own}", "protocol.seeds=6"]
    assert command(*words) == 1
    assert "digits, mlp: failed runs again: 6 runs" in capsys.readouterr().out
    frame = runs()
    failed = frame[frame["activation"] == own]
    assert set(failed["status"]) == {"failed"}
    assert not failed["chosen"].any()
    assert sorted(failed["seed"].unique()) == [0, 1, 2]  # given up after the first stage
    assert sorted(frame.loc[frame["chosen"] & (frame["activation"] == "relu"), "seed"]) == list(range(6))
    assert "runs missing" in Path("results/quickstart/report.md").read_text()
