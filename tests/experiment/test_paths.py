"""Names of files: what a command writes stays in results/ and the store, and a name that cannot be costs one line."""

from pathlib import Path

import pytest

from actbench.errors import UsageError
from actbench.experiment.questions import load_experiment
from tests.support import actbench

EXPERIMENT = "question: q\nsource: s\noverrides: [architecture=mlp_small, training.steps=0, protocol.seeds=1]\n"
LONG = "x" * 5000


@pytest.mark.parametrize("name", ["..", ".", ".journal", "a\nb", "\x1b[2J", " a", "a" * 201, "\u202ea"])
def test_an_experiment_is_not_named_as_another_folder(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(EXPERIMENT)
    with pytest.raises(UsageError, match="its name is that of the folder in results/ too; rename it"):
        load_experiment(str(file))


def test_an_experiment_lies_anywhere_and_its_results_in_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "my question.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path / "here")
    assert load_experiment("../my question.yaml").name == "my question"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["compare", ".."], ["compare", "../quickstart"], ["compare", LONG], ["compare", f"{LONG}.yaml"],
        ["compare", "a\nb"],
        ["data", "check", "mnist", f"dataset.root={LONG}"], ["data", "fetch", "mnist", f"dataset.root={LONG}"],
        ["data", "check", "image_folder", "dataset.root='a\nb\x1b'"],
        ["train", f"store.uri=sqlite:///{LONG}.db"],
        ["train", "activation.function=..:x"], ["train", "activation.function='../x:y'"],
        ["train", f"activation.function={LONG}:y"],
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_costs_one_line_and_nothing_is_written(
    words: list[str], own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = set(own_folder.parent.iterdir())
    assert actbench(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("actbench: error: ")
    assert {path.name for path in set(own_folder.parent.iterdir()) - beside} <= {"cache0"}
    assert {path.name for path in own_folder.iterdir() if "mlflow.db" not in path.name} <= {"results"}
