"""How activations are called in tables and figures."""

import pandas as pd

from actbench.analysis.labels import labelled, shown_names
from tests.analysis.frames import chosen_runs


def test_a_function_of_a_cell_has_its_own_name_unless_another_activation_has_it() -> None:
    labels = ["relu", "cell_16bccbfe:wavy", "cell_0b858c2e:relu", "cell_11d76449:bent", "cell_b4ce283c:bent"]
    assert shown_names(labels) == {
        "relu": "relu", "cell_16bccbfe:wavy": "wavy", "cell_0b858c2e:relu": "cell_0b858c2e:relu",
        "cell_11d76449:bent": "cell_11d76449:bent", "cell_b4ce283c:bent": "cell_b4ce283c:bent",
    }  # fmt: skip
    assert shown_names(["mine:wavy"]) == {"mine:wavy": "mine:wavy"}


def test_series_have_these_names_and_runs_keep_their_labels() -> None:
    runs: pd.DataFrame = labelled(chosen_runs({"relu": [0.9], "cell_16bccbfe:wavy": [0.8]}))
    assert runs["series"].tolist() == ["relu", "wavy"]
    assert runs["activation"].tolist() == ["relu", "cell_16bccbfe:wavy"]
