"""runs.csv: what is written is read back."""

from pathlib import Path

import pandas as pd

from actbench.store.files import read_runs, write_runs
from actbench.training.results import COLUMNS, MARKS


def test_a_variant_is_text_in_the_file_and_a_dict_in_memory(tmp_path: Path) -> None:
    variants = [{"activation.slope": "0.1", "architecture.norm": "none"}, {}]
    runs = pd.DataFrame({"run_id": ["a", "b"], "lr": [0.1, 0.1 + 0.2], "variant": variants}).reindex(
        columns=list(COLUMNS)
    )
    write_runs(tmp_path / "runs.csv", runs)
    written = pd.read_csv(tmp_path / "runs.csv", keep_default_na=False)
    assert written["variant"].tolist() == ["activation.slope=0.1 architecture.norm=none", ""]
    read = read_runs(tmp_path / "runs.csv")
    assert read["variant"].tolist() == variants
    assert read["lr"].tolist() == [0.1, 0.1 + 0.2]  # to the last bit
    assert runs["variant"].tolist() == variants  # the frame in memory is unchanged


def test_a_file_without_variants_has_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("run_id,lr\na,0.1\n")
    assert read_runs(tmp_path / "runs.csv")["variant"].tolist() == [{}]


def test_runs_of_an_older_version_are_marked_by_their_phase(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("run_id,phase,lr\na,tune,0.1\nb,confirm,0.1\nc,sweep,0.1\n")
    read = read_runs(tmp_path / "runs.csv")
    assert tuple(read) == COLUMNS
    marks = read[list(MARKS)]
    assert marks.iloc[:2].to_numpy().tolist() == [[True, False, False], [False, True, False]]
    assert marks.iloc[2:].isna().all(axis=None)


def test_runs_of_an_older_version_are_scored_by_accuracy(tmp_path: Path) -> None:
    lines = "run_id,phase,lr,val_accuracy,test_accuracy\na,sweep,0.1,0.9,0.8\nb,sweep,0.1,,\n"
    (tmp_path / "runs.csv").write_text(lines)
    read = read_runs(tmp_path / "runs.csv")
    assert read["metric"].tolist() == ["accuracy"] * 2
    assert (read["score"].iloc[0], read["val_score"].iloc[0]) == (0.8, 0.9)
    assert read.loc[1, ["score", "val_score"]].isna().all()


def test_scores_of_other_metrics_are_read_as_they_were_written(tmp_path: Path) -> None:
    runs = pd.DataFrame({
        "run_id": ["a", "b"], "lr": 0.1, "variant": [{}, {}], "metric": ["r2", "bits_per_character"],
        "score": [0.5, -2.7], "val_score": [None, -2.6], "val_accuracy": [None, 0.45], "test_accuracy": [None, 0.44],
    }).reindex(columns=list(COLUMNS))  # fmt: skip
    write_runs(tmp_path / "runs.csv", runs)
    read = read_runs(tmp_path / "runs.csv")
    assert read["metric"].tolist() == ["r2", "bits_per_character"]
    assert read["score"].tolist() == [0.5, -2.7]
    assert pd.isna(read["val_score"].iloc[0])  # a run without a score


def test_marks_are_written_and_read_with_their_gaps(tmp_path: Path) -> None:
    marks = {"raced_out": [True, False, None], "chosen": [False, True, None], "equal_time": [False, False, None]}
    runs = pd.DataFrame({"run_id": ["a", "b", "c"], "phase": ["compare"] * 3, "variant": [{}] * 3, **marks})
    write_runs(tmp_path / "runs.csv", runs.reindex(columns=list(COLUMNS)))
    read = read_runs(tmp_path / "runs.csv")
    for name, values in marks.items():
        assert str(read[name].dtype) == "boolean"
        assert [None if pd.isna(value) else value for value in read[name]] == values
