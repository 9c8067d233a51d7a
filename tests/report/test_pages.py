"""The quickstart's report, from its committed runs with made-up curves and layers, is short and can be printed."""

import re
from pathlib import Path

import pandas as pd
import pytest

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.pairs import comparisons
from actbench.report.report import write_report
from actbench.store.files import COSTS, RUNS, read_costs, read_runs
from actbench.store.provenance import read_environment
from tests.report.runs import curves_of, layers_of
from tests.report.test_references import FOLDER, request_of

MOST_PAGES = 6
DEPTHS = {"mlp": 3, "cnn": 3, "transformer": 2}


@pytest.mark.slow
def test_the_quickstart_has_at_most_six_pages_and_its_figures_keep_their_text(tmp_path: Path) -> None:
    folder = FOLDER / "quickstart"
    request, runs, costs = request_of(folder), read_runs(folder / RUNS), read_costs(folder / COSTS)
    compared = list(comparisons(runs, costs, request))
    assert [comparison.task.split(", ")[1] for comparison in compared] == list(DEPTHS)
    points = {
        "curves": pd.concat(curves_of(own, lambda _, seed, step: min(0.99, (step + seed) / 200), range(0, 301, 20))
                            for own in compared),
        "layers": pd.concat(layers_of(own, depth, lambda metric, series, layer, step: 0.1 + 0.2 * layer + step / 1000)
                            for own, depth in zip(compared, DEPTHS.values(), strict=True)),
        "costs": costs,
    }  # fmt: skip
    judged = judge_hypotheses([], runs, costs, request.margin)
    pdf, _ = write_report(
        tmp_path, compared, runs, points, request, judged, read_environment(folder), ("pdf", "tex")
    )  # fmt: skip
    content = pdf.read_bytes()
    (pages,) = re.findall(rb"/Type\s*/Pages.*?/Count (\d+)", content, re.DOTALL)
    assert int(pages) <= MOST_PAGES
    figures = {path.stem: path.read_bytes() for path in (tmp_path / "figures").glob("*.pdf")}
    assert {"differences", "learning_rates", "curves", "layers", "times", "decision"} <= set(figures)
    for figure in figures.values():
        assert b"/FontFile2" in figure  # TrueType
        assert b"/Subtype /Type3" not in figure
