"""What is committed under results/reference agrees with the runs beside it."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest

from actbench.analysis.hypotheses import judge_hypotheses
from actbench.analysis.pairs import comparisons
from actbench.experiment.compose import compose_grid
from actbench.experiment.questions import load_experiment
from actbench.experiment.request import Request
from actbench.report.sentences import decision_path
from actbench.store.files import COSTS, RUNS, read_costs, read_runs

FOLDER = Path(__file__).parents[2] / "results" / "reference"
REPORTS = sorted(FOLDER.rglob("report.md"))
PRESENT = [path for path in REPORTS if "Within the margin of the best accuracy" in path.read_text(encoding="utf-8")]
ANSWER = re.compile(
    r"- \*\*(?P<setting>[^*]+)\*\*: highest mean test accuracy (?P<best>\S+), (?P<mean>[\d.]+) ± (?P<sd>[\d.]+) % "
    r"\(n = (?P<n>\d+)\), (?:(?P<above>[\d.]+) points above|level with) (?P<second>\S+)\."
)
LINE = re.compile(
    r"\| (?P<activation>\S+) \| (?P<lr>[\d.e-]+) \| (?P<mean>[\d.]+) \[[^|]+\] \| [\d.]+ \| (?P<n>\d+)[ ,|]"
)


def accuracies(folder: Path, setting: str) -> pd.DataFrame:
    """Test accuracies of a setting, a column an activation, a row a seed; what diverged is 0."""
    runs = pd.read_csv(folder / "runs.csv", keep_default_na=False, na_values={"test_accuracy": [""]})
    dataset, architecture, *others = setting.split(", ")
    chosen = runs["phase"].eq("confirm") & runs["dataset"].eq(dataset) & runs["architecture"].eq(architecture)
    for term in others:
        has_term = runs["variant"].str.split().map(lambda terms, term=term: term in terms)
        chosen &= has_term | runs["initialization"].eq(term) | runs["optimizer"].eq(term)
    confirmed = runs[chosen]
    return confirmed.pivot(index="seed", columns="activation", values="test_accuracy").fillna(0.0)


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.parent.name)
def test_every_number_of_the_answers_and_of_the_accuracies_is_in_the_runs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    answers = list(ANSWER.finditer(text))
    assert answers
    for match in answers:
        wide = accuracies(path.parent, match["setting"])
        means = wide.mean().sort_values(ascending=False)
        assert int(match["n"]) == len(wide)
        assert means[match["best"]] == means.iloc[0]
        assert 100 * means.iloc[0] == pytest.approx(float(match["mean"]), abs=0.0051)
        assert 100 * wide[match["best"]].std() == pytest.approx(float(match["sd"]), abs=0.0051)
        assert 100 * (means.iloc[0] - means[match["second"]]) == pytest.approx(float(match["above"] or 0), abs=0.0051)
        section = text.split(f"## {match['setting']}\n", 1)[1].split("Training.", 1)[0]
        lines = list(LINE.finditer(section))
        assert {line["activation"] for line in lines} == set(wide)
        for line in lines:
            assert 100 * means[line["activation"]] == pytest.approx(float(line["mean"]), abs=0.0051)
            assert int(line["n"]) == len(wide)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("claims/*/verdicts.csv")), ids=lambda path: path.parent.name)
def test_every_verdict_follows_from_the_runs_beside_it(path: Path) -> None:
    folder = path.parent
    hypotheses = load_experiment(folder.name).hypotheses
    runs, costs = read_runs(folder / RUNS), read_costs(folder / COSTS)
    again = io.StringIO(judge_hypotheses(hypotheses, runs, costs).to_csv(index=False))
    committed = pd.read_csv(path)
    pd.testing.assert_frame_equal(pd.read_csv(again)[list(committed)], committed, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("path", PRESENT, ids=lambda path: path.parent.name)
def test_recommendations_follow_from_the_runs_and_costs_beside_them(path: Path) -> None:
    runs, costs = read_runs(path.parent / RUNS), read_costs(path.parent / COSTS)
    grid = compose_grid(load_experiment(path.parent.name).overrides)
    protocol = grid.command.protocol
    request = Request(path.parent.name, "", "", "", protocol.baseline, protocol.margin)
    text = " ".join(path.read_text(encoding="utf-8").split())
    for comparison in comparisons(runs, costs, request):
        assert comparison.decision is not None
        assert f"**{comparison.task}**: {decision_path(comparison.decision)}" in text
