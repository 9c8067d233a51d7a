"""runs.csv: what is written is read back."""

from pathlib import Path

import pandas as pd

from actbench.store.files import read_runs, write_runs
from actbench.training.results import COLUMNS


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
