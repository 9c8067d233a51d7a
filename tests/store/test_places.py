"""Each plan of an experiment has a folder and an MLflow experiment of its own, and none replaces another's results."""

import json
from pathlib import Path

import pytest

from actbench.errors import UsageError
from actbench.experiment.request import Request
from actbench.signals import write_json
from actbench.store.places import Place, claimed, holder_of, place_of
from actbench.store.reader import Store

URI = "sqlite:///mlflow.db"
A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "bbbbbbcccccc"
pytestmark = pytest.mark.usefixtures("own_folder")


def asked(plan: str, experiment: str = "mine") -> Request:
    return Request(experiment, "Which?", f"actbench compare {plan[0]}", "", "relu", 0.01, plan=plan)


def hold(name: str, plan: str) -> None:
    folder = Path("results") / name
    folder.mkdir(parents=True)
    write_json(folder / "request.json", asked(plan).to_tags())


def test_the_first_plan_has_the_name_of_the_experiment_and_keeps_it() -> None:
    assert place_of("mine", A, URI).name == "mine"
    hold("mine", A)
    assert place_of("mine", A, URI).name == "mine"


def test_a_second_plan_has_a_part_of_its_digest_and_says_whose_the_name_is() -> None:
    hold("mine", A)
    assert place_of("mine", B, URI) == Place(
        "mine-bbbbbb",
        "results/mine-bbbbbb gets the results (name=NAME names them), as mine is another plan, `actbench compare a`",
    )
    hold("mine-bbbbbb", B)
    assert place_of("mine", B, URI).name == "mine-bbbbbb"
    assert place_of("mine", C, URI).name == "mine-bbbbbbcccccc"


def test_a_name_of_the_users_own_is_never_taken_from_another_plan() -> None:
    assert place_of("mine", A, URI, "first").name == "first"
    hold("first", A)
    assert place_of("mine", A, URI, "first").name == "first"
    with pytest.raises(UsageError, match="name=first: results/first belongs to another plan, `actbench compare a`"):
        place_of("mine", B, URI, "first")


def test_results_of_an_older_version_are_not_replaced() -> None:
    folder = Path("results/mine")
    folder.mkdir(parents=True)
    (folder / "runs.csv").write_text("run_id\n")
    assert place_of("mine", A, URI).name == "mine-aaaaaa"
    (folder / "request.json").write_text("[not a request")
    assert place_of("mine", A, URI).name == "mine-aaaaaa"


def test_a_plan_whose_folder_was_removed_keeps_its_experiment_in_the_store() -> None:
    parent = Store(URI, "mine").start("compare", asked(A).to_tags())
    parent.end("FINISHED", "", Path("results/none"))
    holder = holder_of("mine", URI)
    assert holder is not None
    assert (holder.digest, holder.place) == (A, f"experiment mine in {URI}")
    assert place_of("mine", A, URI).name == "mine"
    assert place_of("mine", B, URI).name == "mine-bbbbbb"


def test_a_claim_is_in_the_folder_before_any_result() -> None:
    with claimed(asked(A), URI, None, "compare") as first, claimed(asked(B), URI, None, "compare") as second:
        assert (first.experiment, second.experiment) == ("mine", "mine-bbbbbb")
        assert json.loads(Path("results/mine-bbbbbb/request.json").read_text())["plan"] == B
    assert place_of("mine", B, URI).name == "mine-bbbbbb"


def test_a_refused_command_leaves_no_claim() -> None:
    with pytest.raises(UsageError, match="no"), claimed(asked(A), URI, None, "compare"):
        raise UsageError("no")
    assert not Path("results").exists()
    hold("mine", A)
    with pytest.raises(UsageError, match="no"), claimed(asked(A), URI, None, "compare"):
        raise UsageError("no")
    assert Path("results/mine/request.json").is_file()
